"""The contract of an executor."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeVar

Job = TypeVar("Job")
Work = Callable[[Job], int]
"""Does a job, returns how many units it wrote. A module-level function, so that it can be sent elsewhere."""
Done = Callable[[Job, int], None]
PARALLEL = 64
"""SLURM jobs that run at a time, where nothing else is said."""


@dataclass(frozen=True)
class Resources:
    """What an executor may use. workers None: as many as there are GPUs, or one for each `threads` CPU cores."""

    workers: int | None = None
    address: str | None = None
    """Address of a Ray cluster; None starts a local one."""
    partition: str | None = None
    """SLURM partition."""
    minutes: int = 240
    """SLURM time limit of one job."""
    log_folder: str = "runs/.slurm"
    gpus: int = 0
    """GPUs of one SLURM job, whatever the machine has that sends it: an encoder computes on one."""
    cpus: int = 4
    """Cores of one SLURM job."""

    def asks(self, jobs: int) -> str:
        """What SLURM will be asked for, in a sentence."""
        where = f"partition {self.partition}" if self.partition else "the default partition"
        return (
            f"SLURM: {jobs} jobs, at most {self.workers or PARALLEL} at a time, in {where}; each {self.gpus} GPU, "
            f"{self.cpus} cores, {self.minutes} minutes; logs in {self.log_folder}"
        )


class Executor(ABC):
    """Runs jobs. Write `run`; raise what a job raised, after the others that had begun are finished."""

    name: ClassVar[str]

    @abstractmethod
    def run(self, work: Work[Job], jobs: Sequence[Job], done: Done[Job], resources: Resources) -> None:
        """Do every job once, in any order; call `done(job, units)` in this process as each finishes."""
