"""Ready cards of public encoders: one TOML file each, written by `tools/catalogue_cards.py` from looked-up facts."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from bench.encoders.open_card import OpenCard
from bench.strict import read_toml

FOLDER = Path(__file__).parent


def paths() -> dict[str, Path]:
    """Name -> TOML file of every card, in order of the name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


@cache
def cards() -> dict[str, OpenCard]:
    """Name -> card."""
    return {name: OpenCard.parse(read_toml(path), where=path) for name, path in paths().items()}


def card_from(**wanted: str) -> OpenCard | None:
    """The card whose source has these values, e.g. `repository="facebook/dinov2-small"`."""
    return next((c for c in cards().values() if wanted.items() <= c.source.items()), None)
