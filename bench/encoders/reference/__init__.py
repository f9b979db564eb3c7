"""Cards of the reference encoders, which have learned nothing."""

from pathlib import Path

from bench.encoders.card import EncoderCard, read_card

FOLDER = Path(__file__).parent


def names() -> list[str]:
    """Names of the reference encoders that come with the package."""
    return sorted(path.stem for path in FOLDER.glob("*.toml"))


def cards() -> dict[str, EncoderCard]:
    """Name -> card of every reference encoder."""
    return {name: read_card(FOLDER / f"{name}.toml") for name in names()}
