"""Sums over cases in every replicate at once, as products of the draws with small matrices.

Draws are bytes: a chunk of cases is turned into floats where it stays in the processor's cache, and one product with
the columns of values serves all replicates. They may be a tensor on any device; sums come back as arrays.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from bench.threads import one_thread

if TYPE_CHECKING:  # torch is slow to import, and cards are read with the metrics
    from torch import Tensor

Weights: TypeAlias = "np.ndarray | Tensor"
"""How often each case counts in each replicate, (r, n), stored replicate-fastest."""

EXACT = 1 << 23
"""Whole numbers below this, and sums of two of them, are exact in float32."""

CHUNK_BYTES = {"cpu": 1 << 19}
"""Bytes of a chunk of draws as floats: several stay in a processor's cache; elsewhere 256 MB."""

BLOCK_BYTES = {"cpu": 1 << 22}
"""The same of all cases and some replicates, so that there is room for several; elsewhere 1 GB."""


def by_case(weights: Weights) -> Tensor:
    """The draws as a tensor (n, r), on the device where they are."""
    import torch

    return torch.as_tensor(weights).T.contiguous()


def chunk_rows(cases: Tensor) -> int:
    """Cases of a chunk."""
    return max(1, CHUNK_BYTES.get(cases.device.type, 1 << 28) // (8 * max(1, cases.shape[1])))


def replicate_blocks(cases: Tensor) -> Iterator[slice]:
    """Replicates of all cases at a time, so that they too stay within a cache."""
    step = max(128, BLOCK_BYTES.get(cases.device.type, 1 << 30) // (4 * max(1, len(cases))))
    return (slice(start, start + step) for start in range(0, cases.shape[1], step))


def weighted_sums(weights: Weights, values: np.ndarray) -> np.ndarray:
    """Weighted sum of each column in each replicate: weights (r, n), values (n, m) -> float64 (r, m)."""
    return _grouped(weights, None, 1, [values])[0][:, 0]


def grouped_sums(weights: Weights, group: np.ndarray, k: int, values: np.ndarray) -> np.ndarray:
    """Weighted sum of each column over the cases of each group: float64 (r, k, m).

    weights: (r, n); group: int (n,), below k, others are left out; values: (n, m), which take half the time as bool.
    """
    return _grouped(weights, group, k, [values])[0]


def sums_and_square_sums(
    weights: Weights, group: np.ndarray, k: int, values: np.ndarray, square_values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """`grouped_sums` of `values`, and of `square_values` under squared weights, from one reading of the draws."""
    found = _grouped(weights, group, k, [values, square_values])
    return found[0], found[1]


@one_thread()
def _grouped(weights: Weights, group: np.ndarray | None, k: int, powers: list[np.ndarray]) -> list[np.ndarray]:
    """Sums of the first values under the weights, and of the second, if there are, under their squares.

    group: None where there is one, of all cases.
    """
    import torch

    cases = by_case(weights)
    counted = len(powers) == 1 and powers[0].dtype == bool and cases.dtype == torch.uint8 and cases.numel() > 0
    dtype = torch.float32 if counted and int(cases.max()) * len(cases) < EXACT else torch.float64
    columns = [torch.as_tensor(np.asarray(values.T), dtype=dtype, device=cases.device) for values in powers]
    sums = [cases.new_zeros((k, len(c), cases.shape[1]), dtype=dtype) for c in columns]
    if group is None:
        edges = np.array([0, len(cases)])
    else:
        order = np.argsort(group, kind="stable")
        edges, in_order = np.searchsorted(group[order], np.arange(k + 1)), torch.as_tensor(order, device=cases.device)
    step = chunk_rows(cases)
    for place, (first, end) in enumerate(pairwise(edges)):
        for start in range(first, end, step):
            here = slice(start, min(start + step, end))
            rows = here if group is None else in_order[here]
            chunk = (cases[here] if group is None else cases.index_select(0, in_order[here])).to(dtype)
            sums[0][place].addmm_(columns[0][:, rows], chunk)
            if len(sums) == 2:
                sums[1][place].addmm_(columns[1][:, rows], chunk.square_())
    return [found.double().permute(2, 0, 1).cpu().numpy() for found in sums]
