"""dense-retrieval-v1: each patch takes the labels of the 30 most similar labelled patches (Hummingbird).

Patch features are scaled to length one; weights are softmax(cosine / 0.02); a memory patch votes with the share of its
area that each class covers. Scores are upsampled bilinearly and the largest wins. Nothing is tuned. The memory
holds a tenth of the labelled patches, at most 10,240, drawn evenly over the classes (a patch counts for the rarest
class it shows). A memory that holds every patch holds next to no foreground where findings are small, and its vote is
background everywhere: docs/protocols.md has the evidence, and why it is smaller than the published 102,400.
Source: Balazevic et al. 2023 (arXiv 2306.01667); open-hummingbird-eval.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from bench.protocols import _dense
from bench.protocols._neighbours import top_k
from bench.protocols._select import entropy
from bench.protocols.base import Prediction, Problem, Protocol, Subset


class DenseRetrieval(Protocol):
    """See the module. `memory`: most patches kept; `share`: of the labelled ones, where that is fewer."""

    title = "Dense retrieval"
    kind = "dense"
    seeded = True

    def __init__(self, name: str = "dense-retrieval-v1", memory: int = 10240, share: float = 0.1) -> None:
        self.name = name
        self.params = {
            "k": 30,
            "temperature": 0.02,
            "memory": memory,
            "share": share,
            "sampling": "balanced by rarest class",
        }

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        frame = _dense.Frame.of(problem)
        size = problem.train.features.grid.shape[1:3]
        shares = _dense.patch_labels(problem.task, problem.train.labels, size, frame)
        for subset in subsets:
            draw = np.random.default_rng(entropy(problem.task, subset.seed))
            patches = len(subset.rows) * size[0] * size[1]
            limit = min(self.params["memory"], max(self.params["k"], round(self.params["share"] * patches)))
            keys, votes = _memory(problem.train.features.grid, shares, subset.rows, limit, draw)
            k = min(self.params["k"], len(keys))
            outputs = {}
            for name, test in problem.tests.items():
                scores = self._scores(test.features.grid, keys, votes, k)
                outputs[name] = _dense.predict_masks(scores, 0.0, frame)
            yield Prediction(subset, outputs, {"k": k, "memory": len(keys)})

    def _scores(self, grid: np.ndarray, keys: np.ndarray, votes: np.ndarray, k: int) -> np.ndarray:
        """float32 (n, gh, gw, classes): the weighted vote at each patch."""
        cosine, rows = top_k(_unit(grid.reshape(-1, grid.shape[-1])), keys, k, rerank=False)
        weight = np.exp((cosine - cosine.max(1, keepdims=True)) / self.params["temperature"])
        weight /= weight.sum(1, keepdims=True)
        scores = np.stack([(weight * votes[:, c][rows]).sum(1) for c in range(votes.shape[1])], axis=1)
        return scores.reshape(*grid.shape[:3], -1).astype(np.float32)


def _memory(
    grid: np.ndarray, shares: np.ndarray, rows: np.ndarray, limit: int, draw: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Unit-length patches float32 (m, c) of the images `rows`, and their class shares (m, k)."""
    per_image = grid.shape[1] * grid.shape[2]
    flat = shares.reshape(len(shares), per_image, -1)
    votes = flat[rows].reshape(-1, flat.shape[-1])
    index = np.arange(len(votes))
    if len(votes) > limit:
        index = _balanced(votes, limit, draw)
    keys = grid.reshape(len(grid), per_image, -1)[rows[index // per_image], index % per_image]
    return _unit(keys), votes[index]


def _balanced(votes: np.ndarray, limit: int, draw: np.random.Generator) -> np.ndarray:
    """`limit` rows, as even over classes as their numbers allow; the rarest class is served first."""
    present = votes > 0
    rarity = np.where(present, present.sum(0), len(votes) + 1)
    kind = rarity.argmin(1)
    counts = np.bincount(kind, minlength=votes.shape[1])
    chosen, left = [], limit
    order = [c for c in np.argsort(counts, kind="stable") if counts[c]]
    for place, c in enumerate(order):
        size = min(counts[c], left // (len(order) - place))
        chosen.append(draw.choice(np.flatnonzero(kind == c), size, replace=False))
        left -= size
    return np.sort(np.concatenate(chosen))


def _unit(x: np.ndarray) -> np.ndarray:
    x = x.astype(np.float32, copy=False)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)


PROTOCOL = DenseRetrieval()
