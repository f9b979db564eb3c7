"""Ranks, tiers and means under a reader's filters and weights, from shipped bootstrap replicates.

The page does the same in site/scripts/rank.js; a test holds the two together on the same numbers. Both mirror the
definitions of bench.leaderboard: mean within a cell, weighted mean over the cells of a kind, mean over kinds.
"""

import base64
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.leaderboard.standing import rank_range, ranks_of, tiers
from bench.publish.model import BoardView

MISSING, SCALE = 65535, 32767
LEVEL = (0.025, 0.975)
SHIPPED = 240_000
"""Replicate values shipped with a board, two bytes each before base64, loaded only when a filter asks for them."""
FEWEST, MOST = 200, 2000


def shipped_count(board: BoardView) -> int:
    """Replicates that are shipped with a board: as many as fit SHIPPED, at least 200, at most 2,000 and all known."""
    known, rows, columns = board.replicates.shape
    return min(known, MOST, max(FEWEST, SHIPPED // max(1, rows * columns)))


def shipped_megabytes(board: BoardView) -> float:
    """About what a reader loads with the first filter."""
    values = shipped_count(board) * board.replicates[0].size * (1 if board.clean is None else 2)
    return values * 2 * 4 / 3 / 1e6


def quantise(values: np.ndarray) -> np.ndarray:
    """Scores in [-1, 1] as uint16 (step 1/32767, error at most 1.6e-5); NaN becomes 65535."""
    known = np.isfinite(values)
    steps = np.round((np.clip(np.where(known, values, 0), -1, 1) + 1) * SCALE)
    return np.where(known, steps, MISSING).astype("<u2")


def base64_shorts(values: np.ndarray) -> str:
    """Quantised values as base64 of little-endian 16-bit numbers."""
    return base64.b64encode(quantise(values).tobytes()).decode()


def totals(
    cells: np.ndarray, replicates: np.ndarray, kinds: Sequence[str], weights: Sequence[float] | np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(points (e,), spread (e, r)) from cells (e, c) and replicates (e, c, r): weighted mean within each kind, then
    the mean over kinds. Cells that are NaN at the point are left out; an encoder without any is NaN."""
    cells, weighed = np.asarray(cells, float), np.asarray(weights, float)
    present = np.isfinite(cells) & (weighed > 0)
    share = np.zeros(cells.shape)
    for kind in dict.fromkeys(kinds):
        mine = np.array([k == kind for k in kinds])
        mass = (present * weighed * mine).sum(1, keepdims=True)
        share += np.divide(present * weighed * mine, mass, out=np.zeros(cells.shape), where=mass > 0)
    alive = np.stack([(present & np.array([k == kind for k in kinds])).any(1) for kind in dict.fromkeys(kinds)]).sum(0)
    share = np.divide(share, alive[:, None], out=np.full(cells.shape, np.nan), where=alive[:, None] > 0)
    points = (share * np.where(present, cells, 0)).sum(1)
    spread = np.einsum("ec,ecr->er", share, np.where(present[:, :, None], replicates, 0))
    return points, spread


@dataclass(frozen=True, slots=True)
class PoolRank:
    """Where an encoder stands in a pool; the ends are None where replicates are unknown."""

    encoder: int
    rank: int
    low: int | None
    high: int | None
    tier: int


def standings(points: np.ndarray, spread: np.ndarray, pool: Sequence[int]) -> list[PoolRank]:
    """Ranks with 95 % intervals and tiers of the encoders `pool` among themselves, best first, as on the boards: one
    alone has none."""
    order = sorted((e for e in pool if np.isfinite(points[e])), key=lambda e: (-points[e], e))
    if len(order) < 2:
        return []
    draws = spread[order]
    ranks, found = ranks_of(points[order]), tiers(points[order], draws)
    ends = rank_range(draws) if not np.isnan(draws).any() else None
    return [
        PoolRank(e, int(ranks[i]), int(ends[0][i]) if ends else None, int(ends[1][i]) if ends else None, int(found[i]))
        for i, e in enumerate(order)
    ]
