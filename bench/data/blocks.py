"""Blocks of rows: a split that arrives in pieces, each a small Split."""

from collections.abc import Iterable
from dataclasses import fields

import numpy as np

from bench.data.dataset import Split


def joined(blocks: Iterable[Split]) -> Split:
    """All blocks as one split in memory; they have the same columns and row shapes."""
    parts = list(blocks)
    first = parts[0]
    names = [f.name for f in fields(first) if f.name != "strata" and getattr(first, f.name) is not None]
    arrays = {name: np.concatenate([getattr(p, name) for p in parts]) for name in names}
    return Split(**arrays, strata={name: np.concatenate([p.strata[name] for p in parts]) for name in first.strata})
