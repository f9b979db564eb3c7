"""An encoder around a callable network whose outputs are fixed."""

import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from bench.encoders.base import Encoded, Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.outputs import encoded, refuse_layers
from bench.errors import EncoderError


class ProgramEncoder(Encoder):
    """A module that takes (n, channels, s, s), or (n, channels, depth, s, s), and returns one tensor or a tuple (see
    `bench.encoders.outputs`).

    batch: the only batch size the program takes, or None for any; smaller batches are filled up with zeros.
    """

    def __init__(self, card: EncoderCard, program: nn.Module, prefix_tokens: int, batch: int | None = None) -> None:
        super().__init__(card)
        refuse_layers(card)
        self._program, self._prefix_tokens, self._batch = program, prefix_tokens, batch

    @property
    def module(self) -> nn.Module:
        return self._program

    def forward(self, x: Tensor, dense: bool) -> Encoded:
        outputs = by_batch(lambda piece: tensors(self._program(piece), self.card.name), x, self._batch)
        return encoded(outputs, self.card, prefix_tokens=self._prefix_tokens, dense=dense)


def read_torchscript(path: Path, where: str) -> nn.Module:
    """The program of a TorchScript archive, which runs what its author wrote, some of it here. Raises EncoderError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            program = torch.jit.load(str(path), map_location="cpu")
    except (RuntimeError, ValueError) as error:
        raise EncoderError(f"is not a TorchScript archive: {str(error)[:200]}", where=where) from None
    return program.eval()


def shapes_on_black(path: Path, side: int) -> tuple[list[int | None], list[list[int]]]:
    """(sides of the image input, sides of each output) of a TorchScript program, run once on a black image.

    Both empty where it takes an image of `side` neither in colour nor in grey. Raises EncoderError as `tensors`.
    """
    program = read_torchscript(path, path.name)
    for channels in (3, 1):
        with suppress(RuntimeError), torch.inference_mode():
            out = program(torch.zeros(1, channels, side, side))
            return [None, channels, None, None], [list(tensor.shape) for tensor in tensors(out, path.name)]
    return [], []


def tensors(out: object, where: str) -> list[Tensor]:
    """The tensors of a network's return value: one, or a list or tuple of them. Raises EncoderError."""
    given = list(out) if isinstance(out, (tuple, list)) else [out]
    found = [tensor for tensor in given if isinstance(tensor, Tensor)]
    if not found or len(found) < len(given):
        raise EncoderError(f"returns {type(out).__name__}, expected a tensor or a tuple of tensors", where=where)
    return found


def by_batch(run, x: Tensor, batch: int | None) -> Sequence[Tensor]:
    """`run(x)`, in pieces of exactly `batch` rows where the network takes no other number."""
    if batch is None:
        return run(x)
    pieces = []
    for start in range(0, len(x), batch):
        piece = x[start : start + batch]
        filled = torch.cat([piece, piece.new_zeros((batch - len(piece), *piece.shape[1:]))])
        pieces.append([out[: len(piece)] for out in run(filled)])
    return [torch.cat(parts) for parts in zip(*pieces, strict=True)]
