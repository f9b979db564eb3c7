"""A file or folder of weights without a card: recognised as `medssl new --from` does, for runs of one's own."""

import re
from pathlib import Path

from bench.encoders.architectures import BLANK
from bench.encoders.card import EncoderCard
from bench.encoders.folders import OPEN_CLIP
from bench.encoders.hub_config import CONFIG
from bench.encoders.normalisations import of_imagenet
from bench.encoders.open_card import NOT_STATED
from bench.encoders.recognise import Recognised, recognise
from bench.errors import EncoderError

USUAL_SIZE = 224
"""Side of the image a program is run on where nobody says which it takes."""
IMAGENET = "mean and std of ImageNet: the file does not say them"


def without_card(path: Path) -> bool:
    """Whether `path` is a file or a folder of weights, and neither a card nor a folder that holds one."""
    if path.is_dir():
        return any((path / name).is_file() for name in (CONFIG, OPEN_CLIP)) and not (path / "encoder.toml").exists()
    return path.is_file() and path.suffix != ".toml"


def card_of(path: Path, model: str | None = None, *, trust_code: bool = False) -> EncoderCard:
    """A card for what `path` holds; what only people know is "unknown" or "not stated" on it.

    model: the timm architecture, where names and shapes do not tell. trust_code: a program may be run once.
    Raises EncoderError when it is not recognised, or leaves open what decides the features.
    """
    found = recognise(path, model, run_at=USUAL_SIZE if trust_code else None)
    options = found.source.get("options", {})
    if blank := next((key for key in BLANK if options.get(key) == 0), None):
        fix = f"write a card with 'medssl new NAME --from' and fill in {blank}; {BLANK[blank]}"
        raise EncoderError(f"its shapes do not tell {blank}", where=path, fix=fix)
    values = {
        "schema": 1, "name": _plain(path), "version": "1", "title": path.name, "authors": [NOT_STATED],
        "licence": NOT_STATED, "paradigm": "unknown", "objective": "unknown", "method": NOT_STATED,
        "architecture": found.architecture, "source": found.source, "features": {"pooling": found.pooling},
        "description": f"Made from the file alone. Assumed: {'; '.join(assumed(found))}.",
        "preprocessing": preprocessing(found),
    }  # fmt: skip
    return EncoderCard.parse(values, where=path)


def assumed(found: Recognised) -> tuple[str, ...]:
    """What neither the file nor anybody said."""
    return found.assumed if found.stated else (*found.assumed, IMAGENET)


def preprocessing(found: Recognised) -> dict[str, object]:
    """Keys of `[preprocessing]`: what the files say, else ImageNet's mean and std."""
    return found.stated or {"size": found.size, **of_imagenet(found.channels)}


def _plain(path: Path) -> str:
    stem = path.name if path.is_dir() else path.name.split(".")[0]
    return re.sub(r"[^a-z0-9_-]", "-", stem.lower())[:64].strip("-_") or "weights"
