"""dense-retrieval-v2: each patch takes the labels of the 30 most similar labelled patches (Hummingbird).

Patch features are scaled to length one; weights are softmax(cosine / 0.02); a memory patch votes with the share of its
area that each class covers. The logarithms of the votes are upsampled bilinearly, and a pixel takes the best
foreground class where that beats the background by the operating point, as in dense-linear-v2: it maximises the mean
Dice on the validation split at 100 %, over three folds of the images (each asked of a memory of the others) inside a
labelled subset, and is 0 with fewer than three images of a class. A thin vessel covers a small share of any patch:
without an operating point its vote never wins. Nothing else is tuned. The memory holds a tenth of the labelled patches,
at most 10,240, drawn evenly over the classes (a patch counts for the rarest class it shows). A memory that holds every
patch holds next to no foreground where findings are small, and its vote is background everywhere: docs/protocols.md has
the evidence, and why it is smaller than the published 102,400.
Source: Balazevic et al. 2023 (arXiv 2306.01667); open-hummingbird-eval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from bench.data.budgets import Subset
from bench.features.resident import Array
from bench.protocols import _dense
from bench.protocols._arrays import A, host, library, narrow, unit_length
from bench.protocols._neighbours import product_bytes, top_k
from bench.protocols._select import entropy
from bench.protocols.base import BLOCKS, Prediction, Problem, Protocol, UnitSizes
from bench.protocols.linear import FEW

FOLDS = 3
LEAST = 1e-3
"""Added to a vote before its logarithm: a class that no neighbour shows."""


class DenseRetrieval(Protocol):
    """See the module. `memory`: most patches kept; `share`: of the labelled ones, where that is fewer."""

    title = "Dense retrieval"
    kind = "dense"
    lazy = True
    volumes = "never"
    seeded = True

    def __init__(
        self, name: str = "dense-retrieval-v2", memory: int = 10240, share: float = 0.1, *, tuned: bool = True
    ) -> None:
        """tuned: whether there is an operating point; without one the largest vote wins, as in dense-retrieval-v1."""
        self.name, self.tuned = name, tuned
        self.params: Mapping[str, Any] = {
            "k": 30,
            "temperature": 0.02,
            "memory": memory,
            "share": share,
            "sampling": "balanced by rarest class",
        }
        if tuned:
            self.params |= {"votes": LEAST, "folds": FOLDS, "few": FEW, "offsets": len(_dense.OFFSETS)}

    def memory_bytes(self, sizes: UnitSizes) -> int:
        """The memory; patches that ask it, scaled, beside their squares, or what they found and products; the grids of
        images that are held out."""
        size = self._size(sizes.learnt * sizes.parts)
        held = 0 if sizes.val else sizes.learnt // FOLDS
        asked = sizes.parts * max(sizes.val, held, *sizes.tests)
        scaled, found = 4 * asked * sizes.width, 16 * self.params["k"] * asked + product_bytes(asked, size)
        return scaled + max(scaled, found) + 4 * (size + held * sizes.parts) * sizes.width + BLOCKS

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        frame = _dense.Frame.of(problem)
        size = problem.train.features.patches.shape[1:3]
        shares = _dense.patch_labels(problem.task, problem.train.labels, size, frame)
        for subset in subsets:
            memory = self._memory(problem, shares, subset, subset.rows)
            offset, warnings = self._operating_point(problem, shares, subset, memory, frame)
            outputs = {
                name: _dense.predict_masks(self._scores(problem, test.features.patches, memory), offset, frame)
                for name, test in problem.tests.items()
            }
            chosen = {"k": min(self.params["k"], len(memory.keys)), "memory": len(memory.keys)}
            yield Prediction(subset, outputs, chosen | ({"offset": offset} if self.tuned else {}), warnings)

    def _operating_point(
        self, problem: Problem, shares: np.ndarray, subset: Subset, memory: Memory, frame: _dense.Frame
    ) -> tuple[float, tuple[str, ...]]:
        """The offset with the best Dice on held-out images, and warnings."""
        if not self.tuned:
            return 0.0, ()
        if subset.full and len(problem.val.labels):
            scores, masks = self._scores(problem, problem.val.features.patches, memory), problem.val.labels
        else:
            fold, used, rarest = _dense.image_folds(problem, subset, FOLDS)
            if rarest < FEW:
                return 0.0, (f"operating point 0: only {rarest} labelled images of a class, too few to tune",)
            grid, masks = problem.train.features.patches, problem.train.labels[subset.rows]
            scores = np.zeros((len(masks), *grid.shape[1:3], shares.shape[-1]), np.float32)
            for f in used:
                others = self._memory(problem, shares, subset, subset.rows[fold != f])
                scores[fold == f] = self._scores(problem, grid, others, subset.rows[fold == f])
        offset, _ = _dense.best_offset(_dense.dice_by_offset(scores, masks, shares.shape[-1], frame))
        return offset, _dense.edge_warning(offset)

    def _memory(self, problem: Problem, shares: np.ndarray, subset: Subset, rows: np.ndarray) -> Memory:
        """The patches kept of the images `rows`; the draw depends on task and seed."""
        draw = np.random.default_rng(entropy(problem.task, subset.seed))
        patches = len(rows) * shares.shape[1] * shares.shape[2]
        keys, votes = _memory(problem.train.features.patches, shares, rows, self._size(patches), draw)
        return Memory(problem.resident.up(keys), problem.resident.up(votes))

    def _size(self, patches: int) -> int:
        """Of the memory, of so many labelled patches."""
        return min(self.params["memory"], max(self.params["k"], round(self.params["share"] * patches)))

    def _scores(self, problem: Problem, grid: np.ndarray, memory: Memory, rows: np.ndarray | None = None) -> np.ndarray:
        """float32 (n, gh, gw, classes): `_votes` of all images, or of `rows`."""
        return problem.resident(grid).each(lambda some: self._votes(some, memory), rows)

    def _votes(self, grid: Array, memory: Memory) -> np.ndarray:
        """The weighted vote at each patch, its logarithm where there is an offset."""
        k = min(self.params["k"], len(memory.keys))
        cosine, rows = top_k(_unit(grid.reshape(-1, grid.shape[-1])), memory.keys, k, rerank=False)
        of = library(cosine)
        weight = of.exp((cosine - of.amax(cosine, 1, keepdims=True)) / self.params["temperature"])
        weight /= weight.sum(1, keepdims=True)
        votes = memory.votes
        scores = of.stack([(weight * votes[:, c][rows]).sum(1) for c in range(votes.shape[1])], axis=1)
        if self.tuned:
            scores = of.log(scores + LEAST)
        return host(scores).reshape(*grid.shape[:3], -1).astype(np.float32)


class Memory(NamedTuple):
    """Unit-length patches float32 (m, c) and their class shares (m, k), where solvers compute."""

    keys: Array
    votes: Array


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


def _unit(x: A) -> A:
    return unit_length(narrow(x))


PROTOCOL = DenseRetrieval()
