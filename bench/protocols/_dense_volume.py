"""How the grid of a volume lies over its mask, axis by axis.

Along each axis the mask covers a span of the input: all of it, less where an encoder pads, more where it cuts. Two
small matrices say the rest: which share of a cell each voxel fills, and between which two cells a voxel's centre lies.
The grids of an encoder of slices lie one above the other, a slice deep each; an encoder of volumes has its own depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from bench.data.task import Task
from bench.encoders.preprocess import input_size, placed
from bench.encoders.volumes import placed_volumes
from bench.features.resident import CPU
from bench.protocols._dense import CHUNK_VALUES, areas_by_offset
from bench.protocols.base import Labelled, Problem, Unlabelled

WHOLE = (0.0, 1.0)


class Block(NamedTuple):
    """Some planes of a volume: how far the best foreground class beats the background, float32, and which it is."""

    planes: slice
    margin: Tensor
    which: Tensor


@dataclass(frozen=True)
class VolumeFrames:
    """Frames of n volumes. spans: float64 (n, 3, 2), where each lies in the input, whose edges are 0 and 1."""

    mask_size: tuple[int, ...]
    spans: np.ndarray
    device: torch.device = CPU

    @classmethod
    def of(cls, problem: Problem, part: Labelled | Unlabelled, rows: np.ndarray | None = None) -> VolumeFrames:
        """The frames of a split or of its `rows`; the whole input where the encoder is not known."""
        assert problem.mask_size is not None
        assert part.spacing is not None
        spacing = np.asarray(part.spacing if rows is None else part.spacing[rows])
        spans = np.tile(WHOLE, (len(spacing), 3, 1))
        if problem.encoder is not None:
            how = problem.encoder.card.preprocessing
            if how.depth is not None:
                spans = placed_volumes(problem.mask_size, how, torch.from_numpy(spacing)).numpy()
            else:
                _, high, wide = problem.mask_size
                top, left, h, w = placed(high, wide, how, dense=True)
                spans[:, 1:] = np.array([(top, top + h), (left, left + w)]) / input_size(how, dense=True)
        return cls(problem.mask_size, spans, problem.device)

    def labels(self, task: Task, masks: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
        """See `bench.protocols._dense.Lying`."""
        out = np.empty((len(masks), *grid, len(task.classes)), np.float32)
        for mask, spans, shares in zip(masks, self.spans, out, strict=True):
            voxels = torch.from_numpy(np.array(mask)).to(self.device)
            fill = [self._there(filled(n, g, span)) for n, g, span in zip(mask.shape, grid, spans, strict=True)]
            for c in range(1, len(task.classes)):
                part = (voxels == c).float()
                for axis in (2, 1, 0):
                    part = _along(fill[axis], part, axis)
                shares[..., c] = part.cpu().numpy()
            shares[..., 0] = np.clip(1 - shares[..., 1:].sum(-1), 0, 1)
        return out

    def answers(self, scores: np.ndarray, offset: float) -> np.ndarray:
        """See `bench.protocols._dense.Lying`. What an encoder does not see is background."""
        out = np.empty((len(scores), *self.mask_size), np.uint8)
        for i in range(len(scores)):
            for planes, margin, which in self._blocks(scores[i], self.spans[i]):
                out[i, planes] = (which * (margin > offset)).cpu().numpy()
        return out

    def areas(self, scores: np.ndarray, masks: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, ...]]:
        """See `bench.protocols._dense.Lying`."""
        for i in range(len(scores)):
            found = [
                areas_by_offset(margin[None], which[None], np.array(masks[i : i + 1, planes]), k)
                for planes, margin, which in self._blocks(scores[i], self.spans[i])
            ]
            yield tuple(sum(parts[1:], parts[0]) for parts in zip(*found, strict=True))

    def unseen(self, masks: np.ndarray) -> float:
        """Share of the foreground voxels that lie outside the input."""
        foreground = outside = 0
        for mask, spans in zip(masks, self.spans, strict=True):
            seen = mask[np.ix_(*(is_inside(n, span) for n, span in zip(mask.shape, spans, strict=True)))]
            foreground += int(np.count_nonzero(mask))
            outside += int(np.count_nonzero(mask)) - int(np.count_nonzero(seen))
        return outside / max(foreground, 1)

    def _blocks(self, scores: np.ndarray, spans: np.ndarray) -> Iterator[Block]:
        """Scores (gd, gh, gw, k or 1) on the mask, trilinear: within planes of the grid first, then between them."""
        lying = torch.from_numpy(np.moveaxis(scores, -1, 0).astype(np.float32)).to(self.device)
        axes = list(zip(self.mask_size, lying.shape[1:], spans, strict=True))
        planes, rows, columns = (self._there(between(n, g, span)) for n, g, span in axes)
        lying = _along(rows, _along(columns, lying, 3), 2)
        outside = [torch.from_numpy(~is_inside(n, span)).to(self.device) for n, _, span in axes]
        step = max(1, CHUNK_VALUES // (8 * lying[:, 0].numel()))
        for start in range(0, len(planes), step):
            some = slice(start, start + step)
            up = _along(planes[some], lying, 1)
            best, which = up[1:].max(0) if len(up) > 1 else (up[0], torch.zeros_like(up[0]))
            margin = best - up[0] if len(up) > 1 else best
            margin[outside[0][some]] = -torch.inf
            margin[:, outside[1]] = -torch.inf
            margin[:, :, outside[2]] = -torch.inf
            yield Block(some, margin, (which + 1).to(torch.uint8))

    def _there(self, matrix: np.ndarray) -> Tensor:
        return torch.from_numpy(matrix.astype(np.float32)).to(self.device)


def filled(n: int, cells: int, span: np.ndarray) -> np.ndarray:
    """float64 (cells, n): the share of each cell that each of n voxels over `span` fills."""
    edges = span[0] + (span[1] - span[0]) * np.arange(n + 1) / n
    grid = np.arange(cells + 1) / cells
    overlap = np.minimum(edges[1:], grid[1:, None]) - np.maximum(edges[:-1], grid[:-1, None])
    return np.maximum(overlap, 0) * cells


def between(n: int, cells: int, span: np.ndarray) -> np.ndarray:
    """float64 (n, cells): linear weights of the cells at the centre of each voxel; the outer ones are repeated."""
    place = np.clip(_centres(n, span) * cells - 0.5, 0, cells - 1)
    return np.maximum(1 - np.abs(place[:, None] - np.arange(cells)), 0)


def is_inside(n: int, span: np.ndarray) -> np.ndarray:
    """bool (n,): whether the centre of each voxel lies in the input."""
    centres = _centres(n, span)
    return (centres >= 0) & (centres <= 1)


def _centres(n: int, span: np.ndarray) -> np.ndarray:
    return span[0] + (span[1] - span[0]) * (np.arange(n) + 0.5) / n


def _along(matrix: Tensor, values: Tensor, axis: int) -> Tensor:
    """`matrix` (m, n) applied along one axis of n values."""
    return torch.tensordot(matrix, values, dims=([1], [axis])).movedim(0, axis)
