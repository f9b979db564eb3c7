"""`adapter = "timm"`: an architecture of timm with the author's weights (safetensors, or `.pth` read weights-only)."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from torch import Tensor

from bench.encoders.address import Url, fetch_url
from bench.encoders.architectures import build
from bench.encoders.base import Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.hub import Repository, Revision, fetch
from bench.encoders.networks import TimmEncoder
from bench.encoders.open_clip_text import OPEN_CLIP, OPEN_CLIP_WEIGHTS, open_clip_text
from bench.encoders.source import EncoderSource, Place
from bench.encoders.statedict import KeyMapping, fit, state_at, under
from bench.encoders.text import TextTower
from bench.encoders.text_files import ABOUT, TOKENIZER
from bench.encoders.weights import in_package, inside, read_state, verify
from bench.errors import EncoderError
from bench.strict import Line, Sha256

Options = dict[str, int | float | bool | str | list[int] | list[float]]


class TimmSource(EncoderSource):
    """Keys of the `[source]` table; see docs/encoders.md."""

    name = "timm"
    places = frozenset({"weights", "sha256", "package", "repository", "revision"})
    adapter: Literal["timm"]
    model: Line
    weights: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    sha256: Sha256 | None = None
    package: Line | None = None
    """Installed Python distribution that holds the weights file; nothing of it is imported."""
    repository: Repository | None = None
    """Hugging Face repository that holds the weights file, at the commit `revision`."""
    revision: Revision | None = None
    url: Url | None = None
    """Address of the weights file, outside any hub; instead of `weights`."""
    entry: Line | None = None
    """Dotted path to the state dict inside the file."""
    prefix: Annotated[str, Field(max_length=200)] = ""
    drop: Annotated[list[Line], Field(max_length=50)] = []
    key_mapping: KeyMapping = "by-name"
    num_classes: Annotated[int, Field(ge=0, le=100_000)] = 0
    """Width of the classifier the file holds; it is loaded, then taken off."""
    options: Options = {}

    def load(self, card: EncoderCard, place: Place) -> Encoder:
        path = self._find(card, place)
        sha256 = verify(path, self.sha256, where=card.name)
        state = under(self._held(path, card), self.prefix, where=card.name)
        make = partial(build, card, self.model, options=self.options, num_classes=self.num_classes)
        state, notes = fit(make(skeleton=True), state, self.drop, self.key_mapping, where=card.name)
        network = make()
        network.load_state_dict(state, strict=True)
        if self.num_classes:
            reset = network.reset_classifier
            assert callable(reset)
            reset(0)
        encoder = TimmEncoder(card, network)
        encoder.weights_sha256, encoder.notes = sha256, notes
        if path.name in OPEN_CLIP_WEIGHTS:
            encoder.reads_text = partial(self._text, encoder, path, place)
        return encoder

    def own_files(self, folder: Path) -> list[str]:
        own = super().own_files(folder)
        beside = [Path(name).parent / text for name in own for text in (OPEN_CLIP, TOKENIZER, ABOUT)]
        of_two = own and Path(own[0]).name in OPEN_CLIP_WEIGHTS
        return own + [str(name) for name in beside if of_two and (folder / name).is_file()]

    def _held(self, path: Path, card: EncoderCard) -> dict[str, Tensor]:
        return state_at(read_state(path, where=card.name), self.entry, where=card.name)

    def _text(self, encoder: Encoder, path: Path, place: Place) -> TextTower:
        """The text tower in the same file, by the files of open_clip beside it."""
        card = encoder.card
        return open_clip_text(encoder, lambda name: self._beside(name, card, place), self._held(path, card))

    def _beside(self, name: str, card: EncoderCard, place: Place) -> Path:
        assert self.weights is not None
        beside = (Path(self.weights).parent / name).as_posix()
        return self.model_copy(update={"weights": beside})._find(card, place)

    def _find(self, card: EncoderCard, place: Place) -> Path:
        if self.package is not None and self.repository is not None:
            raise EncoderError("give either 'source.package' or 'source.repository'", where=card.name)
        if self.url is not None and self.weights is None:
            return fetch_url(self.url, where=card.name)
        if self.url is not None or self.weights is None:
            raise EncoderError("give either 'source.weights' or 'source.url'", where=card.name)
        if self.repository is not None:
            return fetch(self.repository, self.weights, self.revision, where=card.name)
        if self.package is not None:
            return in_package(self.package, self.weights, where=card.name)
        return inside(self.weights, place, where=card.name)


SOURCE = TimmSource
