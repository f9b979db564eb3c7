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
from typing import get_args

import numpy as np
import pandas as pd

from bench.analysis.claim import read_ledger
from bench.analysis.evaluate import estimand_of
from bench.analysis.planted import Plan, plant, redraw
from bench.analysis.table import counted
from bench.analysis.verdict import Outcome, judge, one_sided
from bench.files import write_atomic

OUTCOMES = get_args(Outcome)
SIZES = (16, 32)
LABELS = Plan(modalities=8, per_modality=(2, 2), fractions=(0.01, 0.1, 1.0), seeds=2, paradigm_task_sd=3.0, network=5.0)
BASE = replace(LABELS, fractions=(1.0,))
GLOBAL, DENSE = read_ledger()[0].parts


@dataclass(frozen=True)
class Scenario:
    """One planted effect on one claim, or on one part of it."""

    claim: str
    words: str
    plan: Plan
    truth: float
    null: bool = False
    part: str = ""


SCENARIOS = [
    Scenario("H1", "no effect, global part", BASE, 0.0, True, GLOBAL),
    Scenario("H1", "no effect, dense part", BASE, 0.0, True, DENSE),
    Scenario("H1", "no effect, hybrids lead by 5", replace(BASE, hybrid=5.0), 0.0, True, GLOBAL),
    Scenario("H1", "no effect, no spread over data sets", replace(BASE, paradigm_task_sd=0.0), 0.0, True, GLOBAL),
    Scenario("H1", "+4 on both", replace(BASE, kind=4.0), 4.0, False, GLOBAL),
    Scenario("H1", "+8 on both", replace(BASE, kind=8.0), 8.0, False, GLOBAL),
    Scenario("H1", "-8 on both, the reverse", replace(BASE, kind=-8.0), -8.0, False, GLOBAL),
    Scenario("H2", "no effect", LABELS, 0.0, True),
    Scenario("H2", "-2 per tenfold labels", replace(LABELS, slope=-2.0), -2.0),
    Scenario("H2", "+2, the reverse", replace(LABELS, slope=2.0), 2.0),
    Scenario("H3", "no effect", BASE, 0.0, True),
    Scenario("H3", "+6 as claimed", replace(BASE, subtle=6.0), 6.0),
    Scenario("H3", "-6, the reverse", replace(BASE, subtle=-6.0), -6.0),
    Scenario("H4", "no effect", BASE, 0.0, True),
    Scenario("H4", "spread of 2", replace(BASE, modality=2.0), 2.0),
    Scenario("H4", "spread of 4", replace(BASE, modality=4.0), 4.0),
    Scenario("H2b", "no effect", LABELS, 0.0, True),
    Scenario("H12", "no effect", BASE, 0.0, True),
    Scenario("H12", "+5 as claimed", replace(BASE, hybrid=5.0), 5.0),
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
    every = {part: estimand_of(claim, part).measure(frame, None) for part in claim.asked}
    found = every[scenario.part]
    inside = found.low is not None and found.low <= scenario.truth <= found.high
    p = max(one_sided(claim, m) for m in every.values()) if claim.parts else found.p
    return found.p, found.effect, inside, judge(claim, every, p)[0]


def table(replications: int, workers: int) -> list[dict]:
    """One row a scenario and number of encoders."""
    rows = []
    with ProcessPoolExecutor(workers) as pool:
        for number, scenario in enumerate(SCENARIOS):
            for encoders in SIZES:
                runs = replications if scenario.null else replications // 5
                jobs = [(number, encoders, 10_000 * number + i) for i in range(runs)]
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
                        **{word: float((verdict == word).mean()) for word in OUTCOMES},
                    }
                )
                print(rows[-1], flush=True)
    return rows


HEAD = """# Power and false positives of the ledger's tests

Made by `python benchmarks/power.py --replications {replications} --out docs/power.md`.
Tables of results are planted with a known effect (`bench/analysis/planted.py`; {tasks} tasks of 8 modalities, four
paradigms in equal numbers, two networks as strata that differ by {p.network:g} points and more) and measured with the
code that judges the board. "p < 0.05" is the test at the level of encoders and data sets (two-sided; of the spreads H4
and H2b one-sided) before Holm's correction, for H1 of the part that is named; "coverage" is the share of 95 % intervals
that hold the planted effect; the verdicts are those of `bench.analysis.verdict.judge`, uncorrected.
With 16 encoders each paradigm has 4, two a network.

Effects are in score points (0-100). Spreads planted: encoder {p.encoder_sd:g}, encoder x kind {p.encoder_kind_sd:g},
encoder x task {p.encoder_task_sd:g}, paradigm x task {p.paradigm_task_sd:g}, seed {p.seed_sd:g}, loss on subtle lesions
{p.encoder_loss_sd:g} between encoders, slope {p.task_slope_sd:g} between tasks.

| claim | planted | encoders | p < 0.05 | mean | coverage | supported | contradicted | inconclusive | not measured |
|---|---|---:|---:|---:|---:|---:|---:|---:|---:|
"""


def page(rows: list[dict], replications: int) -> str:
    """The table as Markdown, and what the null rows add up to."""
    lines = [
        f"| {r['claim']} | {r['planted']} | {r['encoders']} | {'**' if r['null'] else ''}{r['significant']:.1%}"
        f"{'**' if r['null'] else ''} | {r['mean effect']:+.2f} | {r['coverage']:.1%} | {r['supported']:.1%} "
        f"| {r['contradicted']:.1%} | {r['inconclusive']:.1%} | {r['not measured']:.1%} |"
        for r in rows
    ]
    null = [r for r in rows if r["null"]]
    outside = [
        f"{r['claim']} at {r['encoders']} ({r['significant']:.1%})"
        for r in null
        if not 0.03 <= r["significant"] <= 0.07
    ]
    share = np.mean([r["significant"] for r in null])
    end = f"\nNull rows are bold: {share:.1%} significant on average, {len(null)} rows of {replications} replications "
    end += "(other rows: a fifth); "
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
