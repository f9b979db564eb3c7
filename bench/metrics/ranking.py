"""AUROC and average precision under case weights: one sort a class, then sums of weights between the positives.

The sums are products of the draws with small matrices of zeros and ones, in float32 where that is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.base import Comparison
from bench.metrics.products import EXACT, Weights, by_case, replicate_blocks
from bench.metrics.resample import ratio
from bench.threads import one_thread

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MIN_POSITIVES = 10
"""A label of a multi-label task enters the macro means when the test split has this many positives."""
STEP = 16
"""Thresholds whose running sum is one small product; their number is rounded up to a multiple of it."""
CHUNK = 1024
"""Thresholds at a time; ends of columns are added up by one more product, whose cost grows with their square."""


BYTES_ADDED = "embedding_bag_byte_rowwise_offsets"
"""The operator of torch that adds up rows of bytes, exactly, on a CPU."""


@dataclass(frozen=True, slots=True)
class Curves:
    """AUROC and average precision of each one-versus-rest problem, float64 (r, m), and its column of the output."""

    areas: np.ndarray
    precisions: np.ndarray
    columns: np.ndarray


def curves(given: Comparison) -> Curves:
    """Both areas of each problem from one sort; the average precision only where `auprc` is computed too."""
    positive, columns = one_versus_rest(given.labels, given.output.shape[1])
    if given.several:
        columns = macro_labels(given.labels)
        positive = positive[:, columns]
    areas, precisions = ranking(
        positive, given.output[:, columns], given.weights, with_precision="auprc" in given.names
    )
    return Curves(areas, precisions, columns)


def one_versus_rest(labels: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Positives of each one-versus-rest problem, bool (n, m), and its column; a binary task has only that of class 1.

    labels: class index (n,), or 0 and 1 (n, k) of several labels, which are a problem each.
    """
    columns = np.arange(k)
    if labels.ndim == 2:
        return labels == 1, columns
    columns = columns[1:] if k == 2 else columns
    return labels[:, None] == columns, columns


def macro_labels(labels: np.ndarray) -> np.ndarray:
    """Columns of a multi-label truth that enter the macro means: at least 10 positives, and a negative.

    Where no label has as many, every label that has both kinds counts; the choice never depends on an encoder.
    """
    positives = labels.astype(np.int64).sum(axis=0)
    mixed = (positives > 0) & (positives < len(labels))
    common = mixed & (positives >= MIN_POSITIVES)
    chosen = common if common.any() else mixed
    return np.flatnonzero(chosen if chosen.any() else np.ones_like(mixed))


def auroc(positive: np.ndarray, scores: np.ndarray, weights: Weights) -> np.ndarray:
    """Area under the ROC curve of each column, ties counted half, in [0, 1]; NaN where a replicate lacks a class.

    positive: bool (n, m). scores: (n, m), higher means positive. weights: (r, n) counts. Returns float64 (r, m).
    Equal to the pairwise definition to rounding, without a loop over replicates.

    >>> auroc(np.array([[False], [True], [True]]), np.array([[0.2], [0.2], [0.9]]), np.ones((1, 3)))
    array([[0.75]])
    """
    return ranking(positive, scores, weights, with_precision=False)[0]


@one_thread()
def ranking(
    positive: np.ndarray, scores: np.ndarray, weights: Weights, *, with_precision: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision (step-wise, not interpolated; on request), sharing one sort; arguments as `auroc`."""
    import torch

    cases = by_case(weights)
    most = int(cases.max()) if cases.dtype == torch.uint8 and cases.numel() else 0
    small = cases.dtype == torch.uint8 and most * len(cases) < EXACT
    plans = [_Plan(positive[:, c], scores[:, c], cases.device) for c in range(scores.shape[1])]
    everywhere, first = np.ones(len(cases), bool), np.zeros(len(cases), np.int64)
    whole = _Bags.of(everywhere, ~everywhere, first, 1, cases.device)
    found = torch.zeros((4, cases.shape[1], len(plans)), dtype=torch.float64, device=cases.device)
    # Bytes are a quarter of the memory that is read, where torch can add them up.
    as_bytes = small and cases.device.type == "cpu" and hasattr(torch.ops.quantized, BYTES_ADDED)
    for block in replicate_blocks(cases):
        part = cases[:, block]
        part = _as_bytes(part) if as_bytes else part.to(torch.float32 if small else torch.float64)
        total = whole.sums(part)[1, 0].double()
        largest = float(total.max())
        for c, plan in enumerate(plans):
            found[:, block, c] = plan.areas(part, total, plan.is_exact(most, largest), with_precision)
    beaten, pairs, precision, positives = found.cpu().numpy()
    return ratio(beaten, pairs), ratio(precision, positives)


class _Plan:
    """Where the weight of each case goes: only the g distinct scores of positives matter as thresholds, highest first.

    Positives, and negatives that reach a threshold, lie in the bag of the first one they reach. CHUNK thresholds are
    laid out in STEP rows, threshold t in row t % STEP: running sums within a column are then one product. Ties have
    bags of their own.
    """

    def __init__(self, positive: np.ndarray, scores: np.ndarray, device: torch.device) -> None:
        thresholds = np.unique(scores[positive])
        g = len(thresholds)
        reached = g - np.searchsorted(thresholds, scores, side="right")
        self.reaching, self.columns = [], max(1, -(-min(CHUNK, g) // STEP))
        for first in range(0, max(g, 1), CHUNK):
            columns, place = max(1, -(-min(CHUNK, g - first) // STEP)), reached - first
            keep = (place >= 0) & (place < min(CHUNK, g - first))
            place = (place % STEP) * columns + place // STEP
            self.reaching.append(_Bags.of(keep, positive, place, STEP * columns, device))
        in_tie = np.isin(scores, np.intersect1d(thresholds, scores[~positive]))
        ties, tie = np.unique(scores[in_tie], return_inverse=True)
        place = np.zeros(len(scores), np.int64)
        place[in_tie] = tie
        self.tied = _Bags.of(in_tie, positive, place, len(ties), device) if len(ties) else None
        counts = np.stack([np.bincount(reached[kind], minlength=g + 1)[:g] for kind in (positive, ~positive)])
        of_columns = np.add.reduceat(counts, np.arange(0, g, STEP), axis=1) if g else counts
        self.positives, self.bag = int(positive.sum()), int(counts[0].max(initial=0))
        self.pairs = int(of_columns.prod(0).max(initial=0))

    def is_exact(self, most: int, total: float) -> bool:
        """Whether float32 holds every product, where no weight is above `most` and no replicate's sum above `total`."""
        return max(most**2 * self.pairs, most * self.bag * min(most * self.positives, total)) < 2 * EXACT

    def areas(self, cases: Tensor, total: Tensor, exact: bool, with_precision: bool) -> Tensor:
        """Of each replicate of `cases` (n, r), float64 (4, r): weight of the pairs that are in order, ties counted
        half, and of all pairs; sum of the precisions at positives (0 unless asked for), and weight of the positives.

        total: weight of all cases, float64 (r,). exact: see `is_exact`.
        """
        import torch

        before, lost, precision = total.new_zeros(2, len(total)), torch.zeros_like(total), torch.zeros_like(total)
        dtype = torch.float64 if cases.dtype == torch.float64 or not exact else torch.float32
        upto, below = (
            torch.ones((m, m), dtype=dtype, device=cases.device).tril_(d) for m, d in ((STEP, 0), (self.columns, -1))
        )
        for bags in self.reaching:
            sums = bags.sums(cases).to(dtype).view(2, STEP, -1, len(total))
            within = (upto @ sums.view(2, STEP, -1)).view_as(sums)
            columns, ends, weight = sums.shape[2], within[:, -1], sums[0]
            # Of the columns before; a GPU's cumsum is in no fixed order.
            earlier = (below[:columns, :columns] @ ends).add_(before[:, None])
            before = earlier[:, -1] + ends[:, -1]
            lost += (ends[0].double() * earlier[1]).sum(0)
            lost += torch.mul(weight, within[1], out=sums[1]).sum(0).sum(0, dtype=torch.float64)
            if with_precision:
                within[1].add_(within[0])
                earlier[1].add_(earlier[0]).add_(1e-30)  # where no case is called, precision is 0 / 1e-30
                precision += _over(within.add_(earlier[:, None]), weight)
        positives = before[0].double()
        pairs = positives * (total - positives)
        beaten = pairs - lost
        if self.tied is not None:
            beaten += self.tied.sums(cases).double().prod(0).sum(0) / 2
        return torch.stack([beaten, pairs, precision, positives])


def _over(within: Tensor, weight: Tensor) -> Tensor:
    """Sum of the precisions at thresholds, float64 (r,). within: positives and cases that reach each, overwritten."""
    within[0].mul_(weight)
    true, called = within.double()
    return true.div_(called).sum((0, 1))


@dataclass(frozen=True)
class _Bags:
    """Rows of the cases, bag by bag, and where each bag begins and the last one ends: positives' bags, then others'."""

    rows: Tensor
    starts: Tensor

    @classmethod
    def of(cls, keep: np.ndarray, positive: np.ndarray, bag: np.ndarray, bags: int, device: torch.device) -> _Bags:
        """The cases `keep`, bool (n,), each in its bag of its kind, int (n,), below `bags`."""
        import torch

        rows, kept = np.flatnonzero(keep), (bag + np.where(positive, 0, bags))[keep]
        order = np.argsort(kept, kind="stable")
        starts = np.searchsorted(kept[order], np.arange(2 * bags + 1))
        return cls(*(torch.as_tensor(a, device=device) for a in (rows[order], starts)))

    def sums(self, cases: Tensor) -> Tensor:
        """Sum of the weights in each bag, (2, bags, r); cases: floats (n, r), or `_as_bytes`."""
        import torch

        if cases.dtype == torch.uint8:
            bag = getattr(torch.ops.quantized, BYTES_ADDED)
            found = bag(cases, self.rows, self.starts, include_last_offset=True)
        else:
            bag = torch.nn.functional.embedding_bag
            found = bag(self.rows, cases, self.starts, mode="sum", include_last_offset=True)
        return found.view(2, -1, found.shape[1])


def _as_bytes(cases: Tensor) -> Tensor:
    """Weights (n, r), uint8, as torch adds up bytes: behind each row its scale and offset, 1 and 0, in float32."""
    import torch

    behind = torch.tensor([1.0, 0.0]).view(torch.uint8).expand(len(cases), -1)
    return torch.cat([cases, behind], dim=1)
