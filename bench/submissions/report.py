"""What a verification found."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bench.words import Badge


@dataclass
class VerificationReport:
    """Outcome of a verification: `problems` is empty when the submission is accepted.

    alarms: what is not wrong by itself but should be looked at by a person, or answered with a rerun.
    largest_difference: between a score as sent and as recomputed.
    """

    folder: Path
    badge: Badge = "declared"
    checked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    alarms: list[str] = field(default_factory=list)
    done: int = 0
    """Units that are done, of the suites that were looked at."""
    units: int = 0
    """Of these, units of which every number was recomputed from what was sent."""
    unchecked: int = 0
    """Units of a compact submission that carry no whole predictions: only a rerun can check them."""
    condensed: int = 0
    """Of these, units whose primary metric was recomputed from condensed predictions."""
    rerun: int = 0
    """Units that were run again from the weights."""
    largest_difference: float = 0.0
    metrics: dict[str, set[bool]] = field(default_factory=dict)
    """Metric -> whether records hold it, where it can be recomputed: both where some do and some do not."""

    def add(self, other: VerificationReport) -> None:
        """Add what was found on another suite of the same submission."""
        for name in ("checked", "problems", "alarms"):
            getattr(self, name).extend(getattr(other, name))
        for name in ("done", "units", "unchecked", "condensed", "rerun"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.largest_difference = max(self.largest_difference, other.largest_difference)

    @property
    def accepted(self) -> bool:
        """Whether nothing was found wrong."""
        return not self.problems
