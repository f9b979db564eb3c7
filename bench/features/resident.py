"""Features where solvers compute: on a GPU once a task, for every protocol, budget and seed.

On a CPU a matrix is the array it was made of, and nothing is copied. On a GPU it lies there, from its encoding on or
brought over when first asked for, while that leaves a solver its room, by what the device itself says is free. What
finds no room stays in the memory of the host and is brought over in blocks, by way of pinned memory, whenever it is
read.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

Array: TypeAlias = np.ndarray | Tensor
"""On the CPU an array, on a device a tensor there."""

CPU = torch.device("cpu")
SHARE = 0.8
"""Of the memory that is free: what features and solver may take together."""
BLOCK_BYTES = 1 << 28
"""Rows that are brought over, or worked on, at a time."""


def free_bytes(device: torch.device) -> int:
    """Memory of a GPU that a new tensor may take: what nobody holds, and what torch holds unused."""
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return torch.cuda.mem_get_info(device)[0] + unused


class Resident:
    """The matrices of one task, each put on `device` when it is encoded, or first asked for.

    free: bytes that are free there, asked anew each time; by default those of a GPU. Where there is neither, nothing
    is copied.
    """

    def __init__(self, device: torch.device = CPU, free: Callable[[], int] | None = None) -> None:
        self.device = device
        self._free = partial(free_bytes, device) if free is None and device.type == "cuda" else free
        self._solver = 0
        self._known: dict[int, Matrix] = {}
        self._full = False

    @classmethod
    def of(cls, device: torch.device) -> Resident:
        """Where solvers compute for an encoder on `device`: there if it is a GPU, else the CPU (MPS has no float64)."""
        return cls(device if device.type == "cuda" else CPU)

    def __call__(self, array: np.ndarray) -> Matrix:
        """Rows of an array (n, ...) that does not change."""
        if self._free is None:
            return Matrix(array)
        if id(array) not in self._known:
            if (there := self.beside(array)) is None:
                self._known[id(array)] = Matrix(array, self.up)
            else:
                self._fill(there, array)
        return self._known[id(array)]

    def beside(self, array: np.ndarray, working: int = 0) -> Tensor | None:
        """An empty tensor on the device for an array (n, ...) that is still to be filled: both are filled alike.

        working: bytes that the encoder needs there besides. None where there is no room, or nothing is copied.
        """
        if array.nbytes > self._room() - working:
            return None
        try:
            there = self._empty(array)
        except torch.OutOfMemoryError:  # what is free lies in pieces
            return None
        self._known[id(array)] = Matrix(array, self.up, there)
        return there

    def up(self, array: np.ndarray) -> Array:
        """A copy on the device; the array itself where nothing is copied."""
        if self._free is None:
            return array
        there = self._empty(array)
        self._fill(there, array)
        return there

    def reserve(self, solver: int, kept: Iterable[np.ndarray | None]) -> None:
        """Leave `solver` bytes free from here on, and forget the matrices of all arrays but those `kept`."""
        ids, self._solver = {id(array) for array in kept}, solver
        largest_first = sorted(self._known.items(), key=lambda item: -item[1].source.nbytes)
        self._known = {key: matrix for key, matrix in largest_first if key in ids and matrix.there is not None}
        del largest_first
        for key in [*self._known]:
            if self._room() < 0:
                del self._known[key]

    def spill(self) -> bool:
        """Take everything off the device, where memory ran out, and keep it off; False where nothing lay there."""
        lay, self._full = any(m.there is not None for m in self._known.values()), True
        self._known.clear()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return lay

    @property
    def megabytes(self) -> dict[str, float]:
        """Of the matrices that lie on the device and of those that found no room; {} where nothing is copied."""
        if self._free is None:
            return {}
        found = {"device": 0.0, "host": 0.0}
        for matrix in self._known.values():
            found["host" if matrix.there is None else "device"] += matrix.source.nbytes / 1e6
        return found

    def _room(self) -> float:
        return -math.inf if self._full or self._free is None else SHARE * self._free() - self._solver

    def _empty(self, like: np.ndarray) -> Tensor:
        return torch.empty(like.shape, dtype=torch.from_numpy(np.empty(0, like.dtype)).dtype, device=self.device)

    def _fill(self, there: Tensor, array: np.ndarray) -> None:
        for rows in _blocks(array, len(array)):
            part = torch.from_numpy(np.array(array[rows]))
            there[rows].copy_(part.pin_memory() if self.device.type == "cuda" else part, non_blocking=True)


@dataclass
class Matrix:
    """Rows of `source`, (n, ...). up: brings an array to the device; there: all of it, where it lies there."""

    source: np.ndarray
    up: Callable[[np.ndarray], Array] | None = None
    there: Array | None = None

    def rows(self, chosen: np.ndarray | slice = slice(None)) -> Array:
        """Some rows, or all."""
        if self.there is not None:
            return self.there[chosen if isinstance(chosen, slice) else torch.as_tensor(chosen)]
        return self.up(self.source[chosen]) if self.up else self.source[chosen]

    def blocks(self, chosen: np.ndarray | None = None) -> Iterator[Array]:
        """Some rows, or all: at once on the CPU, on a device a block at a time."""
        n = len(self.source if chosen is None else chosen)
        for rows in _blocks(self.source, n) if self.up else [slice(0, n)]:
            yield self.rows(rows if chosen is None else chosen[rows])

    def each(
        self, function: Callable[[Array], np.ndarray], chosen: np.ndarray | None = None, *, axis: int = 0
    ) -> np.ndarray:
        """`function` of each of the blocks, joined along an axis."""
        parts = [function(block) for block in self.blocks(chosen)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis)


def _blocks(array: np.ndarray, n: int) -> list[slice]:
    """The first `n` rows in blocks; one, where there are none."""
    step = max(1, BLOCK_BYTES * len(array) // max(1, array.nbytes))
    return [slice(start, min(n, start + step)) for start in range(0, max(1, n), step)]
