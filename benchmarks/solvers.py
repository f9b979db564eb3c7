"""Every solver beside its peers, in one process: `python benchmarks/solvers.py [--n 20000] [--threads 2]`.

Prints one table for each kind of work: seconds (median of the repeats), ratio to ours, and how far results are apart.
Made-up data: a Gaussian mixture with a decaying spectrum, z-scored.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable

import faiss
import numpy as np
import torch
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from bench.protocols._logistic import Design
from bench.protocols._neighbours import top_k
from bench.protocols.linear import DECADES, SEARCH_TOLERANCE

SHARES = (0.01, 0.05, 0.1, 0.25)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=20000, help="training rows")
    parser.add_argument("--d", type=int, default=384)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--memory", type=int, default=10240, help="patches of the dense memory")
    parser.add_argument("--patches", type=int, default=49152, help="patches that ask it")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cpu", action="store_true", help="processor seconds, for a busy machine and one thread")
    parser.add_argument("--sgd", action="store_true", help="also the SGD probe (slow)")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    faiss.omp_set_num_threads(args.threads)
    warnings.filterwarnings("ignore")
    linear(args)
    neighbours(args)
    retrieval(args)


def mixture(n: int, d: int, k: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Float64 rows (n, d), z-scored, and their class."""
    rng = np.random.default_rng(seed)
    spectrum = (1 + np.arange(d)) ** -0.7
    z = rng.normal(size=(n, d)) * spectrum
    y = (z @ np.random.default_rng(99).normal(size=(d, k)) * 3 + rng.gumbel(size=(n, k))).argmax(1)
    x = z @ np.linalg.qr(np.random.default_rng(98).normal(size=(d, d)))[0]
    return (x - x.mean(0)) / x.std(0), y


def _place_in_class(y: np.ndarray, order: np.ndarray) -> np.ndarray:
    place = np.empty(len(y))
    for c in np.unique(y):
        members = order[y[order] == c]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    return place


def timed(run: Callable[[], object], args: argparse.Namespace) -> tuple[float, object]:
    """Median seconds and the last result."""
    clock = time.process_time if args.cpu else time.perf_counter
    seconds, result = [], None
    for _ in range(args.repeats):
        started = clock()
        result = run()
        seconds.append(clock() - started)
    return statistics.median(seconds), result


def linear(args: argparse.Namespace) -> None:
    """12 C x 5 budgets x seeds of multinomial regression: ours, scikit-learn's L-BFGS, an SGD probe."""
    x, y = mixture(args.n, args.d, args.classes)
    tx, ty = mixture(2000, args.d, args.classes, seed=1)
    parts = [np.arange(args.n)]
    for seed in range(args.seeds):
        order = np.random.default_rng(seed).permutation(args.n)
        order = np.argsort(_place_in_class(y, order), kind="stable")  # stratified: each prefix holds every class
        parts += [np.sort(order[: round(args.n * s)]) for s in SHARES]
    target = np.eye(args.classes)[y]

    def ours() -> list[tuple[np.ndarray, np.ndarray]]:
        fits = [Design(x[p], target[p]).fit(DECADES, tolerance=SEARCH_TOLERANCE) for p in parts]
        return [(w, b) for fit in fits for w, b in zip(fit.weights, fit.bias, strict=True)]

    def sklearn() -> list[tuple[np.ndarray, np.ndarray]]:
        with threadpool_limits(args.threads if args.threads == 1 else 1):
            return [_sklearn(x[p], y[p], c) for p in parts for c in DECADES]

    mine, a = timed(ours, args)
    theirs, b = timed(sklearn, args)
    problems = [(p, c) for p in parts for c in DECADES]
    best = Design(x, target).fit(DECADES, tolerance=1e-14, max_iterations=5000)
    exact = [_objective(w, b, x, target, c) for w, b, c in zip(best.weights, best.bias, DECADES, strict=True)]
    gaps = [[_objective(*s, x[p], target[p], c) - e for s, (p, c), e in zip(found, problems, exact, strict=False)]
            for found in (a, b)]  # fmt: skip
    auroc = [[_auroc(s, tx, ty) for s in found] for found in (a, b)]
    picks = [np.array(v).reshape(-1, 12).argmax(1) for v in auroc]
    print(f"\nlinear sweep, {len(problems)} problems, n = {args.n}, d = {args.d}, {args.classes} classes")
    print("| solver | seconds | ratio | largest objective gap (full data) |\n|---|---|---|---|")
    print(f"| ours | {mine:.2f} | 1 | {max(gaps[0]):.1e} |")
    print(f"| scikit-learn L-BFGS, tol 1e-4 | {theirs:.2f} | {theirs / mine:.1f} | {max(gaps[1]):.1e} |")
    if args.sgd:
        seconds, _ = timed(lambda: _sgd(x, y, args.classes), args)
        print(f"| SGD probe, 12 rates, full data only | {seconds:.2f} | {seconds / mine:.1f} | - |")
    same = (picks[0] == picks[1]).mean()
    apart = max(abs(np.array(auroc[0]) - np.array(auroc[1])))
    print(f"same C in {same:.0%} of {len(parts)} subsets; largest AUROC difference {apart:.1e}")


def _sklearn(x: np.ndarray, y: np.ndarray, c: float) -> tuple[np.ndarray, np.ndarray]:
    fit = LogisticRegression(C=c, max_iter=1000).fit(x, y)
    return fit.coef_, fit.intercept_


def _objective(w: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray, c: float) -> float:
    return -(log_softmax(x @ w.T + b, axis=1) * y).sum(1).mean() + (w**2).sum() / (2 * c * len(x))


def _auroc(solution: tuple[np.ndarray, np.ndarray], x: np.ndarray, y: np.ndarray) -> float:
    w, b = solution
    return roc_auc_score(y, softmax(x @ w.T + b, axis=1), multi_class="ovr")


def _sgd(x: np.ndarray, y: np.ndarray, k: int) -> torch.Tensor:
    """As DINOv2 trains its linear heads: 12 rates side by side, SGD with momentum, cosine, 10 x 1250 batches of 128."""
    rates = torch.logspace(-5, -1, 12)
    rows, labels = torch.as_tensor(x, dtype=torch.float32), torch.as_tensor(y)
    heads = torch.zeros(12, k, x.shape[1], requires_grad=True)
    speed, total = torch.zeros_like(heads), 12500
    for step in range(total):
        pick = torch.randint(len(rows), (128,))
        loss = torch.nn.functional.cross_entropy(
            torch.einsum("bd,hkd->bkh", rows[pick], heads), labels[pick, None].expand(-1, 12), reduction="sum"
        )
        (gradient,) = torch.autograd.grad(loss / 128, heads)
        with torch.no_grad():
            speed = 0.9 * speed + gradient
            heads -= rates[:, None, None] * 0.5 * (1 + np.cos(np.pi * step / total)) * speed
    return heads


def neighbours(args: argparse.Namespace) -> None:
    """20 nearest of n by cosine."""
    memory, queries = (_unit(mixture(n, args.d, 2, s)[0]) for n, s in ((args.n, 0), (args.queries, 1)))
    _search_table(f"kNN, {args.queries} queries, n = {args.n}", queries, memory, 20, args, rerank=True, sklearn=True)


def retrieval(args: argparse.Namespace) -> None:
    """30 nearest patches of the dense memory."""
    memory, queries = (_unit(mixture(n, args.d, 2, s)[0]) for n, s in ((args.memory, 0), (args.patches, 1)))
    title = f"dense retrieval, {args.patches} patches, memory {args.memory}"
    _search_table(title, queries, memory, 30, args, rerank=False, sklearn=False)


def _search_table(
    title: str,
    queries: np.ndarray,
    memory: np.ndarray,
    k: int,
    args: argparse.Namespace,
    *,
    rerank: bool,
    sklearn: bool,
) -> None:
    q, m = torch.as_tensor(queries), torch.as_tensor(memory)
    runs: dict[str, Callable[[], object]] = {
        "ours": lambda: top_k(queries, memory, k, rerank=rerank)[1],
        "the product alone": lambda: [q[i : i + 1024] @ m.T for i in range(0, len(q), 1024)] and None,
        "faiss flat": lambda: _faiss(queries, memory, k),
    }
    if sklearn:
        runs["scikit-learn brute"] = lambda: (
            NearestNeighbors(n_neighbors=k, algorithm="brute").fit(memory).kneighbors(queries, return_distance=False)
        )
    found = {name: timed(run, args) for name, run in runs.items()}
    mine, rows = found["ours"]
    print(f"\n{title}, d = {args.d}\n| search | seconds | ratio | same rows as ours |\n|---|---|---|---|")
    for name, (seconds, other) in found.items():
        same = "-" if other is None else f"{(np.sort(other, 1) == np.sort(rows, 1)).mean():.4%}"
        print(f"| {name} | {seconds:.2f} | {seconds / mine:.2f} | {same} |")


def _faiss(queries: np.ndarray, memory: np.ndarray, k: int) -> np.ndarray:
    index = faiss.IndexFlatIP(memory.shape[1])
    index.add(memory)
    return index.search(queries, k)[1]


def _unit(x: np.ndarray) -> np.ndarray:
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


if __name__ == "__main__":
    main()
