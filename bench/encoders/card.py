"""`encoder.toml`: what an encoder is, where its weights are, and how images must be prepared for it."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from bench.errors import CardError
from bench.files import canonical_json, sha256_text
from bench.strict import Line, Millimetres, Name, Prose, Strict, plain_values, read_toml
from bench.toml import to_toml
from bench.words import Access, Domain, Grey, Objective, Paradigm, Pooling

Paper = Annotated[str, StringConstraints(pattern=r"^(arXiv:\d{4}\.\d{4,5}|doi:10\.[^\s<>\"']{1,200})$")]


MOST_MEAN, MOST_STD = 5.0, 10.0
"""Of values in [0, 1]; greater ones are of 0 to 255."""
BLUE_FIRST = (0.406, 0.456, 0.485)


class PretrainingCorpus(Strict):
    """One pretraining corpus. `corpus` is a name of the corpora vocabulary, or free text."""

    corpus: Line
    images: Annotated[int, Field(ge=0, le=10**12)] | None = None
    in_domain: bool | None = None


class Preprocessing(Strict):
    """From a uint8 image, or volume, to what the network takes. `mean`, `std` are for values scaled to [0, 1]."""

    size: Annotated[int, Field(ge=8, le=1024)]
    dense_size: Annotated[int, Field(ge=8, le=2048)] | None = None
    channels: Literal[1, 3] = 3
    mean: Annotated[list[Annotated[float, Field(ge=-1e4, le=1e4)]], Field(min_length=1, max_length=3)]
    std: Annotated[list[Annotated[float, Field(ge=1e-6, le=1e4)]], Field(min_length=1, max_length=3)]
    grey: Grey = "repeat"
    pad_to_square: bool = False
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    shorter_side: Annotated[int, Field(ge=8, le=2048)] | None = None
    """On global tasks: resize until the shorter side has this many pixels, then cut `size` x `size` out of the centre.
    None: nothing is cut off."""
    depth: Annotated[int, Field(ge=1, le=512)] | None = None
    """Planes of the volumes it takes, (n, channels, depth, size, size); None: it takes flat images."""
    spacing: Annotated[list[Millimetres], Field(min_length=3, max_length=3)] | None = None
    """mm between planes, rows and columns that volumes are brought to; then their centre is cut out, or filled up with
    black. None: volumes are resized."""

    input: Literal["hu"] | None = None
    """What it takes: 8 bits scaled to [0, 1] (None), or Hounsfield units, in which `mean` and `std` then are."""
    window: Annotated[list[Annotated[float, Field(ge=-1e4, le=1e5)]], Field(min_length=2, max_length=2)] | None = None
    """Hounsfield units below and above which values are cut; None: none are."""

    @property
    def later(self) -> set[str]:
        """Keys that the first cards did not have and this one does not set: hashes leave them out."""
        return {name for name in ("shorter_side", "depth", "spacing", "input", "window") if getattr(self, name) is None}

    @model_validator(mode="after")
    def _volume(self) -> Self:
        flat = {"dense_size": self.dense_size, "pad_to_square": self.pad_to_square, "shorter_side": self.shorter_side}
        if self.depth is not None and (set_ := [name for name, value in flat.items() if value]):
            raise ValueError(f"{set_[0]} is for flat images: a volume is resized, or brought to 'spacing'")
        if self.depth is None and self.spacing is not None:
            raise ValueError("spacing is for volumes: say their depth too")
        return self

    @model_validator(mode="after")
    def _units(self) -> Self:
        if self.window is not None and self.input is None:
            raise ValueError('window is in Hounsfield units: say input = "hu" too; of 8 bits the task says the window')
        if self.window is not None and self.window[0] >= self.window[1]:
            raise ValueError("the first value of a window is below the second")
        return self

    @model_validator(mode="after")
    def _crop(self) -> Self:
        if self.shorter_side is not None and self.shorter_side < self.size:
            raise ValueError(f"shorter_side {self.shorter_side} is below size {self.size}: no such crop can be cut out")
        if self.shorter_side is not None and self.pad_to_square:
            raise ValueError("shorter_side cuts off, pad_to_square fills up: choose one")
        return self

    @model_validator(mode="after")
    def _in_scale(self) -> Self:
        if self.input is None and (max(map(abs, self.mean)) > MOST_MEAN or max(self.std) > MOST_STD):
            of_one = [[round(v / 255, 4) for v in values] for values in (self.mean, self.std)]
            raise ValueError(
                f"mean and std are of values from 0 to 255; for 0 to 1 they are {of_one[0]} and {of_one[1]}"
            )
        if max(abs(a - b) for a, b in zip(self.mean, BLUE_FIRST, strict=False)) < 1e-3 and len(self.mean) == 3:
            fix = "write it for red, green, blue, and exchange the channels of a first convolution that takes BGR"
            raise ValueError(f"mean is that of ImageNet for blue, green, red, and images are RGB: {fix}")
        return self

    @model_validator(mode="after")
    def _one_or_each(self) -> Self:
        for key, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise ValueError(
                    f"{key} has {len(values)} values, expected 1 or one for each of {self.channels} channels"
                )
        return self


class FeatureChoice(Strict):
    """Which features represent the encoder: how tokens are pooled, and the layer (-1 is the last).

    `dense_layer` is the layer of the patch grid in dense tasks, where it is not `layer` (a CNN's finer stage).
    """

    pooling: Pooling = "native"
    layer: Annotated[int, Field(ge=-64, le=256)] = -1
    dense_layer: Annotated[int, Field(ge=-64, le=256)] | None = None

    def grid_layer(self, dense: bool) -> int:
        """Layer of the grid: `dense_layer` for a dense task where there is one, else `layer`."""
        return self.dense_layer if dense and self.dense_layer is not None else self.layer


LATER = ("repeat_of", "access", "paper", "comparable", "domain", "family", "parameters")
"""Optional keys that the first cards did not have."""


class OpenCard(Strict):
    """A card that may leave open `source.revision`, `source.sha256`, and what a repository says itself.

    That is the preprocessing, and of timm `source.model` and `source.options`.
    """

    schema_: Annotated[Literal[1], Field(alias="schema")]
    name: Name
    version: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]{0,31}$")]
    title: Line
    authors: Annotated[list[Line], Field(min_length=1, max_length=50)]
    licence: Line
    paradigm: Paradigm
    objective: Objective
    method: Line
    description: Prose = ""
    url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>\"']{1,300}$")] | None = None
    citation: Prose = ""
    architecture: Literal["vit", "cnn", "other", "none"]
    controlled_track: Line | None = None
    """Name of the controlled comparison this encoder belongs to (same network, images, compute), if any."""
    repeat_of: Name | None = None
    """The encoder this is another pretraining seed of, if any: it gets no rank and does not count again in claims."""
    access: Access | None = None
    """Who gets the weights; None: not looked up."""
    paper: Paper | None = None
    comparable: Name | None = None
    """Public set of encoders that differ in the objective alone (one network family, one corpus), if any."""
    domain: Domain | None = None
    family: Line | None = None
    """Network family and size, e.g. "ViT-S/16" or "ResNet-50"."""
    parameters: Annotated[int, Field(gt=0, le=10**13)] | None = None
    """Of the network, about; the size of a download is told from it beforehand."""
    pretraining: Annotated[list[PretrainingCorpus], Field(max_length=50)] | None = None
    """None: not disclosed. Empty list: none (random init, hand-made features)."""
    source: Annotated[dict[str, Any], AfterValidator(plain_values)]
    preprocessing: Preprocessing | None = None
    features: FeatureChoice = FeatureChoice()


class EncoderCard(OpenCard):
    """The whole of `encoder.toml`. `source` is checked by the module of `bench/encoders/sources` it names."""

    preprocessing: Preprocessing

    @property
    def volumetric(self) -> bool:
        """Whether it takes whole volumes; an encoder of flat images sees a volume slice by slice."""
        return self.preprocessing.depth is not None

    @property
    def sha256(self) -> str:
        """Hash of the card's meaning: independent of key order, comments and layout of the file.

        Keys added to the schema later count only where they are set, so that older cards keep their hash.
        """
        unset: dict[str, Any] = {name: True for name in LATER if getattr(self, name) is None}
        unset |= {"preprocessing": self.preprocessing.later} if self.preprocessing.later else {}
        return sha256_text(canonical_json(self.model_dump(mode="json", by_alias=True, exclude=unset)))

    def to_toml(self) -> str:
        """The card as TOML text; reading it gives an equal card with the same hash."""
        return to_toml(self.model_dump(mode="json", by_alias=True, exclude_none=True))


BLANKS = ("authors", "licence", "paradigm", "objective", "method")
"""What only its author knows about an encoder: `medssl new` leaves it empty where nobody says it."""


def refuse_blanks(values: dict[str, Any], where: object) -> None:
    """CardError naming every blank of a card that was written for its author to fill in."""
    if empty := [key for key in BLANKS if values.get(key) in ("", [""], [])]:
        words = {"paradigm": ", ".join(get_args(Paradigm)), "objective": ", ".join(get_args(Objective))}
        spoken = ", ".join(f"{key} ({words[key]})" if key in words else key for key in empty)
        many = "blanks" if len(empty) > 1 else "blank"
        raise CardError(f"{len(empty)} {many} to fill in: {spoken}", where=where)


def read_card(path: Path) -> EncoderCard:
    """Read `encoder.toml`, or the one inside a folder. Raises CardError."""
    path = path / "encoder.toml" if path.is_dir() else path
    values = read_toml(path)
    refuse_blanks(values, path)
    return EncoderCard.parse(values, where=path)
