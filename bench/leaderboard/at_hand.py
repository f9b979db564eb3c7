"""The data of a collection's tasks, as far as it is on this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bench.data.dataset import TaskData
from bench.data.task import Task
from bench.errors import UserError
from bench.submissions.labels import load_labels


@dataclass(frozen=True)
class AtHand:
    """Loads the data of tasks; what cannot be had is not tried again, for that may take minutes each time.

    folders: where the relative paths of cards of one's own start. The last one loaded is kept: ask task by task.
    """

    tasks: Mapping[str, Task]
    folders: Mapping[str, Path | None] = field(default_factory=dict)
    missing: dict[str, UserError] = field(default_factory=dict, init=False, repr=False, compare=False)
    """Task -> why its data could not be had, of those asked for."""
    _last: dict[str, TaskData] = field(default_factory=dict, init=False, repr=False, compare=False)

    def load(self, name: str) -> TaskData:
        """The data of a task, as `bench.submissions.labels.load_labels` without masks. Raises UserError where it cannot
        be had."""
        if name in self.missing:
            raise self.missing[name]
        if name not in self._last:
            self._last.clear()
            try:
                self._last[name] = load_labels(self.tasks[name], folder=self.folders.get(name), masks=False)
            except UserError as error:
                self.missing[name] = error
                raise
        return self._last[name]
