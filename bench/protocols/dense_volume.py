"""dense-volume-v1: the dense linear probe on the grids of volumes, one case a volume.

As dense-linear-v2 (soft labels, one convex problem, C and operating point by mean Dice over volumes), with cells in the
place of patches. The grids of an encoder of flat images are stacked, a cell a slice deep; an encoder of volumes has a
grid of its own. Each cell is labelled by the share of its volume that each class fills. Scores are brought to the mask
by trilinear interpolation. Where an encoder cuts the centre out of a volume (`spacing` on its card), what lies outside
is answered as background, and a warning says how much of the foreground that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from bench.data.budgets import Subset
from bench.features.resident import Matrix
from bench.protocols import _logistic
from bench.protocols._dense_volume import VolumeFrames
from bench.protocols.base import Labelled, Prediction, Problem, Unlabelled
from bench.protocols.dense_linear import STRENGTHS, DenseLinear, patch_scores
from bench.protocols.linear import Standard


class DenseVolume(DenseLinear):
    """See the module."""

    title = "Dense linear probe of volumes"
    volumes = "only"

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        unseen = self.lying(problem, problem.train).unseen(problem.train.labels)
        said = f"{unseen:.1%} of the foreground of the training volumes lies outside what the encoder sees of them"
        for prediction in super().predict(problem, subsets):
            yield replace(prediction, warnings=(*prediction.warnings, said)) if unseen else prediction

    def lying(self, problem: Problem, part: Labelled | Unlabelled, rows: np.ndarray | None = None) -> VolumeFrames:
        """The frames of each volume."""
        return VolumeFrames.of(problem, part, rows)

    def scores(
        self, fit: _logistic.LogisticFit, scale: Standard, grid: Matrix, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """Volume by volume: grids of a task may be larger than memory."""
        chosen = range(len(grid.source)) if rows is None else rows
        return np.concatenate([patch_scores(fit, scale, grid.rows(slice(i, i + 1))) for i in chosen], axis=1)


PROTOCOL = DenseVolume("dense-volume-v1", STRENGTHS)
