"""From a card to a ready encoder."""

from __future__ import annotations

from pathlib import Path

from bench.discover import members, pick
from bench.encoders.base import Encoder
from bench.encoders.card import EncoderCard, read_card
from bench.encoders.source import EncoderSource, Place
from bench.errors import CardError
from bench.strict import nearest

REFERENCE = Path(__file__).parent / "reference"
EXAMPLES = Path(__file__).parent / "examples"
"""Cards that can be loaded by name too, but need a package or weights that do not come with this one."""


def load_encoder(path_or_name: str | Path, *, trust_code: bool = False, allow_outside: bool = False) -> Encoder:
    """The encoder of a card: a file, a folder with `encoder.toml`, or the name of a reference encoder.

    trust_code: allow adapters that run code of the author (Python file, TorchScript).
    allow_outside: allow weights outside the card's folder (absolute paths, links that lead out).
    Raises CardError for the card, EncoderError when the encoder cannot be loaded.
    """
    path = card_path(path_or_name)
    return load_card(read_card(path), Place(path.parent, trust_code, allow_outside))


def load_card(card: EncoderCard, place: Place) -> Encoder:
    """The encoder of a card that has been read already. Raises as `load_encoder`."""
    return source_of(card, where=place.folder).load(card, place)


def source_of(card: EncoderCard, *, where: object) -> EncoderSource:
    """The card's `[source]` table, checked by the adapter it names. Raises CardError."""
    adapters = members("bench.encoders.sources", "SOURCE")
    if not isinstance(adapter := card.source.get("adapter"), str):
        raise CardError("missing key 'source.adapter'", where=where, fix=f"one of: {', '.join(sorted(adapters))}")
    return pick(adapters, adapter, what="adapter", where=where).parse(card.source, where=f"{where} [source]")


def card_path(path_or_name: str | Path) -> Path:
    """The TOML file of a path, a folder, or a reference encoder's name. Raises CardError with the nearest name."""
    path = Path(path_or_name)
    if path.is_dir():
        if not (path / "encoder.toml").is_file():
            raise CardError("holds no encoder.toml", where=path, fix="'medssl new' writes one")
        return path / "encoder.toml"
    if path.suffix == ".toml" or path.exists() or len(path.parts) > 1:
        return path
    shipped = {p.stem: p for folder in (EXAMPLES, REFERENCE) for p in sorted(folder.glob("*.toml"))}
    if str(path_or_name) in shipped:
        return shipped[str(path_or_name)]
    names = list(shipped)
    near = nearest(str(path_or_name), names)
    fix = f"did you mean {near!r}?" if near else f"give a folder with encoder.toml, or one of: {', '.join(names)}"
    raise CardError(f"no folder, card or reference encoder {str(path_or_name)[:80]!r}", fix=fix)


def reference_names() -> list[str]:
    """Names of the reference encoders that come with the package."""
    return sorted(p.stem for p in REFERENCE.glob("*.toml"))


def reference_cards() -> dict[str, EncoderCard]:
    """Name -> card of every reference encoder."""
    return {name: read_card(REFERENCE / f"{name}.toml") for name in reference_names()}
