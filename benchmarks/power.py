"""How often the ledger's tests find an effect that is there, and one that is not.

    python benchmarks/power.py [--replications 500] [--write]

Each replication draws outcomes of encoders x data sets with a known effect, from crossed random effects, and asks the
tests of the claims (`bench.analysis.crossed`) whether p < 0.05 and whether the 95 % interval holds the effect.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from power_needed import interaction, section, units

from bench.analysis.crossed import Contrast, Spread, contrast, spread_of_means, spread_of_parts
from bench.files import write_atomic
from bench.markers import table

ENCODER, ENCODER_TASK, NETWORK = 4.0, 3.0, 5.0
"""Standard deviations between encoders and of encoder x data set, and the lead of one network, in score points."""
SETS = 16
PAGE = Path(__file__).parents[1] / "docs" / "power.md"
LEAD = np.array([1.0, 0.0, -1.0, 0.0])
"""Of the paradigms, in units of half the planted difference of the first and the third."""


@dataclass(frozen=True)
class Case:
    """One situation: how many encoders (of four paradigms, two networks), what varies, what is planted."""

    test: str
    encoders: int
    by_set: float
    """Standard deviation of paradigm x data set."""
    effect: float = 0.0


TESTS = {
    "difference of two paradigms": "H1, H3, H3b, H5, H6, H12",
    "pretrained against one reference a network": "H2",
    "spread between paradigms": "H2b, H9",
    "spread of paradigm x modality": "H4",
}


def cases() -> Iterator[Case]:
    """Nulls with and without spread over data sets, then effects."""
    for test in TESTS:
        for encoders in (16, 64):
            for by_set in (0.0, 3.0, 6.0):
                yield Case(test, encoders, by_set)
    for test, effects in zip(TESTS, ((8.0,), (8.0,), (4.0,), (4.0,)), strict=True):
        for encoders in (16, 32):
            for effect in effects:
                yield Case(test, encoders, 3.0, effect)


def one(case: Case, rng: np.random.Generator) -> Contrast | Spread:
    """The test of one draw."""
    n = case.encoders
    group, network = np.arange(n) % 4, np.arange(n) // 4 % 2
    y = rng.normal(0, ENCODER, (n, 1)) + rng.normal(0, ENCODER_TASK, (n, SETS)) + NETWORK * network[:, None]
    y += rng.normal(0, case.by_set, (4, SETS))[group]
    modality, whole = np.arange(SETS) // 2, np.eye(4)[group]
    if case.test.startswith("difference"):
        y += case.effect / 2 * LEAD[group, None]
        two = group % 2 == 0
        return contrast(units(y[two], network[two]), (group[two] == 0).astype(float), network[two])
    if case.test.startswith("pretrained"):
        reference = rng.normal(0, ENCODER, (2, 1)) + rng.normal(0, ENCODER_TASK, (2, SETS))
        reference += rng.normal(0, case.by_set, SETS) + NETWORK * np.arange(2)[:, None]
        y, network = np.vstack([y + case.effect, reference]), np.append(network, [0, 1])
        return contrast(units(y, network), np.repeat([1.0, 0.0], [n, 2]), network)
    if case.test.endswith("paradigms"):
        y += case.effect * (LEAD / LEAD.std(ddof=1))[group, None]
        return spread_of_means(units(y, network), whole, network)
    lead = case.effect * interaction(4, SETS // 2, rng)
    return spread_of_parts(units(y + lead[group][:, modality], network), whole, network, modality, np.zeros(SETS))


def measured(case: Case, replications: int) -> list:
    """One row of the page."""
    rng = np.random.default_rng([int(case.effect), case.encoders, int(case.by_set)])
    found = [one(case, rng) for _ in range(replications)]
    rejected = np.mean([f.p < 0.05 for f in found])
    held = np.mean([f.low <= case.effect <= f.high for f in found])
    supported = np.mean([f.p < 0.05 and f.low > 0 for f in found])
    mean = np.mean([f.effect for f in found])
    return [
        case.test, case.encoders, f"{case.by_set:g}", f"{case.effect:g}", f"{rejected:.1%}", f"{mean:+.2f}",
        f"{held:.1%}", f"{supported:.1%}",
    ]  # fmt: skip


HEAD = """# Power and false positives of the ledger's tests

Made by `python benchmarks/power.py --replications {replications} --write`.
Outcomes of encoders on {sets} data sets (8 modalities of two) are drawn from crossed random effects and measured with
the tests that judge the board (`bench/analysis/crossed.py`): four paradigms in equal numbers, two networks as strata,
one {network:g} points above the other. Standard deviations: {encoder:g} points between encoders, {task:g} of encoder x
data set, and of paradigm x data set what the column "by data set" says: what a test that shuffles encoders alone does
not see. "p < 0.05" is before Holm's correction (two-sided; of spreads one-sided); "supported" asks for the interval
too.

{tests}

"""


def page(rows: list[list], replications: int) -> str:
    """The table, and what its null rows add up to."""
    tests = "\n".join(f"- {test}: {claims}" for test, claims in TESTS.items())
    head = ["test", "encoders", "by data set", "planted", "p < 0.05", "mean estimate", "coverage", "supported"]
    null = [r for r in rows if r[3] == "0" and r[2] != "0"]
    rates = [float(r[4].rstrip("%")) for r in null]
    text = HEAD.format(
        replications=replications, sets=SETS, network=NETWORK, encoder=ENCODER, task=ENCODER_TASK, tests=tests
    )
    end = (
        f"Nulls with spread over data sets: {min(rates):.1f} to {max(rates):.1f} % rejected, {np.mean(rates):.1f} % on "
        f"average ({len(null)} rows). Without that spread the tests of spreads reject fewer: the noise is never taken "
        "below the larger of its two parts.\n"
    )
    return f"{text}{table(head, rows, right=range(1, 8))}\n\n{end}"


def main() -> None:
    """Print rows as they come; write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--write", action="store_true", help=f"to {PAGE.name}")
    options = parser.parse_args()
    start, rows = time.perf_counter(), []
    for case in cases():
        rows.append(measured(case, options.replications))
        print(*rows[-1], sep=" | ", flush=True)
    text = f"{page(rows, options.replications)}\n{section(options.replications)}"
    if options.write:
        write_atomic(PAGE, text)
    print(f"{text}\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
