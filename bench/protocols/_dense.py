"""What dense protocols share: soft patch labels, upsampling, and the operating point.

A dense prediction is a score map for each class on the patch grid, upsampled bilinearly to the mask. Where the
encoder pads images to squares, the grid covers the padded square: masks are padded alike and predictions cut out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.data.budgets import Subset, presence
from bench.data.task import Task
from bench.encoders.preprocess import input_size, placed
from bench.features.resident import CPU
from bench.protocols._select import stratified_folds
from bench.protocols.base import Problem
from bench.protocols.linear import rarest_count, strata_of

OFFSETS = np.linspace(-8.0, 8.0, 65)
"""Candidates for the operating point: how far foreground must beat background, in logits."""
CHUNK_VALUES = 1 << 25
CACHED_VALUES = 1 << 21
"""Instead of `CHUNK_VALUES` on a CPU, so that what is worked on stays in its cache."""


class Lying(Protocol):
    """How the grids of some images lie over their masks."""

    def labels(self, task: Task, masks: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
        """float32 (n, *grid, k): the share of each class in each patch; padding counts as background."""

    def answers(self, scores: np.ndarray, offset: float) -> np.ndarray:
        """uint8 masks: the best foreground class where its margin exceeds `offset`, else 0."""

    def areas(self, scores: np.ndarray, masks: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, ...]]:
        """`areas_by_offset` of some images at a time, in order."""


@dataclass(frozen=True)
class Frame:
    """Where the (h, w) mask lies in the square the grid covers; (top, left, height, width, side) in input pixels.

    device: where patch labels are averaged and scores upsampled.
    """

    mask_size: tuple[int, int]
    window: tuple[int, int, int, int]
    side: int
    device: torch.device = CPU

    @classmethod
    def of(cls, problem: Problem) -> Frame:
        """The frame of a problem; the whole square where nothing is padded or the encoder is not known."""
        assert problem.mask_size is not None
        h, w = problem.mask_size
        if problem.encoder is None:
            return cls((h, w), (0, 0, 1, 1), 1)
        how = problem.encoder.card.preprocessing
        return cls((h, w), placed(h, w, how, dense=True), input_size(how, dense=True), problem.device)

    @property
    def whole(self) -> bool:
        """Whether the mask fills the square."""
        return self.window == (0, 0, self.side, self.side)

    def labels(self, task: Task, masks: np.ndarray, grid: tuple[int, ...]) -> np.ndarray:
        """See `Lying`."""
        high, wide = grid
        return patch_labels(task, masks, (high, wide), self)

    def answers(self, scores: np.ndarray, offset: float) -> np.ndarray:
        """See `Lying`."""
        return predict_masks(scores, offset, self)

    def areas(self, scores: np.ndarray, masks: np.ndarray, k: int) -> Iterator[tuple[np.ndarray, ...]]:
        """See `Lying`."""
        step = _step(scores, self)
        for start in range(0, len(scores), step):
            margin, which = margins(torch.as_tensor(scores[start : start + step]).to(self.device).float(), self)
            yield areas_by_offset(margin, which, np.array(masks[start : start + step]), k)


def patch_labels(task: Task, masks: np.ndarray, grid: tuple[int, int], frame: Frame) -> np.ndarray:
    """float32 (n, gh, gw, k): the share of each class in each patch; padding counts as background."""
    k = len(task.classes)
    out = np.empty((len(masks), *grid, k), dtype=np.float32)
    step = max(1, _values(frame) // (k * max(1, masks[0].size)))
    for start in range(0, len(masks), step):
        part = torch.as_tensor(np.array(masks[start : start + step])).to(frame.device)
        shares = (part[:, None] == torch.arange(k, device=part.device)[:, None, None]).float()
        averaged = F.adaptive_avg_pool2d(_pad(shares, frame), grid)
        out[start : start + step] = averaged.permute(0, 2, 3, 1).cpu().numpy()
    return out


def _pad(shares: Tensor, frame: Frame) -> Tensor:
    if frame.whole:
        return shares
    top, left, h, w = frame.window
    inner = F.interpolate(shares, size=(h, w), mode="area")
    around = (left, frame.side - w - left, top, frame.side - h - top)
    return torch.cat([F.pad(inner[:, :1], around, value=1.0), F.pad(inner[:, 1:], around)], dim=1)


def upsample(scores: Tensor, frame: Frame) -> Tensor:
    """(n, k, gh, gw) patch scores to (n, k, h, w), bilinear with half-pixel centres."""
    if scores.shape[1] == 2:  # alone of all numbers several times as fast channel by channel, with the same result
        scores = scores.contiguous()
    if frame.whole:
        return F.interpolate(scores, size=frame.mask_size, mode="bilinear", align_corners=False)
    top, left, h, w = frame.window
    full = F.interpolate(scores, size=(frame.side, frame.side), mode="bilinear", align_corners=False)
    inner = full[..., top : top + h, left : left + w]
    return F.interpolate(inner, size=frame.mask_size, mode="bilinear", align_corners=False)


def margins(scores: Tensor, frame: Frame) -> tuple[Tensor, Tensor]:
    """How far the best foreground class beats the background, float (n, h, w), and that class, uint8, from 1.

    scores: (n, gh, gw, k) of the classes, or (n, gh, gw, 1): foreground minus background already.
    """
    up = upsample(scores.permute(0, 3, 1, 2), frame)
    if up.shape[1] == 1:
        return up[:, 0], torch.ones_like(up[:, 0], dtype=torch.uint8)
    if up.shape[1] == 2:
        return up[:, 1] - up[:, 0], torch.ones_like(up[:, 0], dtype=torch.uint8)
    best, which = up[:, 1:].max(1)
    return best - up[:, 0], which.to(torch.uint8).add_(1)


def predict_masks(scores: np.ndarray, offset: float, frame: Frame) -> np.ndarray:
    """uint8 (n, h, w): the best foreground class where its margin exceeds `offset`, else 0."""
    n = len(scores)
    out = np.empty((n, *frame.mask_size), dtype=np.uint8)
    step = _step(scores, frame)
    for start in range(0, n, step):
        margin, which = margins(torch.as_tensor(scores[start : start + step]).to(frame.device).float(), frame)
        out[start : start + step] = (which * (margin > offset)).cpu().numpy()
    return out


def dice_by_offset(scores: np.ndarray, masks: np.ndarray, k: int, frame: Lying, *, empty: bool = True) -> np.ndarray:
    """float64 (len(OFFSETS),): mean Dice over images, then over classes that any image shows, at each offset.

    scores: (n, *grid, k or 1); masks: uint8 (n, ...). empty: an image that lacks a class counts as 0 where the
    class is predicted all the same, as in scoring 2. One histogram of margins gives every offset at once.
    """
    total, images, shown = np.zeros((k - 1, len(OFFSETS))), np.zeros((k - 1, len(OFFSETS))), np.zeros(k - 1)
    for both, ours, theirs in frame.areas(scores, masks, k):
        has = (theirs > 0)[..., None]
        dice = 2 * both / np.maximum(ours + theirs[..., None], 1)
        total += np.where(has, dice, 0.0).sum(0)
        images += (has | (ours > 0) & empty).sum(0)
        shown += has[..., 0].sum(0)
    seen = shown > 0
    if not seen.any():
        return np.full(len(OFFSETS), np.nan)
    return (total[seen] / images[seen]).mean(0)


def areas_by_offset(margin: Tensor, which: Tensor, truth: np.ndarray, k: int) -> tuple[np.ndarray, ...]:
    """Pixels of each image and foreground class: shared and predicted at each offset, (n, k-1, o), true (n, k-1).

    Counted where the margins are.
    """
    n, o = len(truth), len(OFFSETS)
    margin, which, true = (a.reshape(n, -1) for a in (margin, which, torch.as_tensor(truth).to(margin.device)))
    # Bin b holds margins in (OFFSETS[b-1], OFFSETS[b]]; a pixel is foreground at offset j when its bin is above j.
    # Offsets are multiples of a power of 2: no digit is lost. In place: tensors are large, and there is one for each C.
    level = margin.float() / float(OFFSETS[1] - OFFSETS[0])
    cell = level.ceil_().sub_(float(OFFSETS[0] / (OFFSETS[1] - OFFSETS[0]))).clamp_(0, o).to(torch.int32)
    place = (which == true).to(torch.int32)
    place += torch.arange(n, dtype=torch.int32, device=cell.device)[:, None] * (2 * (k - 1) * (o + 1))
    if k > 2:
        place.add_(which.to(torch.int32).sub_(1), alpha=2 * (o + 1))
    place.add_(cell, alpha=2)
    counts = torch.bincount(place.flatten(), minlength=2 * n * (k - 1) * (o + 1)).cpu().numpy()
    counts = counts.reshape(n, k - 1, o + 1, 2)
    above = counts[..., :0:-1, :].cumsum(2)[..., ::-1, :].astype(np.float64)
    if k == 2:  # each pixel has been compared with the one class
        theirs = counts[..., 1].sum(-1)
    else:
        theirs = torch.stack([(true == c).sum(1, dtype=torch.int32) for c in range(1, k)], dim=1).cpu().numpy()
    return above[..., 1], above.sum(-1), theirs.astype(np.float64)


def best_offset(dice: np.ndarray) -> tuple[float, float]:
    """The offset with the best Dice, and that Dice; ties go to the one nearest 0."""
    if np.isnan(dice).all():
        return 0.0, float("nan")
    top = np.flatnonzero(dice >= np.nanmax(dice) - 1e-12)
    return float(OFFSETS[top[np.argmin(np.abs(OFFSETS[top]))]]), float(np.nanmax(dice))


def image_folds(problem: Problem, subset: Subset, folds: int) -> tuple[np.ndarray, list[int], int]:
    """Fold of each image of the subset, int (m,); folds that hold some and leave some; images of the rarest class.

    Images are spread by the rarest class they show, and those of a patient stay together.
    """
    shown = presence(problem.task, problem.train.labels[subset.rows])[:, 1:].astype(np.float64)
    rarest = rarest_count(np.concatenate([shown, np.zeros((len(shown), 1))], axis=1))
    groups = None if problem.train.groups is None else problem.train.groups[subset.rows]
    fold = stratified_folds(strata_of(shown), groups, folds, subset.seed)
    return fold, [f for f in range(folds) if 0 < (fold == f).sum() < len(fold)], rarest


def edge_warning(offset: float) -> tuple[str, ...]:
    """The warning that a chosen operating point lies at the edge of its grid, or none."""
    return ("the operating point lies at the edge of its grid",) if offset in (OFFSETS[0], OFFSETS[-1]) else ()


def _step(scores: np.ndarray, frame: Frame) -> int:
    """Images a chunk, so that its upsampled scores hold a bounded number of values."""
    pixels = frame.mask_size[0] * frame.mask_size[1] if frame.whole else max(frame.side**2, 1)
    return max(1, _values(frame) // (8 * scores.shape[-1] * pixels))


def _values(frame: Frame) -> int:
    return CACHED_VALUES if frame.device.type == "cpu" else CHUNK_VALUES
