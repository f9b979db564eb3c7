"""Bootstrap resamples as counts: how often each case enters each replicate.

Every metric of this package is a function of case weights, so a bootstrap of B replicates is one call with a
(B, n) array of counts instead of B calls on copied cases.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.metrics.interval import Interval
from bench.metrics.products import Weights

REPLICATES = 2000
LEVEL = 0.95
MIN_DEFINED = 0.9
"""An interval needs the metric to be defined in this share of the replicates."""
KEPT_BYTES = 1 << 30
"""Draws are kept up to this size: a run of many encoders makes those of a task once."""
_KEPT: dict[tuple[str, int], np.ndarray] = {}
BLOCK_BYTES = 1 << 26


def resample_counts(
    task_name: str,
    split_name: str,
    ids: np.ndarray,
    groups: np.ndarray | None = None,
    replicates: int = REPLICATES,
) -> np.ndarray:
    """How often each case is drawn in each bootstrap replicate: uint8 (replicates, n), stored replicate-fastest.

    Whole groups (patients) are drawn with replacement, as many as there are; without `groups` each case is its own.
    The draws depend on the names, ids and groups alone, never on an encoder, so every encoder is resampled
    alike and differences are paired. Permuting the rows permutes the columns.

    >>> counts = resample_counts("breastus", "test", np.array(["test/0", "test/1", "test/2"]), replicates=4)
    >>> counts.shape, counts.sum(axis=1).tolist()
    ((4, 3), [3, 3, 3, 3])
    """
    keys = np.asarray(ids if groups is None else groups).astype(str)
    units, members = np.unique(keys, return_inverse=True)
    seed = "\x00".join([task_name, split_name, *units])
    address = hashlib.sha256(seed.encode() + members.tobytes()).hexdigest(), replicates
    if address not in _KEPT:
        _KEPT[address] = _draw(seeded(seed), len(units), replicates)[members].T
        while len(_KEPT) > 1 and sum(counts.nbytes for counts in _KEPT.values()) > KEPT_BYTES:
            _KEPT.pop(next(iter(_KEPT)))
    return _KEPT[address]


def draw_bytes(cases: int) -> int:
    """Memory of the resample counts of so many cases, which are kept."""
    return REPLICATES * cases


def _draw(rng: np.random.RandomState, units: int, replicates: int) -> np.ndarray:
    """uint8 (units, replicates)."""
    drawn = np.empty((units, replicates), np.uint8)
    for block in blocks(replicates, units, 64):  # picks of 8 MB stay in a processor's cache
        picks = rng.randint(0, units, size=(block.stop - block.start, units), dtype=np.int64)
        drawn[:, block] = np.stack([np.bincount(row, minlength=units).astype(np.uint8) for row in picks], axis=1)
    return drawn


def are_informative(counts: Weights) -> bool:
    """Whether resamples differ from the sample itself: those of a single patient do not, and give no interval."""
    return len(counts) < 2 or bool((counts[:, :1] != 1).any()) or bool((counts != 1).any())


def blocks(rows: int, columns: int, itemsize: int = 8) -> Iterator[slice]:
    """Slices of a (rows, columns) array that stay within 64 MB each."""
    step = max(1, BLOCK_BYTES // max(1, columns * itemsize))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def with_point(counts: Weights | None, n: int) -> Weights:
    """Weights (1 + B, n) whose first row, all ones, gives the point estimate; `counts` None gives that row alone."""
    if counts is None:
        return np.ones((1, n), np.uint8)
    shape = n, 1 + len(counts)
    stacked: Any = np.empty(shape, counts.dtype) if isinstance(counts, np.ndarray) else counts.new_empty(shape)
    stacked[:, 0] = 1
    stacked[:, 1:] = counts.T
    return stacked.T


def ratio(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """above / below, NaN where below is 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(below != 0, above / below, np.nan)


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of the values that are not NaN; NaN where none is. (r, k) -> (r,)"""
    defined = ~np.isnan(values)
    return ratio(np.where(defined, values, 0.0).sum(axis=-1), defined.sum(axis=-1))


def interval(estimates: np.ndarray) -> Interval | None:
    """Point estimate and percentile interval of (1 + B,) estimates whose first is the point; None if undefined."""
    if np.isnan(estimates[0]):
        return None
    low, high = percentile_interval(estimates[1:])
    return Interval(value=float(estimates[0]), low=low, high=high)


def percentile_interval(replicates: np.ndarray, level: float = LEVEL) -> tuple[float | None, float | None]:
    """Lower and upper percentile of the defined replicates, or (None, None) when under 90 % are defined."""
    defined = replicates[~np.isnan(replicates)]
    if not len(replicates) or len(defined) < MIN_DEFINED * len(replicates):
        return None, None
    ends = (len(defined) - 1) * np.array([(1 - level) / 2, (1 + level) / 2])
    low, high = np.interp(ends, np.arange(len(defined)), np.sort(defined))  # np.quantile takes six times as long
    return float(low), float(high)


def seeded(text: str) -> np.random.RandomState:
    """A generator seeded by the SHA-256 of `text`; RandomState is numpy's frozen one: equal draws in every version."""
    return np.random.RandomState(np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype="<u4"))
