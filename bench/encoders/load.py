"""From a card to a ready encoder."""

from pathlib import Path

from bench.discover import members, pick
from bench.encoders import catalogue, reference
from bench.encoders.base import Encoder
from bench.encoders.card import EncoderCard, OpenCard, read_card
from bench.encoders.from_file import card_of, without_card
from bench.encoders.names import named
from bench.encoders.open_card import pinned
from bench.encoders.source import EncoderSource, Place
from bench.errors import CardError
from bench.strict import did_you_mean

CATALOGUE = catalogue.FOLDER
REFERENCE = reference.FOLDER
EXAMPLES = Path(__file__).parent / "examples"
"""Cards that can be loaded by name too, but need a package or weights that do not come with this one."""

NAMES = "give a folder with encoder.toml, or a name of 'medssl list encoders'"


def load_encoder(
    path_or_name: str | Path, *, model: str | None = None, trust_code: bool = False, allow_outside: bool = False
) -> Encoder:
    """The encoder of a card: a file, a folder with `encoder.toml`, or a name; or of weights without a card.

    A name is that of a reference encoder or of a card of the catalogue, `timm:TAG` or `hf:OWNER/NAME`; what it leaves
    open is pinned first (`bench.encoders.lock`).
    model: timm architecture of a weights file whose shapes do not tell it.
    trust_code: allow adapters that run code of the author (Python file, TorchScript).
    allow_outside: allow weights outside the card's folder (absolute paths, links that lead out).
    Raises CardError for the card, EncoderError when the encoder cannot be loaded.
    """
    card, folder = find_card(path_or_name, model, trust_code=trust_code)
    return load_card(card, Place(folder, trust_code, allow_outside))


def load_card(card: EncoderCard, place: Place) -> Encoder:
    """The encoder of a card that has been read already. Raises as `load_encoder`."""
    return source_of(card, where=place.folder).load(card, place)


def source_of(card: EncoderCard, *, where: object) -> EncoderSource:
    """The card's `[source]` table, checked by the adapter it names. Raises CardError."""
    adapters = members("bench.encoders.sources", "SOURCE")
    if not isinstance(adapter := card.source.get("adapter"), str):
        raise CardError("missing key 'source.adapter'", where=where, fix=f"one of: {', '.join(sorted(adapters))}")
    return pick(adapters, adapter, what="adapter", where=where).parse(card.source, where=f"{where} [source]")


def find_card(
    path_or_name: str | Path, model: str | None = None, *, trust_code: bool = False
) -> tuple[EncoderCard, Path]:
    """The card of a path, a folder or a name, everything in it pinned, and the folder its files are relative to.

    Weights that have no card get one made of what they show; `model` names their architecture where shapes do not tell,
    and with trust_code a program is run once to see what it returns.
    Raises CardError with the nearest name, EncoderError when what a name stands for cannot be had.
    """
    if without_card(path := Path(path_or_name)):
        return card_of(path, model, trust_code=trust_code), path.parent
    if model is not None:
        raise CardError("--model is for weights without a card", where=path_or_name, fix="leave it out")
    if (card := open_card(path_or_name)) is not None:
        return pinned(card), CATALOGUE
    path = card_path(path_or_name)
    return read_card(path), path.parent


def open_card(path_or_name: str | Path) -> OpenCard | None:
    """The card of the catalogue, of a `timm:` or of an `hf:` name as it is before it is pinned; None for any other."""
    name = str(path_or_name)
    if Path(name).exists():
        return None
    return catalogue.cards()[name] if name in catalogue.paths() else named(name)


def card_path(path_or_name: str | Path) -> Path:
    """The TOML file of a path, a folder, or a shipped encoder's name. Raises CardError with the nearest name."""
    path = Path(path_or_name)
    if not str(path_or_name).strip():
        raise CardError("no encoder is named", fix=NAMES)
    if path.is_dir():
        if not (path / "encoder.toml").is_file():
            raise CardError("holds no encoder.toml", where=path, fix="'medssl new' writes one")
        return path / "encoder.toml"
    if path.suffix == ".toml" or path.exists() or len(path.parts) > 1:
        return path
    shipped = {p.stem: p for folder in (EXAMPLES, REFERENCE) for p in sorted(folder.glob("*.toml"))}
    if str(path_or_name) in shipped:
        return shipped[str(path_or_name)]
    here = [p.parent.name for p in Path().glob("*/encoder.toml")]
    fix = did_you_mean(str(path_or_name), [*here, *shipped, *catalogue.paths()], NAMES)
    raise CardError(f"no folder, card or known encoder {str(path_or_name)[:80]!r}", fix=fix)
