"""AUROC and average precision under case weights: one sort a class, then sums of weights between the positives.

The sums are products of the draws with small matrices of zeros and ones, in float32 where that is exact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.base import Comparison
from bench.metrics.products import Weights, by_case, cached_rows, replicate_blocks
from bench.metrics.resample import ratio

if TYPE_CHECKING:
    import torch
    from torch import Tensor

MIN_POSITIVES = 10
"""A label of a multi-label task enters the macro means when the test split has this many positives."""
EXACT = 1 << 23
"""Whole numbers below this, and sums of two of them, are exact in float32."""
STEP = 16
"""Thresholds whose running sum is one small product; their number is rounded up to a multiple of it."""

MOST_COLUMNS = 128
"""Of those at a time: their ends are added up by one more product, whose cost grows with the square."""


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


def ranking(
    positive: np.ndarray, scores: np.ndarray, weights: Weights, *, with_precision: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """AUROC and average precision (step-wise, not interpolated; on request), sharing one sort; arguments as `auroc`."""
    import torch

    cases = by_case(weights)
    small = cases.dtype == torch.uint8 and (not cases.numel() or int(cases.max()) * len(cases) < EXACT)
    plans = [_Plan(positive[:, c], scores[:, c], cases.device) for c in range(scores.shape[1])]
    found = torch.zeros((4, cases.shape[1], len(plans)), dtype=torch.float64, device=cases.device)
    for block in replicate_blocks(cases):
        part = cases[:, block].to(torch.float32 if small else torch.float64)
        total = part.sum(0).double()
        for c, plan in enumerate(plans):
            found[:, block, c] = plan.areas(part, total, with_precision)
    beaten, pairs, precision, positives = found.cpu().numpy()
    return ratio(beaten, pairs), ratio(precision, positives)


class _Plan:
    """Where the weight of each case goes: only the g distinct scores of positives matter as thresholds, highest first.

    Positives, and negatives that reach a threshold, lie in the bag of the first one they reach, laid out in STEP rows,
    threshold t in row t % STEP: running sums within a column are then one product. Ties have bags of their own.
    """

    def __init__(self, positive: np.ndarray, scores: np.ndarray, device: torch.device) -> None:
        thresholds = np.unique(scores[positive])
        reached = len(thresholds) - np.searchsorted(thresholds, scores, side="right")
        self.columns = max(1, -(-len(thresholds) // STEP))
        place = (reached % STEP) * self.columns + reached // STEP
        self.reaching = _Bags.of(reached < len(thresholds), positive, place, STEP * self.columns, device)
        in_tie = np.isin(scores, np.intersect1d(thresholds, scores[~positive]))
        ties, tie = np.unique(scores[in_tie], return_inverse=True)
        place[in_tie] = tie
        self.tied = _Bags.of(in_tie, positive, place, len(ties), device) if len(ties) else None

    def areas(self, cases: Tensor, total: Tensor, with_precision: bool) -> Tensor:
        """Of each replicate of `cases` (n, r), float64 (4, r): weight of the pairs that are in order, ties counted
        half, and of all pairs; sum of the precisions at positives (0 unless asked for), and weight of the positives.

        total: weight of all cases, float64 (r,).
        """
        import torch

        sums = self.reaching.sums(cases).view(2, STEP, self.columns, -1)
        before = sums.new_zeros(2, sums.shape[-1])
        lost, precision = torch.zeros_like(total), torch.zeros_like(total)
        for part in sums.split(min(MOST_COLUMNS, -(-cached_rows(cases) // STEP)), dim=2):
            running = _running(part, before)
            before = running[:, -1, -1].clone()  # `running` is overwritten below
            weight, (true, false) = part[0].double(), running.double()
            lost += (weight * false).sum((0, 1))
            if with_precision:
                called = false.add_(true).clamp_(min=1e-300)
                precision += weight.mul_(true).div_(called).sum((0, 1))
        positives = before[0].double()
        pairs = positives * (total - positives)
        beaten = pairs - lost
        if self.tied is not None:
            beaten += self.tied.sums(cases).double().prod(0).sum(0) / 2
        return torch.stack([beaten, pairs, precision, positives])


def _running(x: Tensor, before: Tensor) -> Tensor:
    """Sum of each threshold of (2, STEP, columns, r) and those before it, column by column from the first row down.

    before: (2, r), of the thresholds before the first of them.
    """
    columns = x.shape[2]
    within = (x.new_ones(STEP, STEP).tril_() @ x.reshape(2, STEP, -1)).view_as(x)
    earlier = x.new_ones(columns, columns).tril_(-1) @ within[:, -1]  # a GPU's cumsum is in no fixed order
    return within.add_((earlier + before[:, None])[:, None])


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
        """Sum of the weights (n, r) in each bag, (2, bags, r)."""
        import torch

        bag = torch.nn.functional.embedding_bag
        return bag(self.rows, cases, self.starts, mode="sum", include_last_offset=True).view(2, -1, cases.shape[1])
