"""Would another kind of interval cover where the percentile interval does not?

    python benchmarks/coverage_remedies.py [--simulations 2000] [--write docs/coverage.md]

The settings that `coverage.py` finds outside 93-97 %, each with three remedies beside the interval in use: BCa (Efron
1987), the percentile interval widened about its centre by t / z (small-sample correction after Hesterberg 2015), and
the t interval: point estimate +- t times the bootstrap's standard deviation. Degrees of freedom: units - 1 (images,
patients, positives); for nested seeds by Satterthwaite's rule. None of these is used by the benchmark.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from coverage import chunks, counts_for
from scipy.stats import norm, rankdata, t

from bench import markers
from bench.metrics.products import weighted_sums
from bench.metrics.ranking import auroc
from bench.metrics.uncertainty import nest_seeds, seed_draws

KINDS = ("percentile, as used", "BCa", "widened percentile", "t interval")


@dataclass(frozen=True)
class Simulated:
    """m simulated test sets: bootstrap replicates (b, m), estimates (m,), jackknife deviations (n, m), df (m,) or one.

    A deviation is the mean of the leave-one-out estimates less each of them; None where BCa is not defined.
    """

    replicates: np.ndarray
    estimate: np.ndarray
    deviations: np.ndarray | None
    df: np.ndarray | float

    def hits(self, truth: float) -> np.ndarray:
        """Bool (4, m): whether each kind of interval holds the truth; a BCa that is not defined counts as False."""
        ordered = np.sort(self.replicates, axis=0)
        z = norm.ppf(0.975)
        levels = np.broadcast_to(np.array([[0.025], [0.975]]), (2, ordered.shape[1]))
        ends = at(ordered, levels)
        wide = self.estimate + (ends - self.estimate) * t.ppf(0.975, self.df) / z
        reach = t.ppf(0.975, self.df) * ordered.std(axis=0, ddof=1)
        student = np.stack([self.estimate - reach, self.estimate + reach])
        bca = ends * np.nan if self.deviations is None else at(ordered, self.bca_levels(ordered))
        return np.stack([(low <= truth) & (truth <= high) for low, high in (ends, bca, wide, student)])

    def bca_levels(self, ordered: np.ndarray) -> np.ndarray:
        """Levels (2, m) corrected for bias and acceleration (Efron 1987, equations 2.3 and 6.6)."""
        assert self.deviations is not None
        below = ((ordered < self.estimate).mean(0) + (ordered <= self.estimate).mean(0)) / 2
        bias = norm.ppf(below.clip(1e-4, 1 - 1e-4))
        square = np.square(self.deviations).sum(0)
        speed = (self.deviations**3).sum(0) / np.maximum(6 * square**1.5, 1e-300)
        z = norm.ppf([[0.025], [0.975]]) + bias
        return norm.cdf(bias + z / (1 - speed * z))


def at(ordered: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Linear quantiles of sorted columns (b, m) at levels (2, m)."""
    place = levels.clip(0, 1) * (len(ordered) - 1)
    low = np.floor(place).astype(int)
    columns = np.arange(ordered.shape[1])
    upper = ordered[np.minimum(low + 1, len(ordered) - 1), columns]
    return ordered[low, columns] + (place - low) * (upper - ordered[low, columns])


def of_means(values: np.ndarray, counts: np.ndarray, groups: int | None = None) -> Simulated:
    """Means of values (n, m) over units; with `groups`, units are that many equal blocks of rows."""
    units = values if groups is None else values.reshape(groups, -1, values.shape[1]).mean(1)
    n = len(units)
    deviations = (units - units.mean(0)) / (n - 1)
    return Simulated(weighted_sums(counts, values) / len(values), values.mean(0), deviations, n - 1)


def auroc_settings(simulations: int) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    for n, share, truth in [(100, 0.1, 0.8), (300, 0.1, 0.9)]:
        p = round(n * share)
        positive = np.arange(n)[:, None] < p
        scores = rng.normal(size=(n, simulations)) + positive * math.sqrt(2) * norm.ppf(truth)
        labels, hits = np.broadcast_to(positive, scores.shape), []
        for s in chunks(simulations):
            x = scores[:, s]
            everyone = rankdata(x, axis=0)
            wins = (everyone[:p] - rankdata(x[:p], axis=0)) / (n - p)  # share of negatives below each positive
            losses = 1 - (everyone[p:] - rankdata(x[p:], axis=0)) / p
            area = wins.mean(0)
            deviations = np.concatenate([(wins - area) / (p - 1), (losses - area) / (n - p - 1)])
            hits.append(Simulated(auroc(labels[:, s], x, counts_for(n)), area, deviations, p - 1).hits(truth))
        yield f"AUROC, n = {n}, {p} positives, AUROC {truth}", np.concatenate(hits, axis=1)


def dice_settings(simulations: int) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(3)
    for n, missed, a, b in [(20, 0.1, 8, 3), (50, 0.02, 20, 2), (200, 0.02, 20, 2)]:
        dice = rng.beta(a, b, (n, simulations)) * (rng.random((n, simulations)) >= missed)
        yield f"Dice, n = {n}, {missed:.0%} missed", of_means(dice, counts_for(n)).hits((1 - missed) * a / (a + b))


def patient_settings(simulations: int) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(4)
    person = np.repeat(rng.normal(size=(20, simulations)), 4, axis=0)
    values = 0.7 + 0.1 * (person + rng.normal(size=(80, simulations)))
    counts = counts_for(80, np.repeat(np.arange(20), 4).astype(str))
    yield "By patient, 20 patients x 4 images", of_means(values, counts, 20).hits(0.7)


def seed_settings(simulations: int) -> Iterator[tuple[str, np.ndarray]]:
    rng = np.random.default_rng(5)
    n, counts = 200, counts_for(200)
    case_variance = (0.2**2 + 0.1**2 / 5) / n
    for seeds, share in [(3, 0.5), (3, 0.9), (5, 0.9), (10, 0.9)]:
        seed_sd = math.sqrt(seeds * case_variance * share / (1 - share))
        cases = rng.normal(0, 0.2, (1, n, simulations))
        values = 0.7 + cases + rng.normal(0, seed_sd, (seeds, 1, simulations))
        values = values + rng.normal(0, 0.1, values.shape)
        means = np.stack([weighted_sums(counts, v) / n for v in values])
        draws = seed_draws(f"coverage {share}", seeds, len(counts))
        nested = np.stack([nest_seeds(means[:, :, m], draws) for m in range(simulations)], axis=1)
        whole = nested.var(axis=0, ddof=1)
        among = np.minimum(values.mean(1).var(axis=0, ddof=1) / seeds, whole)
        df = whole**2 / (among**2 / (seeds - 1) + (whole - among) ** 2 / (n - 1))
        found = Simulated(nested, values.mean((0, 1)), None, df)
        yield f"Nested seeds, {seeds}, {share:.0%} of the variance from seeds", found.hits(0.7)


def table(rows: list[tuple[str, np.ndarray]]) -> str:
    """Markdown: coverage of each kind in each setting; a star marks 93-97 %."""
    lines = []
    for name, hits in rows:
        shares = hits.mean(1)
        cells = [f"{100 * c:.1f} %{' *' if 0.93 <= c <= 0.97 else ''}" for c in shares]
        if name.startswith("Nested"):
            cells[1] = "-"
        lines.append([name, *cells])
    return markers.table(["setting", *KINDS], lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--write", type=Path, help="page whose table of remedies is replaced")
    arguments = parser.parse_args()
    rows = []
    for family in (dice_settings, patient_settings, auroc_settings, seed_settings):
        for row in family(arguments.simulations):
            print(row[0], row[1].mean(1), flush=True)
            rows.append(row)
    print(table(rows))
    if arguments.write:
        markers.refresh(arguments.write, {"remedies": table(rows)})


if __name__ == "__main__":
    main()
