"""Blocks of rows: a split that arrives in pieces, each a small Split."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from bench.data.dataset import Split


def joined(blocks: Iterable[Split]) -> Split:
    """All blocks as one split in memory; they have the same columns and row shapes."""
    parts = list(blocks)
    first = parts[0]
    return Split(
        images=np.concatenate([p.images for p in parts]),
        labels=np.concatenate([p.labels for p in parts]),
        ids=np.concatenate([p.ids for p in parts]),
        groups=None if first.groups is None else np.concatenate([p.groups for p in parts]),
        strata={name: np.concatenate([p.strata[name] for p in parts]) for name in first.strata},
        spacing=None if first.spacing is None else np.concatenate([p.spacing for p in parts if p.spacing is not None]),
        intensities=None
        if first.intensities is None
        else np.concatenate([p.intensities for p in parts if p.intensities is not None]),
        sizes=None if first.sizes is None else np.concatenate([p.sizes for p in parts if p.sizes is not None]),
    )
