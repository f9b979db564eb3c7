"""What an estimand finds in a table of results."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pandas as pd

from bench.strict import Strict


@dataclass(frozen=True)
class Measurement:
    """An effect with its evidence; `effect`, `low`, `high` in the claim's unit.

    p: two-sided; of a spread, which cannot be negative, one-sided.
    """

    effect: float
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n_encoders: int = 0
    n_tasks: int = 0
    n_modalities: int = 0
    groups: dict[str, int] = field(default_factory=dict)
    chart: list[dict[str, Any]] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)


class NotEnough(Exception):
    """The table holds nothing this estimand can be computed from; the message says what is missing."""


class Estimand(Strict, ABC):
    """One way to measure: its fields are a claim's `[settings]`.

    A child is one module of `bench/analysis/estimands` with `ESTIMAND = Child`; it sets `name` and writes `measure`.
    """

    name: ClassVar[str]
    repeats: ClassVar[bool] = False
    """Whether further pretraining seeds of an encoder count as encoders; else their rows do not reach `measure`."""

    @abstractmethod
    def measure(self, frame: pd.DataFrame, diagnostics: pd.DataFrame | None) -> Measurement:
        """The effect in a long table (bench.leaderboard.frame.COLUMNS). Raises NotEnough.

        diagnostics: one row an encoder (index: its name), one column a diagnostic, or None when none were computed.
        """
