"""Named parts of a test split by how visible the finding is, and by subgroup; the same for every encoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.subgroups import subgroups

if TYPE_CHECKING:
    from bench.data.dataset import Split


GRADED = ("contrast",)
"""Names of `Split.strata` by which metrics are broken down; lesion size is measured from the masks instead."""
LEVELS = ("low", "middle", "high")


def strata(split: Split) -> dict[str, np.ndarray]:
    """ "contrast=low" and so on -> bool (n,), cut at the terciles of the known values; "site=Jena" and so on.

    An image without a value (NaN: no finding to grade) belongs to every level, as a case to tell findings from.
    """
    found = subgroups(split)
    for name in (name for name in GRADED if name in split.strata):
        values = np.asarray(split.strata[name], dtype=np.float64)
        known = ~np.isnan(values)
        if len(np.unique(values[known])) >= len(LEVELS):
            level = np.digitize(values, np.quantile(values[known], [1 / 3, 2 / 3]))
            found |= {f"{name}={word}": ~known | (level == i) for i, word in enumerate(LEVELS)}
    return found
