"""`adapter = "reference"`: encoders that learned nothing; what any pretraining has to beat."""

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from bench.encoders.architectures import build
from bench.encoders.base import Encoded, Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.networks import TimmEncoder
from bench.encoders.source import EncoderSource, Place
from bench.errors import EncoderError
from bench.files import sha256_arrays
from bench.strict import Line


class ReferenceSource(EncoderSource):
    """Keys of the `[source]` table: what kind, and the network and seed of a random initialisation."""

    name = "reference"
    adapter: Literal["reference"]
    kind: Literal["random-init", "raw-pixels", "colour-histogram"]
    model: Line | None = None
    seed: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    options: dict[str, int | float | bool | str | list[int]] = {}
    cells: Annotated[int, Field(ge=1, le=128)] = 16
    """Cells along each side of the patch grid of raw pixels and histograms."""
    bins: Annotated[int, Field(ge=2, le=256)] = 32
    """Bins a channel of the histogram."""

    def load(self, card: EncoderCard, place: Place) -> Encoder:
        if self.kind == "raw-pixels":
            return RawPixels(card, self.cells)
        if self.kind == "colour-histogram":
            return ColourHistogram(card, self.cells, self.bins)
        if self.model is None:
            raise EncoderError("a random initialisation needs 'source.model', a timm name", where=card.name)
        encoder = TimmEncoder(card, build(card, self.model, options=self.options, seed=self.seed))
        encoder.weights_sha256 = sha256_arrays({k: v.numpy() for k, v in encoder.module.state_dict().items()})
        return encoder


class RawPixels(Encoder):
    """The prepared image itself: pooled (n, channels * s * s); grid of blocks (n, cells, cells, channels * b * b)."""

    def __init__(self, card: EncoderCard, cells: int) -> None:
        super().__init__(card)
        self._cells = cells

    def forward(self, x: Tensor, dense: bool) -> Encoded:
        blocks = _blocks(x, self._cells, self.card.name).flatten(3) if dense else None
        return Encoded(x.flatten(1), blocks)


class ColourHistogram(Encoder):
    """Share of pixels in each of `bins` equal bins of [0, 1], a channel at a time; pooled (n, channels * bins)."""

    def __init__(self, card: EncoderCard, cells: int, bins: int) -> None:
        super().__init__(card)
        self._cells, self._bins = cells, bins

    def forward(self, x: Tensor, dense: bool) -> Encoded:
        pooled = self._count(x.flatten(2)).flatten(1)
        if not dense:
            return Encoded(pooled, None)
        blocks = _blocks(x, self._cells, self.card.name).flatten(4)
        return Encoded(pooled, self._count(blocks).flatten(3))

    def _count(self, values: Tensor) -> Tensor:
        """(..., pixels) in [0, 1] -> (..., bins), each row summing to 1."""
        bins = (values * self._bins).long().clamp_(0, self._bins - 1)
        counts = values.new_zeros((*values.shape[:-1], self._bins))
        counts.scatter_add_(-1, bins, torch.ones_like(values))
        return counts / values.shape[-1]


def _blocks(x: Tensor, cells: int, where: str) -> Tensor:
    """(n, c, s, s) -> (n, cells, cells, c, b, b), row-major from the top left."""
    n, c, s, _ = x.shape
    if s % cells:
        raise EncoderError(f"size {s} is not a multiple of {cells} cells", where=where)
    b = s // cells
    return F.unfold(x, b, stride=b).reshape(n, c, b, b, cells, cells).permute(0, 4, 5, 1, 2, 3)


SOURCE = ReferenceSource
