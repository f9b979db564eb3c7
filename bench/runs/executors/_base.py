"""The contract of an executor."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, TypeVar

from bench.runs.options import Resources

Job = TypeVar("Job")
Work = Callable[[Job], int]
"""Does a job, returns how many units it wrote. A module-level function, so that it can be sent elsewhere."""
Done = Callable[[Job, int], None]


class Executor(ABC):
    """Runs jobs. Write `run`; raise what a job raised, after the others that had begun are finished."""

    name: ClassVar[str]

    @abstractmethod
    def run(self, work: Work[Job], jobs: Sequence[Job], done: Done[Job], resources: Resources) -> None:
        """Do every job once, in any order; call `done(job, units)` in this process as each finishes."""
