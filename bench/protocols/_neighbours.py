"""Exact nearest neighbours by inner product: float32 products in blocks, ties settled in float64.

Float32 products differ in the last bits with the number of threads, and a near tie at rank k would change a vote.
So where ranks k and k + 1 are closer than rounding, a few candidates more are taken and ranked in float64.
"""

from __future__ import annotations

import torch
from torch import Tensor

from bench.features.resident import Array
from bench.protocols._arrays import library, wide

SPARE = 12
"""Candidates beyond k that float32 rounding could have pushed out."""
UNSURE = 4e-6
"""Rounding of a float32 product, as a share of both lengths, with room to spare."""
BLOCK_BYTES = 1 << 27


def product_bytes(queries: int, memory: int) -> int:
    """Memory to expect of a block of products and of the search in it."""
    return 3 * min(BLOCK_BYTES, 4 * queries * memory) // 2


def top_k(queries: Array, memory: Array, k: int, *, rerank: bool = True) -> tuple[Array, Array]:
    """Inner products float64 (n, k), descending but for rounding, and rows of memory int64 (n, k), where `queries` lie.

    queries: float (n, d); memory: float (m, d), m >= k. rerank False trusts float32 to tell rank k from k + 1.
    """
    asked, exact = torch.as_tensor(queries), torch.as_tensor(memory)
    keys = exact.float().contiguous().T
    longest = float(keys.norm(dim=0).max())
    products = asked.new_empty((len(asked), k), dtype=torch.float64)
    rows = asked.new_empty((len(asked), k), dtype=torch.int64)
    block = max(1, BLOCK_BYTES // (4 * len(memory)))
    wide_k = min(len(memory), k + SPARE)
    for start in range(0, len(asked), block):
        here = slice(start, start + block)
        q = asked[here]
        near = q.float() @ keys
        value, found = torch.topk(near, min(k + rerank, len(memory)), dim=1)
        products[here], rows[here] = value[:, :k], found[:, :k]
        if rerank and value.shape[1] > k:
            unsure = value[:, k - 1] - value[:, k] <= UNSURE * longest * q.norm(dim=1)
            index = torch.nonzero(unsure)[:, 0]
            settled = _ranked(q[index], exact, torch.topk(near[index], wide_k, dim=1).indices, k)
            products[start + index], rows[start + index] = settled
        del near  # before the next block is made
    return (products, rows) if isinstance(queries, Tensor) else (products.numpy(), rows.numpy())


def _ranked(q: Tensor, memory: Tensor, candidates: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The best k of each query's candidates by float64 products, equal ones by lower row."""
    candidates = candidates.sort(dim=1).values
    value = torch.bmm(memory[candidates].double(), q.double()[:, :, None])[:, :, 0]
    value, place = value.sort(dim=1, descending=True, stable=True)
    return value[:, :k], candidates.gather(1, place[:, :k])


def nearest(queries: Array, memory: Array, k: int) -> Array:
    """int64 (n, k): the rows of `memory` nearest in Euclidean distance, nearest first, where `queries` lie.

    ||q - m||^2 / 2 = ||q||^2 / 2 - (q m - ||m||^2 / 2): the largest inner product of (q, 1) and (m, -||m||^2 / 2).
    """
    queries, memory, stacked = wide(queries), wide(memory), library(queries).hstack
    centre = memory.mean(0)  # leaves distances alone and keeps the products small
    queries, memory = queries - centre, memory - centre
    half = -0.5 * library(memory).square(memory).sum(1, keepdims=True)
    ones = library(queries).ones_like(queries[:, :1])
    return top_k(stacked([queries, ones]), stacked([memory, half]), k)[1]
