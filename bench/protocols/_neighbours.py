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


def top_k(queries: np.ndarray, memory: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Inner products float64 (n, k), descending, and rows of memory int64 (n, k); equal products by lower row.

    queries: float (n, d); memory: float (m, d), m >= k.
    """
    wide = min(len(memory), k + SPARE)
    keys = torch.as_tensor(np.ascontiguousarray(memory, dtype=np.float32)).T
    exact = torch.as_tensor(np.asarray(memory))
    products = np.empty((len(queries), k))
    rows = np.empty((len(queries), k), dtype=np.int64)
    block = max(1, BLOCK_BYTES // (4 * len(memory)))
    for start in range(0, len(queries), block):
        q = torch.as_tensor(np.asarray(queries[start : start + block]))
        found = torch.topk(q.float() @ keys, wide, dim=1, sorted=False).indices.sort(dim=1).values
        near = exact[found].double()
        again = torch.bmm(near, q.double()[:, :, None])[:, :, 0]
        value, place = again.sort(dim=1, descending=True, stable=True)
        products[start : start + block] = value[:, :k]
        rows[start : start + block] = found.gather(1, place[:, :k])
    return products, rows
