"""How often the 95 % intervals cover the truth, on simulated data whose truth is known.

    python benchmarks/coverage.py [--simulations 2000] [--write docs/coverage.md]

Each row simulates test sets, computes the interval exactly as the benchmark does, and counts how often it covers.
Coverage from 2,000 simulations has a standard error of 0.5 points.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.stats import norm

from bench import markers
from bench.metrics.products import weighted_sums
from bench.metrics.ranking import auroc
from bench.metrics.resample import resample_counts
from bench.metrics.uncertainty import nest_seeds, seed_draws

QUANTILES = [0.025, 0.975]


def covered(replicates: np.ndarray, truth: float) -> np.ndarray:
    """Whether each column's percentile interval holds the truth: (b, m) -> bool (m,)."""
    low, high = np.nanquantile(replicates, QUANTILES, axis=0)
    return (low <= truth) & (truth <= high)


def counts_for(n: int, groups: np.ndarray | None = None) -> np.ndarray:
    return resample_counts("coverage", "test", np.arange(n).astype(str), groups)


def auroc_rows(simulations: int) -> Iterator[tuple[str, str, float]]:
    """Binormal scores: the truth is Phi(d / sqrt 2)."""
    rng = np.random.default_rng(1)
    for n, share, truth in [(50, 0.5, 0.8), (100, 0.5, 0.8), (100, 0.1, 0.8), (300, 0.5, 0.8), (300, 0.1, 0.9),
                            (300, 0.5, 0.95), (1000, 0.1, 0.9)]:  # fmt: skip
        positive = np.arange(n)[:, None] < round(n * share)
        scores = rng.normal(size=(n, simulations)) + positive * math.sqrt(2) * norm.ppf(truth)
        labels = np.broadcast_to(positive, scores.shape)
        hits = [covered(auroc(labels[:, s], scores[:, s], counts_for(n)), truth) for s in chunks(simulations)]
        yield "AUROC", f"n = {n}, {share:.0%} positive, AUROC {truth}", np.concatenate(hits).mean()


def auroc_difference_rows(simulations: int) -> Iterator[tuple[str, str, float]]:
    """Two encoders on the same cases, correlation 0.7 between their scores."""
    rng = np.random.default_rng(2)
    for n, first, second in [(100, 0.85, 0.8), (300, 0.85, 0.8)]:
        positive = np.arange(n)[:, None] < n // 2
        shared = rng.normal(size=(n, simulations))
        draws = [math.sqrt(0.7) * shared + math.sqrt(0.3) * rng.normal(size=shared.shape) for _ in range(2)]
        scores = [x + positive * math.sqrt(2) * norm.ppf(t) for x, t in zip(draws, (first, second), strict=True)]
        labels = np.broadcast_to(positive, shared.shape)
        hits = []
        for s in chunks(simulations):
            a, b = (auroc(labels[:, s], x[:, s], counts_for(n)) for x in scores)
            hits.append(covered(a - b, first - second))
        yield "AUROC, paired difference", f"n = {n}, {first} against {second}", np.concatenate(hits).mean()


def dice_rows(simulations: int) -> Iterator[tuple[str, str, float]]:
    """Per-image Dice: missed (0) with probability q, else Beta(a, b)."""
    rng = np.random.default_rng(3)
    for n, missed, a, b in [(20, 0.1, 8, 3), (50, 0.1, 8, 3), (100, 0.1, 8, 3), (200, 0.1, 8, 3), (50, 0.4, 4, 2),
                            (200, 0.4, 4, 2), (50, 0.02, 20, 2), (200, 0.02, 20, 2)]:  # fmt: skip
        dice = rng.beta(a, b, (n, simulations)) * (rng.random((n, simulations)) >= missed)
        hits = covered(weighted_sums(counts_for(n), dice) / n, (1 - missed) * a / (a + b))
        yield "Dice", f"n = {n}, {missed:.0%} missed, Beta({a}, {b}) otherwise", hits.mean()


def patient_rows(simulations: int) -> Iterator[tuple[str, str, float]]:
    """Four images a patient, half of the variance between patients; resampled by patient, or (wrongly) by image."""
    rng = np.random.default_rng(4)
    for patients in (20, 50, 100):
        n = 4 * patients
        person = np.repeat(rng.normal(size=(patients, simulations)), 4, axis=0)
        values = 0.7 + 0.1 * (person + rng.normal(size=(n, simulations)))
        groups = np.repeat(np.arange(patients), 4).astype(str)
        for how, counts in (("by patient", counts_for(n, groups)), ("by image", counts_for(n))):
            hits = covered(weighted_sums(counts, values) / n, 0.7)
            yield f"Mean over images, {how}", f"{patients} patients x 4 images", hits.mean()


def seed_rows(simulations: int) -> Iterator[tuple[str, str, float]]:
    """Score of case i under seed s: 0.7 + case + seed + noise; `share` is the seeds' part of the mean's variance."""
    rng = np.random.default_rng(5)
    n = 200
    counts = counts_for(n)
    case_variance = (0.2**2 + 0.1**2 / 5) / n
    for seeds in (3, 5, 10):
        for share in (0.05, 0.2, 0.5, 0.9):
            seed_sd = math.sqrt(seeds * case_variance * share / (1 - share))
            cases = rng.normal(0, 0.2, (1, n, simulations))
            values = 0.7 + cases + rng.normal(0, seed_sd, (seeds, 1, simulations))
            means = np.stack([weighted_sums(counts, v + rng.normal(0, 0.1, cases.shape[1:])) / n for v in values])
            draws = seed_draws(f"coverage {share}", seeds, len(counts))
            setting = f"{seeds} seeds, {share:.0%} of the variance from seeds"
            scaled = np.stack([nest_seeds(means[:, :, m], draws) for m in range(simulations)], axis=1)
            yield "Nested seeds, as used", setting, covered(scaled, 0.7).mean()
            plain = np.stack([np.take_along_axis(means[:, :, m].T, draws, 1).mean(1) for m in range(simulations)], 1)
            yield "Nested seeds, without the scaling", setting, covered(plain, 0.7).mean()


def chunks(simulations: int) -> list[slice]:
    return [slice(i, min(i + 100, simulations)) for i in range(0, simulations, 100)]


def table(rows: list[tuple[str, str, float]]) -> str:
    """Markdown; a mark stands where coverage leaves 93 to 97 %."""
    cells = [(n, s, f"{100 * c:.1f} %", "yes" if 0.93 <= c <= 0.97 else "**no**") for n, s, c in rows]
    return markers.table(["interval", "setting", "coverage of 95 %", "within 93-97"], cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulations", type=int, default=2000)
    parser.add_argument("--write", type=Path, help="page whose table of coverage is replaced")
    arguments = parser.parse_args()
    rows: list[tuple[str, str, float]] = []
    for family in (auroc_rows, auroc_difference_rows, dice_rows, patient_rows, seed_rows):
        for row in family(arguments.simulations):
            print(f"{row[0]:36} {row[1]:48} {100 * row[2]:.1f} %", flush=True)
            rows.append(row)
    if arguments.write:
        markers.refresh(arguments.write, {"coverage": table(rows)})


if __name__ == "__main__":
    main()
