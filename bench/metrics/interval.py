"""A metric's value with its interval."""

import math
from typing import Annotated, Self

from pydantic import Field, model_validator

from bench.strict import Strict

MOST = 1e6
Score = Annotated[float, Field(ge=-MOST, le=MOST)]
"""A metric: shares, coefficients, and distances in pixels."""


class Interval(Strict):
    """A metric with its 95 % bootstrap interval; `low` and `high` are None where none is computed."""

    value: Score
    low: Score | None = None
    high: Score | None = None

    @property
    def standard_error(self) -> float:
        """That of a normal law with this interval; NaN where there is none."""
        return math.nan if self.low is None or self.high is None else (self.high - self.low) / (2 * 1.959964)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low != self.high and (self.low is None or self.high is None or self.low > self.high):
            raise ValueError("has no lower end below its upper one")
        return self
