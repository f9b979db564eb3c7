"""Progress of a build, in words."""

from collections.abc import Callable

Told = Callable[[str], None]
"""Hears of each step."""


def silent(line: str) -> None:
    """Tells nobody."""
