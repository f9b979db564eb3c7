"""Exact nearest neighbours by inner product: float32 products in blocks, ties settled in float64.

Float32 products differ in the last bits with the number of threads, and a near tie at rank k would change a vote.
So where ranks k and k + 1 are closer than rounding, a few candidates more are taken and ranked in float64.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from bench.protocols.base import CPU

SPARE = 12
"""Candidates beyond k that float32 rounding could have pushed out."""
UNSURE = 4e-6
"""Rounding of a float32 product, as a share of both lengths, with room to spare."""
BLOCK_BYTES = 1 << 27


def top_k(
    queries: np.ndarray, memory: np.ndarray, k: int, *, rerank: bool = True, device: torch.device = CPU
) -> tuple[np.ndarray, np.ndarray]:
    """Inner products float64 (n, k), descending but for rounding, and rows of memory int64 (n, k).

    queries: float (n, d); memory: float (m, d), m >= k. rerank False trusts float32 to tell rank k from k + 1.
    device: where the products are made.
    """
    keys = torch.as_tensor(np.ascontiguousarray(memory, dtype=np.float32)).to(device).T
    exact = torch.as_tensor(np.asarray(memory)).to(device)
    longest = float(keys.norm(dim=0).max())
    products = np.empty((len(queries), k))
    rows = np.empty((len(queries), k), dtype=np.int64)
    block = max(1, BLOCK_BYTES // (4 * len(memory)))
    wide = min(len(memory), k + SPARE)
    for start in range(0, len(queries), block):
        q = torch.as_tensor(np.asarray(queries[start : start + block])).to(device)
        near = q.float() @ keys
        value, found = torch.topk(near, min(k + rerank, len(memory)), dim=1)
        here = slice(start, start + block)
        products[here], rows[here] = value[:, :k].cpu(), found[:, :k].cpu()
        if rerank and value.shape[1] > k:
            unsure = value[:, k - 1] - value[:, k] <= UNSURE * longest * q.norm(dim=1)
            index = torch.nonzero(unsure)[:, 0]
            settled = start + index.cpu().numpy()
            products[settled], rows[settled] = _ranked(q[index], exact, torch.topk(near[index], wide, dim=1).indices, k)
    return products, rows


def _ranked(q: Tensor, memory: Tensor, candidates: Tensor, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The best k of each query's candidates by float64 products, equal ones by lower row."""
    candidates = candidates.sort(dim=1).values
    value = torch.bmm(memory[candidates].double(), q.double()[:, :, None])[:, :, 0]
    value, place = value.sort(dim=1, descending=True, stable=True)
    return value[:, :k].cpu().numpy(), candidates.gather(1, place[:, :k]).cpu().numpy()


def nearest(queries: np.ndarray, memory: np.ndarray, k: int, *, device: torch.device = CPU) -> np.ndarray:
    """int64 (n, k): the rows of `memory` nearest in Euclidean distance, nearest first.

    ||q - m||^2 / 2 = ||q||^2 / 2 - (q m - ||m||^2 / 2): the largest inner product of (q, 1) and (m, -||m||^2 / 2).
    """
    queries, memory = queries.astype(np.float64), memory.astype(np.float64)
    centre = memory.mean(0)  # leaves distances alone and keeps the products small
    queries, memory = queries - centre, memory - centre
    ones = np.ones((len(queries), 1))
    half = -0.5 * np.square(memory).sum(1, keepdims=True)
    return top_k(np.hstack([queries, ones]), np.hstack([memory, half]), k, device=device)[1]
