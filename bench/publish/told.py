"""Progress of a build, in words."""

from __future__ import annotations

from collections.abc import Callable

Told = Callable[[str], None]
"""Hears of each step."""


def silent(line: str) -> None:
    """Tells nobody."""
