"""Whom an encoder is wrong for: the primary metric in each subgroup, and the gap between the best and the worst served.

The ends of the gap are simultaneous over all pairs of groups (max-t bootstrap, Westfall and Young 1993): the best and
the worst are found by looking, and an interval of that pair alone would find gaps in noise. Groups are the columns of
`Split.strata` called as `bench.words.Trait`: str (n,), "" where unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from bench.metrics.interval import Interval
from bench.metrics.names import MetricName
from bench.metrics.resample import LEVEL, MIN_DEFINED
from bench.words import TRAITS

if TYPE_CHECKING:
    from bench.data.dataset import Split

MIN_CASES = 10
"""Images below which a subgroup is not scored apart."""
MAX_GROUPS = 30
"""Subgroups of one trait that are scored apart, the largest."""


def subgroups(split: Split) -> dict[str, np.ndarray]:
    """ "site=Jena" and so on -> bool (n,), for each trait that has two groups of `MIN_CASES` images."""
    found: dict[str, np.ndarray] = {}
    for trait in (name for name in TRAITS if name in split.strata):
        values = np.asarray(split.strata[trait]).astype(str)
        names, counts = np.unique(values[values != ""], return_counts=True)
        large = [n for n in np.argsort(-counts, kind="stable")[:MAX_GROUPS] if counts[n] >= MIN_CASES]
        if len(large) > 1:
            found |= {f"{trait}={names[n]}": values == names[n] for n in sorted(large)}
    return found


def gaps(metric: str, found: Mapping[MetricName, np.ndarray]) -> dict[str, Interval]:
    """ "auroc[site gap]" and so on, of estimates (1 + B,) by name, the first of each being the point estimate."""
    result = {}
    defined = [(name.stratum, v) for name, v in found.items() if name.metric == metric and not np.isnan(v[0])]
    for trait in TRAITS:
        values = [v for stratum, v in defined if stratum.startswith(f"{trait}=")]
        if len(values) > 1:
            result[str(MetricName(metric, f"{trait} gap"))] = gap(np.stack(values))
    return result


def gap(estimates: np.ndarray) -> Interval:
    """Best less worst of groups (g, 1 + B), g >= 2, with ends that hold for every pair at once.

    No ends where a group is undefined in more than a tenth of the replicates.
    """
    points, draws = estimates[:, 0], estimates[:, 1:]
    best, worst = int(points.argmax()), int(points.argmin())
    value = float(points[best] - points[worst])
    whole = draws[:, ~np.isnan(draws).any(axis=0)]
    if not draws.shape[1] or whole.shape[1] < MIN_DEFINED * draws.shape[1]:
        return Interval(value=value)
    pairs = list(combinations(range(len(points)), 2))
    one, other = (np.array(side) for side in zip(*pairs, strict=True))
    drawn = whole[one] - whole[other]
    spread = drawn.std(axis=1)
    if not spread.any():
        return Interval(value=value, low=value, high=value)
    away = np.abs(drawn - (points[one] - points[other])[:, None])[spread > 0] / spread[spread > 0, None]
    reach = float(np.quantile(away.max(axis=0), LEVEL) * spread[pairs.index((min(best, worst), max(best, worst)))])
    return Interval(value=value, low=value - reach, high=value + reach)
