"""Ready cards of public encoders: one TOML file each, written by `tools/catalogue_cards.py` from looked-up facts."""

from functools import cache
from pathlib import Path

from bench.encoders.card import OpenCard
from bench.errors import CardError
from bench.strict import did_you_mean, read_toml
from bench.words import size_class

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


def size_of(card: OpenCard) -> str:
    """Its size class; "unknown" where the card does not say its parameters."""
    return size_class(card.parameters) if card.parameters else "unknown"


def words_of(card: OpenCard) -> set[str]:
    """What an encoder can be chosen by, in lower case."""
    said = (card.paradigm, card.objective, card.domain, card.access, card.family, card.comparable)
    return {size_of(card), "all", *(word.lower() for word in said if word)}


def chosen(words: str) -> dict[str, OpenCard]:
    """The cards that all of "small+histology" hold for. Raises CardError for a word of no card, and for no card."""
    wanted = [word.strip().lower() for word in words.split("+")]
    known = sorted(set().union(*map(words_of, cards().values())))
    for word in wanted:
        if word not in known:
            raise CardError(f"no card of the catalogue is {word[:80]!r}", fix=did_you_mean(word, known))
    if not (found := {name: card for name, card in cards().items() if words_of(card).issuperset(wanted)}):
        raise CardError(f"no card of the catalogue is {' and '.join(wanted)[:200]}", fix="see 'medssl list encoders'")
    return found
