"""Nearest neighbours beside faiss, lightly, scikit-learn and the bare matrix product."""

from __future__ import annotations

import argparse
from collections.abc import Callable

import faiss
import numpy as np
import torch
from lightly.utils.benchmarking import knn_predict
from sklearn.neighbors import NearestNeighbors
from solver_data import mixture, table, timed, unit

from bench.protocols._neighbours import top_k

BLOCK = 1024


def neighbours(args: argparse.Namespace) -> None:
    """20 nearest of n by cosine, and the vote of lightly on the same features."""
    (x, y), (q, _) = mixture(args.n, args.d, 10), mixture(args.queries, args.d, 10, 1)
    memory, queries, labels = unit(x), unit(q), torch.as_tensor(y)

    def lightly() -> list[torch.Tensor]:
        bank = torch.as_tensor(memory).T.contiguous()
        parts = torch.as_tensor(queries).split(BLOCK)
        return [knn_predict(part, bank, labels, num_classes=10, knn_k=20, knn_t=0.07)[:, 0] for part in parts]

    def voted(rows: np.ndarray, products: np.ndarray) -> np.ndarray:
        weight = np.exp((products - products[:, :1]) / 0.07)
        return np.einsum("nk,nkc->nc", weight, np.eye(10)[y[rows]]).argmax(1)

    seconds, decided = timed(lightly, args)
    rows, products = _compare(args, queries, memory, 20, rerank=True, brute=True)
    mine = float(rows[0][1])
    same = (torch.cat(decided).numpy() == voted(*products[::-1])).mean()
    times = [f"{seconds:.2f}", f"{seconds / mine:.2f}"]
    rows.append(["lightly `knn_predict`, vote included", *times, f"{same:.2%} same class"])
    table(f"kNN, {args.queries} queries, n = {args.n}, d = {args.d}", "search | seconds | ratio | agreement", rows)


def retrieval(args: argparse.Namespace) -> None:
    """30 nearest patches of the dense memory."""
    memory, queries = (unit(mixture(n, args.d, 2, s)[0]) for n, s in ((args.memory, 0), (args.patches, 1)))
    rows, _ = _compare(args, queries, memory, 30, rerank=False, brute=False)
    title = f"Dense retrieval, {args.patches} patches, memory {args.memory}, d = {args.d}"
    table(title, "search | seconds | ratio | agreement", rows)


def _compare(
    args: argparse.Namespace, queries: np.ndarray, memory: np.ndarray, k: int, *, rerank: bool, brute: bool
) -> tuple[list[list[str]], tuple[np.ndarray, np.ndarray]]:
    q, m = torch.as_tensor(queries), torch.as_tensor(memory)
    runs: dict[str, Callable[[], np.ndarray | None]] = {
        "the product alone": lambda: [part @ m.T for part in q.split(BLOCK)] and None,
        "faiss flat": lambda: _faiss(queries, memory, k),
    }
    if brute:
        search = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(memory)
        runs["scikit-learn brute"] = lambda: search.kneighbors(queries, return_distance=False)
    mine, found = timed(lambda: top_k(queries, memory, k, rerank=rerank), args)
    ours, table_rows = np.sort(found[1], 1), [["ours", f"{mine:.2f}", "1", ""]]
    for name, run in runs.items():
        seconds, rows = timed(run, args)
        same = "" if rows is None else f"{(np.sort(rows, 1) == ours).mean():.3%} same rows"
        table_rows.append([name, f"{seconds:.2f}", f"{seconds / mine:.2f}", same])
    return table_rows, found


def _faiss(queries: np.ndarray, memory: np.ndarray, k: int) -> np.ndarray:
    index = faiss.IndexFlatIP(memory.shape[1])
    index.add(memory)
    return index.search(queries, k)[1]
