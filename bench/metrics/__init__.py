"""Metrics of predictions against labels. The set of them has a version, which suites state and records carry."""

from typing import Annotated, Any

from pydantic import AfterValidator

SCORING = 3
"""Current version of the set of metrics: 1 scored the first records, which do not say so."""


def known_scoring(version: int) -> int:
    """`version`, where this package can compute it. Raises ValueError for one it does not know."""
    if not 1 <= version <= SCORING:
        raise ValueError(
            f"scoring version {version} is not known here (versions 1 to {SCORING} are); a newer medssl is needed"
        )
    return version


Scoring = Annotated[int, AfterValidator(known_scoring)]
"""A scoring version in a card or record."""


def __getattr__(name: str) -> Any:
    """`bench.metrics.score`, imported when it is asked for: cards read this module for the version alone."""
    if name == "score":
        from bench.metrics.scored import score

        return score
    raise AttributeError(name)
