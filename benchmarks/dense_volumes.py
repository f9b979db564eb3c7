"""Scores of a task of masks of volumes beside what a volume costs: `python benchmarks/dense_volumes.py RUN...`.

RUN: the folder of a run, `runs/ENCODER/phantom-volume-dense-v1`, of `medssl run ENCODER --suite
phantom-volume-dense-v1`. One line each, of the split "test" with all labels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.runs.records import Record

METRICS = ("dice", "nsd", "hd95", "lesion_recall", "lesion_f1")


def row(run: Path) -> str:
    """One line of the table."""
    lines = (run / "records.jsonl").read_text(encoding="utf-8").splitlines()
    found = next(r for r in map(Record.from_json, lines) if r.unit.budget == "100%" and r.status == "done")
    scores, cost = found.metrics["test"], found.cost.volume
    assert cost is not None
    spoken = (f"{s.value:.3g} [{s.low:.3g}, {s.high:.3g}]" for s in map(scores.__getitem__, METRICS))
    takes = "the volume" if cost.inputs == 1 else f"{cost.inputs} slices"
    return f"| {found.encoder} | {takes} | {' | '.join(spoken)} | {cost.seconds:.2f} | {cost.memory_mb or 0:,.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    print("| encoder | takes | Dice | NSD | HD95, mm | lesion recall | lesion F1 | seconds | MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for run in parser.parse_args().runs:
        print(row(run))


if __name__ == "__main__":
    main()
