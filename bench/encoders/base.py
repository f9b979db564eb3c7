"""The contract of an encoder: uint8 images or volumes in, a global vector and (where it has one) a patch grid out."""

from __future__ import annotations

import copy
import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from torch import Tensor

from bench.encoders.card import EncoderCard, Preprocessing
from bench.encoders.features import Features
from bench.errors import EncoderError, NotForThisEncoderError

if TYPE_CHECKING:
    from bench.encoders.text import TextTower


NO_TEXT = "CLIP and SigLIP have one: 'medssl new NAME --from FOLDER' takes those of transformers, open_clip"


@dataclass(frozen=True, slots=True)
class Encoded:
    """Features of one batch.

    pooled: float32 (n, d), the global vector.
    grid: float32 (n, gh, gw, c), the patch grid, row-major from the top left; of an encoder of volumes
        (n, gd, gh, gw, c), from the first plane; None when the encoder has none.
    """

    pooled: Tensor
    grid: Tensor | None


class Encoder(ABC):
    """A frozen network. Write `forward`; leave `encode` alone (it prepares, runs and checks).

    A whole child:

    >>> class MeanColour(Encoder):
    ...     def forward(self, x, dense):
    ...         return Encoded(x.mean((2, 3)), x.permute(0, 2, 3, 1) if dense else None)
    """

    precomputed: ClassVar[bool] = False
    """True when features are looked up by image id instead of computed (see `sources/embeddings.py`)."""

    def __init__(self, card: EncoderCard) -> None:
        self.card = card
        self.device = torch.device("cpu")
        self.weights_sha256: str | None = card.source.get("sha256")
        """SHA-256 of the weights file, or of the tensors of a seeded network; None when there is neither."""
        self.notes: tuple[str, ...] = ()
        """What loading did to the weights beyond reading them, in words ("pos_embed resampled from ... to ...")."""
        self.autocast: torch.dtype | None = None
        """Type the network computes in; None is float32. Set by `bench.features.device.place`."""
        self.reads_text: Callable[[], TextTower] | None = None
        """Loads the text tower of a model of two, which most runs do not ask for; None where there is none."""
        self._channels_last = False
        self._compiled: Callable[[Tensor, bool], Encoded] | None = None

    @abstractmethod
    def forward(self, x: Tensor, dense: bool) -> Encoded:
        """Features of `x`: float32 (n, channels, size, size), normalised; for an encoder of volumes, whose card says a
        depth, (n, channels, depth, size, size). `grid` is needed only when `dense`."""

    @property
    def module(self) -> torch.nn.Module | None:
        """The trainable network behind the encoder, for fine-tuning and FLOPs; None when there is none."""
        return None

    @property
    def parameters(self) -> int:
        """Number of parameters of the network; 0 when there is none."""
        return sum(p.numel() for p in self.module.parameters()) if self.module is not None else 0

    def text_tower(self) -> TextTower:
        """The text half of an image-text encoder. Raises NotForThisEncoderError where there is none."""
        return self._loaded_text

    @cached_property
    def _loaded_text(self) -> TextTower:
        if self.reads_text is None:
            raise NotForThisEncoderError("has no text tower", where=self.card.name, fix=NO_TEXT)
        if self.card.features.pooling != "native" or self.card.features.layer != -1:
            what = "its text tower goes with the model's own global vector, and the card chooses another"
            raise NotForThisEncoderError(what, where=self.card.name, fix="pooling = 'native', without 'layer'")
        return self.reads_text()

    def to(self, device: torch.device | str) -> Encoder:
        """Move the network to a device; returns self."""
        self.device = torch.device(device)
        if self.module is not None:
            self.module.to(self.device)
        return self

    def use_channels_last(self) -> None:
        """Lay images and convolution weights out as a GPU reads them best."""
        if self.module is not None:
            self.module.to(memory_format=self._last)
            self._channels_last = True

    @property
    def _last(self) -> torch.memory_format:
        return torch.channels_last_3d if self.card.volumetric else torch.channels_last

    def compile(self) -> None:
        """Run the forward pass of a torch network through torch.compile from now on."""
        if self.module is not None:
            self._compiled = torch.compile(self.forward, dynamic=False)

    @property
    def precision(self) -> str:
        """ "fp32" or "bf16", as a record states it."""
        return "fp32" if self.autocast is None else "bf16"

    @property
    def execution(self) -> str:
        """How it computes, in words: the precision, then "compiled" and "deterministic" where they are so."""
        ways = {"compiled": self._compiled is not None, "deterministic": torch.are_deterministic_algorithms_enabled()}
        return " ".join([self.precision, *(way for way, is_so in ways.items() if is_so)])

    @property
    def layout(self) -> str:
        """Kind of device and order of the channels: they may change the last bits of a feature."""
        return f"{self.device.type} channels-last" if self._channels_last else self.device.type

    def weights_for(self, task: str) -> str | None:
        """SHA-256 of the weights as they are now, tensor by tensor; of the weights file where there is no network.

        task: a name; it matters only to features computed elsewhere, which are held task by task.
        """
        return self.weights_sha256 if self.module is None else state_sha256(self.module)

    def lookup(self, task: str, split: str, ids: Sequence[str] | np.ndarray) -> Features:
        """Features of the images `ids`, in that order, of a `precomputed` encoder. Raises EncoderError."""
        raise EncoderError("computes its features, and holds none", where=self.card.name)

    def plain(self) -> Encoder:
        """The same network, not compiled and in its own precision: what it computes, however it is executed."""
        other = copy.copy(self)
        other.autocast, other._compiled = None, None
        return other

    def encode(
        self,
        images: Tensor,
        dense: bool = False,
        preprocessing: Preprocessing | None = None,
        spacing: Tensor | None = None,
        *,
        finite: bool = True,
    ) -> Encoded:
        """Features of `images`: uint8 (n, h, w, c), c in {1, 3}; of an encoder of volumes (n, planes, h, w, c); where
        the card asks for Hounsfield units float32 with c = 1.

        preprocessing: another than the card's, to see what it would do. spacing: (n, 3), mm between planes, rows and
        columns of each volume, where known. finite: False leaves `require_finite`, which waits for the device, to the
        caller. Raises EncoderError on NaN or a wrong shape.
        """
        from bench.encoders.preprocess import prepare

        x = prepare(
            images.to(self.device, non_blocking=True),
            preprocessing or self.card.preprocessing,
            dense=dense,
            spacing=spacing,
        )
        if self._channels_last:
            x = x.contiguous(memory_format=self._last)
        autocast = torch.autocast(self.device.type, self.autocast, enabled=self.autocast is not None)
        with torch.inference_mode(), evaluating(self.module), autocast:
            try:
                out = (self._compiled or self.forward)(x, dense)
            except torch.OutOfMemoryError:
                raise
            except (RuntimeError, AssertionError, ValueError, TypeError, LookupError, AttributeError) as error:
                raise EncoderError(
                    f"the network refused images of shape {tuple(x.shape)}: {str(error)[:300]}",
                    where=self.card.name,
                    fix="check size, dense_size and channels on the card",
                ) from error
        found = checked(out, len(images), self.card)
        if finite:
            require_finite(found, self.card.name)
        return found


@contextmanager
def evaluating(network: torch.nn.Module | None) -> Iterator[None]:
    """Evaluation mode inside; afterwards each part of the network is again in the mode its owner had it in."""
    training = [] if network is None else [part for part in network.modules() if part.training]
    try:
        for part in training:
            part.training = False
        yield
    finally:
        for part in training:
            part.training = True


def state_sha256(network: torch.nn.Module) -> str:
    """SHA-256 of every tensor of a network's state by name, type, shape and value, wherever it lies."""
    digest = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        if not isinstance(tensor, Tensor):
            digest.update(f"{key}|{tensor!r}|".encode())
            continue
        digest.update(f"{key}|{tensor.dtype}|{tuple(tensor.shape)}|".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def checked(out: Encoded, n: int, card: EncoderCard) -> Encoded:
    """`out` as float32, or EncoderError when shapes are wrong."""
    name, layout = card.name, "gd, gh, gw, c" if card.volumetric else "gh, gw, c"
    pooled, grid = out.pooled.float(), None if out.grid is None else out.grid.float()
    if pooled.ndim != 2 or len(pooled) != n:
        raise EncoderError(f"global features have shape {tuple(pooled.shape)}, expected ({n}, d)", where=name)
    if grid is not None and (grid.ndim != layout.count(",") + 2 or len(grid) != n):
        raise EncoderError(f"patch grid has shape {tuple(grid.shape)}, expected ({n}, {layout})", where=name)
    return Encoded(pooled, grid)


def require_finite(out: Encoded, name: str) -> None:
    """Raises EncoderError when a value is NaN or infinite."""
    for label, value in (("global features", out.pooled), ("patch grid", out.grid)):
        if value is not None and value.numel() and not torch.isfinite(torch.stack(torch.aminmax(value))).all():
            raise EncoderError(
                f"{label} hold NaN or infinite values",
                where=name,
                fix="check the weights, the normalisation and the precision",
            )
