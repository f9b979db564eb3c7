"""Where the time of a run went: forward passes, solvers, statistics, and the rest (reading, writing, hashing)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bench.runs.records import Record


@dataclass(frozen=True)
class Timing:
    """Seconds of the units made by one call of a run.

    wall: from start to end. forward: encoding images, or reading their features from the cache. solve: protocols.
    statistics: metrics and their intervals. All but `wall` are sums over the workers.
    """

    units: int
    wall: float
    forward: float
    solve: float
    statistics: float
    workers: int = 1
    features_mb: Mapping[str, float] = field(default_factory=dict)
    """The largest task's: on a GPU, and not there for want of room; {} where no GPU computed."""

    @property
    def rest(self) -> float:
        """Reading images, writing predictions and records, hashing, waiting for workers; never negative."""
        return max(0.0, self.wall * self.workers - self.forward - self.solve - self.statistics)

    def __str__(self) -> str:
        if not self.units:
            return "nothing was left to do"
        parts = {
            "forward": self.forward,
            "solve": self.solve,
            "statistics": self.statistics,
            "I/O and the rest": self.rest,
        }
        total = max(sum(parts.values()), 1e-9)
        shares = ", ".join(f"{name} {seconds:.1f} s ({seconds / total:.0%})" for name, seconds in parts.items())
        by = f" by {self.workers} workers" if self.workers > 1 else ""
        lay = self.features_mb
        on = f"; features on the GPU {lay['device']:,.0f} MB, spilled {lay['host']:,.0f} MB" if lay else ""
        return f"{self.units} units in {self.wall:.1f} s{by}: {shares}{on}"


def timing(made: Iterable[Record], wall: float, workers: int = 1) -> Timing:
    """The split of `wall` seconds over the units `made` in them.

    Features are shared by the units of a task, so each record holds the seconds spent on them so far: the largest
    of a task counts.
    """
    made = list(made)
    forward: dict[str, float] = {}
    for record in made:
        seconds = record.cost.seconds.get("extract", 0.0)
        forward[record.unit.task] = max(forward.get(record.unit.task, 0.0), seconds)
    solve, statistics = (sum(r.cost.seconds.get(stage, 0.0) for r in made) for stage in ("solve", "score"))
    lay = [r.cost.features_mb for r in made if r.cost.features_mb]
    largest = {where: max(mb[where] for mb in lay) for where in ("device", "host")} if lay else {}
    return Timing(len(made), wall, sum(forward.values()), solve, statistics, workers, largest)
