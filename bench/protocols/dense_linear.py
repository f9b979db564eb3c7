"""dense-linear-v2: logistic regression on patches of the frozen grid.

Each patch is labelled by the share of its area that each class covers. One convex problem (features z-scored,
multinomial or binary cross-entropy on soft labels, L2 penalty) gives a logit map on the grid, upsampled
bilinearly to the mask. A pixel takes the best foreground class where that beats the background by the operating
point. C (ten decades) and the operating point maximise the mean Dice, false alarms on images without foreground
included: on the validation split at 100 %, by cross-validation over images inside the labelled subset below that.
With fewer than three images of a class, C = 0.01 and the operating point is 0. At 100 % the chosen C is refitted on
train and validation together.

At most 8,192 patches are used: those that hold foreground first (up to half), then background, each
standing for as many as were left out. The draw depends on the task alone at 100 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np

from bench.data.budgets import Subset
from bench.data.task import Task
from bench.features.resident import Array, Matrix
from bench.protocols import _dense, _logistic
from bench.protocols._arrays import beside, host, narrow
from bench.protocols._select import best, entropy
from bench.protocols.base import BLOCKS, Labelled, Prediction, Problem, Protocol, UnitSizes, Unlabelled
from bench.protocols.linear import FEW, Standard

STRENGTHS = [10.0**e for e in range(-6, 4)]


class DenseLinear(Protocol):
    """See the module."""

    title = "Dense linear probe"
    kind = "dense"
    volumes: ClassVar[Literal["too", "only", "never"]] = "never"

    def __init__(self, name: str, strengths: Sequence[float], *, empty: bool = True) -> None:
        """empty: whether images without foreground count in the choice."""
        self.name, self.empty = name, empty
        self.params: Mapping[str, Any] = {
            "C": list(strengths),
            "C_few": 1e-2,
            "few": FEW,
            "folds": 3,
            "patches": 8192,
            "standardise": "train",
            "offsets": [float(_dense.OFFSETS[0]), float(_dense.OFFSETS[-1]), len(_dense.OFFSETS)],
            "refit": "train+val",
            "tolerance": 1e-6,
        }
        if empty:
            self.params |= {"empty": "0 where a class that is not there is predicted"}

    def learns_from(self, images: int, cells: int) -> int:
        return min(images, max(1, self.params["patches"] // cells))

    def memory_bytes(self, sizes: UnitSizes) -> int:
        """Of the patches that are learnt from; of the scores by which C is chosen; of grids that are held out."""
        learnt, val = sizes.learnt * sizes.parts, sizes.val * sizes.parts
        folds = 1 if val else self.params["folds"]
        rows = min(learnt, self.params["patches"]) + min(val, self.params["patches"])
        columns, c = 1 if len(sizes.task.classes) == 2 else len(sizes.task.classes), len(self.params["C"])
        link = "sigmoid" if columns == 1 else "softmax"
        extent = _logistic.Extent.of(folds, (rows, sizes.width), columns, link, c)
        held = 0 if val or sizes.task.volume else 4 * learnt * sizes.width // folds
        beside = 8 * c * columns * (val or learnt) + held
        return extent.memory_bytes(sizes.together, beside=beside) + 4 * rows * sizes.width + BLOCKS

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        grid = problem.train.features.patches.shape[1:-1]
        shares = {
            name: self.lying(problem, part).labels(problem.task, part.labels, grid)
            for name, part in (("train", problem.train), ("val", problem.val))
        }
        extent = partial(self._extent, "sigmoid" if len(problem.task.classes) == 2 else "softmax")
        learning = (self._learning(problem, subset, shares) for subset in subsets)
        for some in _logistic.side_by_side(learning, extent, problem.device, together=problem.together):
            yield from self._predict(problem, some)

    def mended(self, task: Task) -> dict[str, str]:
        if len(task.classes) == 2:
            return {}
        return {"shares": "sum to 1 in float64: in float32 they did not quite, and the bound on the gap was none"}

    def lying(self, problem: Problem, part: Labelled | Unlabelled, rows: np.ndarray | None = None) -> _dense.Lying:
        """How the grids of a split, or of some of its rows, lie over their masks."""
        return _dense.Frame.of(problem)

    def scores(
        self, fit: _logistic.LogisticFit, scale: Standard, grid: Matrix, rows: np.ndarray | None = None
    ) -> np.ndarray:
        """float32 (m, n, *grid, k) logits of each problem of a fit on the grids of all images, or of `rows`."""
        return grid.each(partial(patch_scores, fit, scale), rows, axis=1)

    def _learning(self, problem: Problem, subset: Subset, shares: dict[str, np.ndarray]) -> PatchFolds:
        rows, limit = subset.rows, self.params["patches"]
        draw = np.random.default_rng(entropy(problem.task, subset.seed))
        sample = PatchSample.of(problem.train.features.patches, shares["train"], rows, limit, draw)
        learnt = len(sample.x)
        if subset.full and len(problem.val.labels):
            everywhere = np.arange(len(problem.val.labels))
            more = PatchSample.of(problem.val.features.patches, shares["val"], everywhere, limit, draw)
            sample = sample.with_more(more)
            weights = sample.weight * (np.arange(len(sample.x)) < learnt)
            return PatchFolds(subset, sample, learnt, weights[None], None)
        fold, used, rarest = _dense.image_folds(problem, subset, self.params["folds"])
        used = used if rarest >= FEW else []
        weights = np.stack([np.zeros(learnt), *(sample.weight * (fold[sample.image] != f) for f in used)])[1:]
        return PatchFolds(subset, sample, learnt, weights, fold, used, rarest)

    def _extent(self, link: str, one: PatchFolds) -> _logistic.Extent:
        columns = one.sample.y.shape[1]
        return _logistic.Extent.of(len(one.weights), one.sample.x.shape, columns, link, len(self.params["C"]))

    def _predict(self, problem: Problem, some: Sequence[PatchFolds]) -> Iterator[Prediction]:
        """Of budgets and seeds that are solved side by side."""
        resident, tolerance = problem.resident, self.params["tolerance"]
        xs = [resident.up(one.sample.x) for one in some]
        scales = [Standard(x[: one.learnt]) for one, x in zip(some, xs, strict=True)]
        scaled = [scale(x) for scale, x in zip(scales, xs, strict=True)]
        designs = _designs(problem.task, scaled, [one.sample.y for one in some])
        choices = self._choices(problem, designs, some, scales)
        fits = designs.fit(
            [[strength] for strength, *_ in choices],
            [one.sample.weight for one in some],
            start=[start for _, _, start, _ in choices],
            tolerance=tolerance,
        )
        for one, scale, (strength, offset, _, warnings), fit in zip(some, scales, choices, fits, strict=True):
            if not fit.converged.all():
                warnings = (*warnings, f"the solver did not converge at C = {strength:g}")
            outputs = {
                name: self.lying(problem, test).answers(
                    self.scores(fit, scale, resident(test.features.patches))[0], offset
                )
                for name, test in problem.tests.items()
            }
            yield Prediction(one.subset, outputs, {"C": strength, "offset": offset}, warnings)

    def _choices(
        self,
        problem: Problem,
        designs: _logistic.Designs,
        some: Sequence[PatchFolds],
        scales: Sequence[Standard],
    ) -> list[Choice]:
        """C and operating point of each: on the validation split, or by cross-validation over images of the subset."""
        c = self.params["C"]
        if not len(some[0].weights):
            few = "C = {:g}: only {} labelled images of a class, too few to tune"
            return [(self.params["C_few"], 0.0, None, (few.format(self.params["C_few"], s.rarest),)) for s in some]
        weights = _logistic.searches([one.weights for one in some], len(c))
        strengths = [c * (len(each) // len(c)) for each in weights]
        fits = designs.fit(strengths, weights, tolerance=self.params["tolerance"])
        own = (fit.part(slice(len(c) * len(one.weights))) for fit, one in zip(fits, some, strict=True))
        return [self._chosen(problem, *given) for given in zip(own, some, scales, strict=True)]

    def _chosen(self, problem: Problem, fit: _logistic.LogisticFit, one: PatchFolds, scale: Standard) -> Choice:
        c, k, resident = self.params["C"], len(problem.task.classes), problem.resident
        if one.fold is None:
            scores = self.scores(fit, scale, resident(problem.val.features.patches))
            return self._pick(scores, problem.val.labels, k, self.lying(problem, problem.val), fit)
        rows, grid = one.subset.rows, problem.train.features.patches
        scores = np.zeros((len(c), len(rows), *grid.shape[1:-1], fit.bias.shape[1]), np.float32)
        for i, f in enumerate(one.used):
            part, held = fit.part(slice(i * len(c), (i + 1) * len(c))), one.fold == f
            scores[:, held] = self.scores(part, scale, resident(grid), rows[held])
        return self._pick(scores, problem.train.labels[rows], k, self.lying(problem, problem.train, rows), fit)

    def _pick(
        self, scores: np.ndarray, masks: np.ndarray, k: int, lying: _dense.Lying, fit: _logistic.LogisticFit
    ) -> Choice:
        """The C and offset with the best Dice; scores: (C, n, *grid, k). Ties go to the smaller C."""
        curves = [_dense.dice_by_offset(s, masks, k, lying, empty=self.empty) for s in scores]
        points = [_dense.best_offset(curve) for curve in curves]
        dice = np.array([value for _, value in points])
        chosen = best(dice)
        strength, offset = self.params["C"][chosen], points[chosen][0]
        warnings = _dense.edge_warning(offset)
        if chosen in (0, len(dice) - 1) and np.ptp(dice) > 1e-12:
            warnings = (*warnings, f"the chosen C = {strength:g} lies at the edge of the grid")
        if not fit.converged.all():
            warnings = (*warnings, "the solver did not converge at every C of the search")
        return strength, offset, fit.part(slice(chosen, chosen + 1)), warnings


Choice = tuple[float, float, _logistic.LogisticFit | None, tuple[str, ...]]
"""C, operating point, a solution near the wanted one, warnings."""


def _designs(task: Task, xs: Sequence[Array], ys: Sequence[np.ndarray]) -> _logistic.Designs:
    if len(task.classes) == 2:
        return _logistic.Designs(xs, [y[:, 1:] for y in ys], "sigmoid")
    return _logistic.Designs(xs, ys, "softmax")


@dataclass(frozen=True)
class PatchSample:
    """Patches a fit sees: x float32 (m, c), y float32 (m, k), weight float64 (m,), image int (m,) row in the subset."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    image: np.ndarray

    @classmethod
    def of(
        cls, grid: np.ndarray, shares: np.ndarray, rows: np.ndarray, limit: int, draw: np.random.Generator
    ) -> PatchSample:
        """All patches of the images `rows`, or `limit` of them, weighted to stand for all."""
        per_image = math.prod(grid.shape[1:-1])
        background = shares[rows][..., 0].reshape(-1)
        index, weight = np.arange(len(background)), np.ones(len(background))
        if len(index) > limit:
            front, back = np.flatnonzero(background < 1), np.flatnonzero(background == 1)
            some = min(len(front), max(limit // 2, limit - len(back)))
            parts = [(front, some), (back, limit - some)]
            chosen = [(draw.choice(p, size, replace=False), len(p) / size) for p, size in parts if size]
            index = np.concatenate([np.sort(p) for p, _ in chosen])
            weight = np.concatenate([np.full(len(p), ratio) for p, ratio in chosen])
        image, place = index // per_image, index % per_image
        x = grid.reshape(len(grid), per_image, -1)[rows[image], place]
        return cls(x, shares.reshape(len(shares), per_image, -1)[rows[image], place], weight, image)

    def with_more(self, other: PatchSample) -> PatchSample:
        """Both together."""
        return PatchSample(
            *(
                np.concatenate(pair)
                for pair in (
                    (self.x, other.x),
                    (self.y, other.y),
                    (self.weight, other.weight),
                    (self.image, other.image),
                )
            )
        )


class PatchFolds(NamedTuple):
    """What a dense probe learns from: of the patches of a subset, the first `learnt`, and of validation.

    weights: of the rows in each search for C, (f, m); none where there are too few images. fold: of each image of the
    subset, and `used`, those that are held out in turn; None where validation serves. rarest: images of that class.
    """

    subset: Subset
    sample: PatchSample
    learnt: int
    weights: np.ndarray
    fold: np.ndarray | None
    used: Sequence[int] = ()
    rarest: int = 0


def patch_scores(fit: _logistic.LogisticFit, scale: Standard, grid: Array) -> np.ndarray:
    """float32 (m, n, *grid, k) logits of each problem on grids (n, *grid, c), in one product."""
    m, k, d = fit.weights.shape
    turned = (fit.weights * scale.scale).reshape(m * k, d)
    bias = fit.bias.reshape(-1) - turned @ scale.mean
    flat = host(narrow(grid.reshape(-1, d)) @ beside(turned.T.astype(np.float32), grid))
    return np.moveaxis((flat + bias.astype(np.float32)).reshape(*grid.shape[:-1], m, k), -2, 0)


PROTOCOL = DenseLinear("dense-linear-v2", STRENGTHS)
