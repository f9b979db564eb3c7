"""How often the ledger's tests find an effect that is there, and one that is not.

    python benchmarks/power.py [--replications 500] [--out docs/power.md]

Each replication plants one effect (bench.analysis.planted), measures the claim and asks whether p < 0.05, whether the
95 % interval holds the true effect, and what the verdict is. Null rows must lie within 3-7 %.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from bench.analysis.claim import read_ledger
from bench.analysis.evaluate import estimand_of
from bench.analysis.measurement import Effort
from bench.analysis.planted import Plan, plant, redraw
from bench.analysis.table import counted
from bench.analysis.verdict import judge
from bench.files import write_atomic

SIZES = (8, 16, 32)
EFFORT = Effort(permutations=1000, resamples=400)
LABELS = Plan(modalities=6, per_modality=(2, 1), fractions=(0.01, 0.1, 1.0), seeds=2)
BASE = replace(LABELS, fractions=(1.0,))


@dataclass(frozen=True)
class Scenario:
    """One planted effect on one claim; `truth` is None where a spread has no signed truth."""

    claim: str
    words: str
    plan: Plan
    truth: float
    null: bool = False


SCENARIOS = [
    Scenario("H1", "no effect", BASE, 0.0, True),
    Scenario("H1", "no effect, hybrids lead by 5", replace(BASE, hybrid=5.0), 0.0, True),
    Scenario("H1", "none on average, paradigms differ by modality", replace(BASE, modality=2.0), 0.0),
    Scenario("H1", "+4 as claimed", replace(BASE, kind=4.0), 4.0),
    Scenario("H1", "+8 as claimed", replace(BASE, kind=8.0), 8.0),
    Scenario("H1", "-8, the reverse", replace(BASE, kind=-8.0), -8.0),
    Scenario("H2", "no effect", LABELS, 0.0, True),
    Scenario("H2", "-2 per tenfold labels", replace(LABELS, slope=-2.0), -2.0),
    Scenario("H2", "+2, the reverse", replace(LABELS, slope=2.0), 2.0),
    Scenario("H3", "no effect", BASE, 0.0, True),
    Scenario("H3", "+6 as claimed", replace(BASE, subtle=6.0), 6.0),
    Scenario("H3", "-6, the reverse", replace(BASE, subtle=-6.0), -6.0),
    Scenario("H4", "no effect", BASE, 0.0, True),
    Scenario("H4", "spread of 1", replace(BASE, modality=1.0), 1.0),
    Scenario("H4", "spread of 2", replace(BASE, modality=2.0), 2.0),
]


@cache
def template(plan: Plan) -> pd.DataFrame:
    """A draw of the plan to redraw from, made once in each process."""
    return counted(plant(plan))


LEDGER = {claim.id: claim for claim in read_ledger()}


def one(job: tuple[int, int, int]) -> tuple[float, float, bool, str]:
    """(p, effect, truth inside the interval, verdict before Holm) of one replication."""
    number, encoders, seed = job
    scenario = SCENARIOS[number]
    claim = LEDGER[scenario.claim]
    plan = replace(scenario.plan, encoders=encoders)
    frame = redraw(template(plan), plan, seed)
    found = estimand_of(claim).measure(frame, replace(EFFORT, seed=seed), None)
    inside = found.low is not None and found.low <= scenario.truth <= found.high
    return found.p, found.effect, inside, judge(claim, found, found.p)[0]


def table(replications: int, workers: int) -> list[dict]:
    """One row a scenario and number of encoders."""
    rows = []
    with ProcessPoolExecutor(workers) as pool:
        for number, scenario in enumerate(SCENARIOS):
            for encoders in SIZES:
                jobs = [(number, encoders, 10_000 * number + i) for i in range(replications)]
                p, effect, inside, verdict = map(np.array, zip(*pool.map(one, jobs, chunksize=25), strict=True))
                rows.append(
                    {
                        "claim": scenario.claim,
                        "planted": scenario.words,
                        "encoders": encoders,
                        "null": scenario.null,
                        "significant": float((p < 0.05).mean()),
                        "mean effect": float(effect.mean()),
                        "coverage": float(inside.mean()),
                        **{
                            word: float((verdict == word).mean())
                            for word in ("supported", "contradicted", "inconclusive")
                        },
                    }
                )
                print(rows[-1], flush=True)
    return rows


HEAD = """# Power and false positives of the ledger's tests

Made by `python benchmarks/power.py --replications {replications} --out docs/power.md`.
Tables of results are planted with a known effect (`bench/analysis/planted.py`; {tasks} tasks of 6 modalities, four
paradigms in equal numbers, two architectures as strata) and measured with the code that judges the board.
"p < 0.05" is the permutation test (for H2 the crossed t test) before Holm's correction; "coverage" is the share of
95 % intervals that hold the planted effect; the verdicts are those of `bench.analysis.verdict.judge`, uncorrected.
With 8 encoders each paradigm has 2, below the ledger's minimum, so that no paradigm claim is ever decided there.

Effects are in score points (0-100). Spreads planted: encoder {p.encoder_sd:g}, encoder x kind {p.encoder_kind_sd:g},
encoder x task {p.encoder_task_sd:g}, seed {p.seed_sd:g}, loss on subtle lesions {p.encoder_loss_sd:g} between encoders,
slope {p.task_slope_sd:g} between tasks.

| claim | planted effect | encoders | p < 0.05 | mean estimate | coverage | supported | contradicted | inconclusive |
|---|---|---:|---:|---:|---:|---:|---:|---:|
"""


def page(rows: list[dict], replications: int) -> str:
    """The table as Markdown, and what the null rows add up to."""
    lines = [
        f"| {r['claim']} | {r['planted']} | {r['encoders']} | {'**' if r['null'] else ''}{r['significant']:.1%}"
        f"{'**' if r['null'] else ''} | {r['mean effect']:+.2f} | {r['coverage']:.1%} | {r['supported']:.1%} "
        f"| {r['contradicted']:.1%} | {r['inconclusive']:.1%} |"
        for r in rows
    ]
    null = [r for r in rows if r["null"]]
    outside = [
        f"{r['claim']} at {r['encoders']} ({r['significant']:.1%})"
        for r in null
        if not 0.03 <= r["significant"] <= 0.07
    ]
    share = np.mean([r["significant"] for r in null])
    end = f"\nNull rows are bold: {share:.1%} significant on average, {len(null)} rows of {replications} replications; "
    end += "every one lies within 3-7 %.\n" if not outside else f"outside 3-7 %: {', '.join(outside)}.\n"
    return (
        HEAD.format(replications=replications, tasks=sum(BASE.per_modality) * BASE.modalities, p=BASE)
        + "\n".join(lines)
        + "\n"
        + end
    )


def main() -> None:
    """Print rows as they come; write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replications", type=int, default=500)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    start = time.perf_counter()
    rows = table(options.replications, options.workers)
    text = page(rows, options.replications)
    if options.out:
        write_atomic(options.out, text)
    print(text, f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
