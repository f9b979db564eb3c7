"""One job after the other, in this process."""

from collections.abc import Sequence

from bench.runs.executors._base import Done, Executor, Job, Work
from bench.runs.options import Resources


class Serial(Executor):
    """The plainest executor, and the reference for the others."""

    name = "serial"

    def run(self, work: Work[Job], jobs: Sequence[Job], done: Done[Job], resources: Resources) -> None:
        for job in jobs:
            done(job, work(job))


EXECUTOR = Serial()
