"""The linear sweep beside scikit-learn's L-BFGS and an SGD probe, and how its cost grows."""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression
from solver_data import mixture, table, timed
from threadpoolctl import threadpool_limits

from bench.metrics.set.auroc import macro_auroc
from bench.protocols._logistic import Design
from bench.protocols.linear import DECADES, SEARCH_TOLERANCE

SHARES = (1.0, 0.25, 0.1, 0.05, 0.01)
Solution = tuple[np.ndarray, np.ndarray]
"""Weights (12, k, d) and intercepts (12, k), one of each C."""


@dataclass(frozen=True)
class Sweep:
    """Rows, one-hot classes, and the subsets of each budget and seed; the whole set comes once."""

    x: np.ndarray
    y: np.ndarray
    parts: list[np.ndarray]

    @classmethod
    def made_up(cls, n: int, d: int, k: int, shares: tuple[float, ...] = SHARES, seeds: int = 1) -> Sweep:
        x, y = mixture(n, d, k)
        parts = [np.arange(n)] if 1.0 in shares else []
        for seed in range(seeds):
            order = np.random.default_rng(seed).permutation(n)
            order = order[np.argsort(_place_in_class(y[order]), kind="stable")]
            parts += [np.sort(order[: round(n * s)]) for s in shares if s < 1]
        return cls(x, np.eye(k)[y], parts)

    def solve(self, tolerance: float = SEARCH_TOLERANCE, limit: int = 1000) -> list[Solution]:
        """Ours: every C of a subset in one batch."""
        fits = [
            Design(self.x[p], self.y[p]).fit(DECADES, tolerance=tolerance, max_iterations=limit) for p in self.parts
        ]
        return [(fit.weights, fit.bias) for fit in fits]

    def scikit_learn(self) -> list[Solution]:
        """One fit after the other, on one thread: its fastest here."""
        labels, out = self.y.argmax(1), []
        with threadpool_limits(1):
            for p in self.parts:
                fits = [LogisticRegression(C=c, max_iter=1000).fit(self.x[p], labels[p]) for c in DECADES]
                out.append((np.stack([f.coef_ for f in fits]), np.stack([f.intercept_ for f in fits])))
        return out

    def objective(self, part: np.ndarray, solution: Solution) -> np.ndarray:
        """Float64 (12,): mean loss plus penalty, as `_logistic` defines it."""
        x, y = self.x[part], self.y[part]
        loss = [-(log_softmax(x @ w.T + b, axis=1) * y).sum(1).mean() for w, b in zip(*solution, strict=True)]
        return np.array(loss) + np.square(solution[0]).sum((1, 2)) / (2 * np.array(DECADES) * len(part))


def _place_in_class(y: np.ndarray) -> np.ndarray:
    """Place of each row among those of its class, in (0, 1): sorting by it stratifies every prefix."""
    place = np.empty(len(y))
    for c in np.unique(y):
        members = np.flatnonzero(y == c)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return place


def areas(solution: Solution, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Float64 (12,): macro AUROC on other rows."""
    return macro_auroc(np.stack([log_softmax(x @ w.T + b, axis=1) for w, b in zip(*solution, strict=True)]), y > 0.5)


def sweep(args: argparse.Namespace) -> None:
    """12 C x 5 budgets x seeds: seconds, objective gap, C and AUROC beside a float64 optimum."""
    made = Sweep.made_up(args.n, args.d, args.classes, seeds=args.seeds)
    mine, ours = timed(made.solve, args)
    theirs, sklearn = timed(made.scikit_learn, args)
    optimum = made.solve(tolerance=1e-10, limit=5000)
    held_x, held = mixture(2000, args.d, args.classes, seed=1)
    held_y = np.eye(args.classes)[held]
    lowest = [
        np.minimum.reduce([made.objective(p, found[i]) for found in (ours, sklearn, optimum)])
        for i, p in enumerate(made.parts)
    ]
    best = [areas(s, held_x, held_y) for s in optimum]
    rows = []
    for name, seconds, found in (("ours", mine, ours), ("scikit-learn L-BFGS, its tolerance 1e-4", theirs, sklearn)):
        gap = max((made.objective(p, s) - e).max() for p, s, e in zip(made.parts, found, lowest, strict=True))
        scores = [areas(s, held_x, held_y) for s in found]
        same = sum(a.argmax() == b.argmax() for a, b in zip(scores, best, strict=True))
        apart = max(abs(a.max() - b.max()) for a, b in zip(scores, best, strict=True))
        times = [f"{seconds:.1f}", f"{seconds / mine:.1f}"]
        rows.append([name, *times, f"{gap:.0e}", f"{same} of {len(best)}", f"{apart:.0e}"])
    table(
        f"Linear sweep, {12 * len(made.parts)} problems: n = {args.n}, d = {args.d}, {args.classes} classes, "
        f"12 C x 5 budgets x {args.seeds} seeds",
        "solver | seconds | ratio | largest objective gap | same C as the optimum | largest AUROC difference",
        rows,
    )
    if args.sgd:
        _beside_sgd(args, held_x, held_y)


def _beside_sgd(args: argparse.Namespace, held_x: np.ndarray, held_y: np.ndarray) -> None:
    """The whole set alone: 12 C of ours beside 12 learning rates of SGD."""
    made = Sweep.made_up(args.n, args.d, args.classes, shares=(1.0,))
    once = argparse.Namespace(**vars(args) | {"repeats": 1})
    mine, ours = timed(made.solve, args)
    theirs, heads = timed(lambda: _sgd(made.x, made.y), once)
    found = [areas(s, held_x, held_y).max() for s in (ours[0], heads)]
    table(
        f"The whole set of {args.n} rows alone, beside stochastic gradient descent (one run)",
        "probe | seconds | ratio | AUROC of its best candidate",
        [
            ["ours, 12 C", f"{mine:.1f}", "1", f"{found[0]:.4f}"],
            ["SGD, 12 rates, 12,500 batches of 128", f"{theirs:.1f}", f"{theirs / mine:.0f}", f"{found[1]:.4f}"],
        ],
    )


def _sgd(x: np.ndarray, y: np.ndarray) -> Solution:
    """As DINOv2 trains its linear heads: 12 rates side by side, SGD with momentum, cosine, 10 x 1250 batches of 128."""
    torch.manual_seed(0)
    rates = torch.logspace(-5, -1, 12)[:, None, None]
    rows, labels = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y.argmax(1))
    rows = torch.cat([rows, torch.ones(len(rows), 1)], 1)
    heads = torch.zeros(12, y.shape[1], rows.shape[1], requires_grad=True)
    speed, total = torch.zeros_like(heads), 12500
    for step in range(total):
        pick = torch.randint(len(rows), (128,))
        logits = (rows[pick] @ heads.flatten(0, 1).T).view(128, 12, -1).transpose(1, 2)
        loss = torch.nn.functional.cross_entropy(logits, labels[pick, None].expand(-1, 12), reduction="sum")
        (gradient,) = torch.autograd.grad(loss / 128, heads)
        with torch.no_grad():
            speed = 0.9 * speed + gradient
            heads -= rates * 0.5 * (1 + np.cos(np.pi * step / total)) * speed
    found = heads.detach().double().numpy()
    return found[..., :-1], found[..., -1]


def growth(args: argparse.Namespace) -> None:
    """Seconds of the sweep as one quantity changes and the others stay."""
    base = {"n": 4000, "d": 384, "k": 10, "shares": SHARES, "seeds": 1}
    steps = {
        "training rows n": ("n", [1000, 2000, 4000, 8000, 16000], str),
        "features d": ("d", [96, 192, 384, 768], str),
        "classes": ("k", [2, 5, 10, 20], str),
        "budgets": ("shares", [SHARES[:1], SHARES[:3], SHARES], lambda s: ", ".join(f"{v:.0%}" for v in s)),
        "seeds": ("seeds", [1, 3, 5], str),
    }
    rows = []
    for name, (key, values, shown) in steps.items():
        for value in values:
            made = Sweep.made_up(**base | {key: value})
            seconds, _ = timed(made.solve, args)
            rows.append([name, shown(value), str(12 * len(made.parts)), f"{seconds:.2f}"])
    title = "Growth of the linear sweep around n = 4000, d = 384, 10 classes, 5 budgets, 1 seed"
    table(title, "what | value | problems | seconds", rows)
