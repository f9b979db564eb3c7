"""The judge of a trial: what a linear probe reads from frozen features of real images that were never trained on.

Half of the score is of images (classes of the corpus's global tasks), half of places (foreground of its dense tasks),
so that neither kind of objective is tuned for the other's work. No validation or test image of a task is in the corpus.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch import Tensor

from bench.data.dataset import evenly
from bench.errors import DataError
from bench.pretrain.backbone import Backbone
from bench.pretrain.corpus import Corpus, as_floats
from bench.pretrain.diagnostics import vectors_of

FIT_IMAGES = 128
"""At most this many trained images of a global task are what the probe is fitted to."""
FIT_DENSE = 48
"""The same for a dense task."""
FOREGROUND = 50
"""Percent of a place from which on it counts as foreground."""


def probe(backbone: Backbone, corpus: Corpus, device: str) -> dict[str, float]:
    """`probe/<set>` for each set with labels or masks, and `probe`: the mean of the two halves' means.

    Scores are balanced accuracy for images and ROC AUC for places, each less chance and divided by what chance leaves:
    0 is chance, 1 is perfect. Raises DataError for a corpus without either.
    """
    halves: list[tuple[Callable[..., float | None], list[str]]]
    halves = [(_of_images, sorted(corpus.labels)), (_of_places, sorted(corpus.covers))]
    found = [{name: measure(backbone, corpus, name, device) for name in names} for measure, names in halves]
    known = [{f"probe/{name}": v for name, v in half.items() if v is not None} for half in found]
    means = [float(np.mean(list(half.values()))) for half in known if half]
    if not means:
        raise DataError("has no labels and no masks to judge a trial by", where=f"corpus {corpus.name!r}")
    return {"probe": float(np.mean(means)), **known[0], **known[1]}


def ridge(x: Tensor, y: Tensor, test: Tensor) -> Tensor:
    """Predictions (m, k) for `test` (m, d) of a ridge regression of y (n, k) on z-scored x (n, d), penalty n / 100."""
    mean, std = x.mean(0), x.std(0).clamp(min=1e-9)
    x, test = ((part - mean) / std for part in (x, test))
    gram = x.T @ x + len(x) / 100 * torch.eye(x.shape[1], dtype=x.dtype)
    return test @ torch.linalg.solve(gram, x.T @ (y - y.mean(0))) + y.mean(0)


def _of_images(backbone: Backbone, corpus: Corpus, name: str, device: str) -> float | None:
    labels = corpus.labels[name]
    fit = _spread(corpus.trained[labels[corpus.trained] >= 0], FIT_IMAGES)
    test = corpus.held[labels[corpus.held] >= 0]
    classes, truth = np.unique(labels[fit], return_inverse=True)
    tested = len(np.unique(labels[test]))
    if len(classes) < 2 or tested < 2:
        return None
    x, z = (vectors_of(backbone, as_floats(corpus.images[rows], device)).double() for rows in (fit, test))
    guess = classes[ridge(x, F.one_hot(torch.from_numpy(truth)).double(), z).argmax(1).numpy()]
    right = [float(np.mean(guess[labels[test] == c] == c)) for c in np.unique(labels[test])]
    return (float(np.mean(right)) - 1 / tested) / (1 - 1 / tested)


def _of_places(backbone: Backbone, corpus: Corpus, name: str, device: str) -> float | None:
    rows, percent = corpus.covers[name]
    held = np.isin(rows, corpus.held)
    fit, test = _spread(np.flatnonzero(~held), FIT_DENSE), np.flatnonzero(held)
    if not len(fit) or not len(test):
        return None
    (x, shares), (z, truths) = (_places(backbone, corpus, rows[some], percent[some], device) for some in (fit, test))
    truth = (truths >= FOREGROUND).numpy()
    if truth.all() or not truth.any():
        return None
    return 2 * float(roc_auc_score(truth, ridge(x, shares[:, None], z)[:, 0].numpy())) - 1


@torch.no_grad()
def _places(
    backbone: Backbone, corpus: Corpus, rows: np.ndarray, percent: np.ndarray, device: str
) -> tuple[Tensor, Tensor]:
    """Tokens (k, dim) of whole images and the percent of foreground (k,) at each, on the coarser of the two grids."""
    was = backbone.training
    backbone.eval()
    parts = as_floats(corpus.images[rows], device).split(128)
    tokens = torch.cat([backbone.tokens(part).double().cpu() for part in parts])
    backbone.train(was)
    grid = tokens.transpose(1, 2).unflatten(2, (int(tokens.shape[1] ** 0.5), -1))
    side = min(grid.shape[-1], percent.shape[-1])
    cells = F.adaptive_avg_pool2d(torch.from_numpy(percent).double()[:, None], side)
    return F.adaptive_avg_pool2d(grid, side).flatten(2).transpose(1, 2).flatten(0, 1), cells.flatten()


def _spread(rows: np.ndarray, most: int) -> np.ndarray:
    """At most `most` of the rows, evenly spaced: files of one class often lie together."""
    return rows[evenly(len(rows), most)]
