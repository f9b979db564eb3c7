"""Exact nearest neighbours by inner product: screened in float32 blocks, re-ranked in float64.

Float32 products differ in the last bits with the number of threads, and a near tie at rank k would change a vote.
So a few candidates more than k are taken, and their products computed again in float64.
"""

from __future__ import annotations

import numpy as np
import torch

SPARE = 12
"""Candidates beyond k that float32 rounding could have pushed out."""
BLOCK_BYTES = 1 << 27


def top_k(
    queries: np.ndarray, memory: np.ndarray, k: int, *, rerank: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Inner products float64 (n, k), descending, and rows of memory int64 (n, k); equal products by lower row.

    queries: float (n, d); memory: float (m, d), m >= k. rerank False trusts float32 to tell rank k from k + 1.
    """
    wide = min(len(memory), k + SPARE) if rerank else k
    keys = torch.as_tensor(np.ascontiguousarray(memory, dtype=np.float32)).T
    exact = torch.as_tensor(np.asarray(memory))
    products = np.empty((len(queries), k))
    rows = np.empty((len(queries), k), dtype=np.int64)
    block = max(1, BLOCK_BYTES // (4 * len(memory)))
    for start in range(0, len(queries), block):
        q = torch.as_tensor(np.asarray(queries[start : start + block]))
        value, found = torch.topk(q.float() @ keys, wide, dim=1)
        if rerank:
            found = found.sort(dim=1).values
            value = torch.bmm(exact[found].double(), q.double()[:, :, None])[:, :, 0]
            value, place = value.sort(dim=1, descending=True, stable=True)
            found = found.gather(1, place)
        products[start : start + block], rows[start : start + block] = value[:, :k], found[:, :k]
    return products, rows


def nearest(queries: np.ndarray, memory: np.ndarray, k: int) -> np.ndarray:
    """int64 (n, k): the rows of `memory` nearest in Euclidean distance, nearest first.

    ||q - m||^2 / 2 = ||q||^2 / 2 - (q m - ||m||^2 / 2): the largest inner product of (q, 1) and (m, -||m||^2 / 2).
    """
    queries, memory = queries.astype(np.float64), memory.astype(np.float64)
    centre = memory.mean(0)  # leaves distances alone and keeps the products small
    queries, memory = queries - centre, memory - centre
    ones = np.ones((len(queries), 1))
    half = -0.5 * np.square(memory).sum(1, keepdims=True)
    return top_k(np.hstack([queries, ones]), np.hstack([memory, half]), k)[1]
