"""What a run consists of: every unit of a suite, grouped by task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.data.task import ProtocolUse, Suite, Task, read_suite, shipped_tasks, tasks_in
from bench.discover import members, pick
from bench.errors import CardError
from bench.protocols.base import Protocol
from bench.runs.records import Unit


@dataclass(frozen=True)
class Plan:
    """A suite with its tasks, the folder their relative paths start from, and its protocols.

    selected: names of the tasks to run, all of them unless some were asked for.
    """

    suite: Suite
    tasks: Mapping[str, Task]
    folders: Mapping[str, Path | None]
    protocols: Mapping[str, Protocol]
    selected: tuple[str, ...]

    def units(self, task: Task) -> list[Unit]:
        """Every unit of one task, in the order of the suite; protocols of the other kind have none."""
        return [unit for use in self.suite.protocols for unit in self._units_of(task, use)]

    def _units_of(self, task: Task, use: ProtocolUse) -> list[Unit]:
        protocol = self.protocols[use.name]
        if protocol.kind != task.kind:
            return []
        return [
            Unit(task=task.name, protocol=use.name, budget=budget, seed=seed)
            for budget in use.budgets
            for seed in range(use.seeds if budget != "100%" or protocol.seeded else 1)
        ]

    @property
    def n_units(self) -> int:
        """Number of units of the whole run."""
        return sum(len(self.units(self.tasks[name])) for name in self.selected)


LOCAL_PROTOCOLS = {
    "knn-v1": (["100%"], 1),
    "linear-v1": (["1%", "10%", "100%"], 5),
    "dense-linear-v1": (["10%", "100%"], 5),
}


def make_plan(suite: str | Path | None, tasks: Path | None = None, only: tuple[str, ...] = ()) -> Plan:
    """The plan of a suite, of a folder of one's own task cards, or of a suite whose tasks lie in that folder.

    only: names of tasks to run; all of the suite when empty.
    Raises CardError for unknown names and for a folder without cards.
    """
    own = tasks_in(tasks) if tasks else {}
    if tasks and not own:
        raise CardError("holds no task cards (*.toml)", where=tasks)
    known = {**shipped_tasks(), **own}
    chosen = read_suite(suite) if suite else _local_suite(own)
    if tasks and suite is not None and not set(own) & set(chosen.tasks):
        chosen = chosen.model_copy(update={"tasks": sorted(own)})
    for name in only:
        pick(dict.fromkeys(chosen.tasks), name, what="task", where=chosen.name)
    available = members("bench.protocols", "PROTOCOL")
    return Plan(
        chosen,
        {name: pick(known, name, what="task", where=chosen.name) for name in chosen.tasks},
        {name: tasks if name in own else None for name in chosen.tasks},
        {use.name: pick(available, use.name, what="protocol", where=chosen.name) for use in chosen.protocols},
        tuple(name for name in chosen.tasks if not only or name in only),
    )


def _local_suite(own: Mapping[str, Task]) -> Suite:
    """A suite of one's own tasks under the common frozen protocols."""
    uses = [ProtocolUse(name=n, budgets=budgets, seeds=seeds) for n, (budgets, seeds) in LOCAL_PROTOCOLS.items()]
    return Suite.parse(
        {
            "schema": 1,
            "name": "local",
            "title": "Own tasks",
            "tasks": sorted(own),
            "protocols": [use.model_dump() for use in uses],
        },
        where="own tasks",
    )
