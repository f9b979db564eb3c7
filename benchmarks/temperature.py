"""Does a temperature fitted on held-out images lower the calibration error? From records of scoring version 2.

    git archive 12d9a2c submissions | tar x -C FOLDER
    python benchmarks/temperature.py FOLDER/submissions

prints, for each protocol and budget, the calibration error of the probabilities as they are and after scaling.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from bench.runs.journal import read_records

MATTERS = 0.01
"""A difference of the calibration error that is counted."""


def pairs(submissions: Path, suite: str) -> pd.DataFrame:
    """One row for each record that has both errors."""
    found = []
    for folder in sorted(submissions.glob(f"*/{suite}")):
        for record in read_records(folder):
            errors = record.metrics.get("test", {})
            if "ece" in errors:
                unit = record.unit
                values = errors["ece_unscaled"].value, errors["ece"].value
                found.append((unit.protocol, unit.budget, unit.task, *values))
    return pd.DataFrame(found, columns=["protocol", "labels", "task", "as they are", "scaled"])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("submissions", type=Path)
    parser.add_argument("--suite", default="open-v1")
    options = parser.parse_args()
    print("| protocol | labels | units | as they are | scaled | worse by > .01 | better by > .01 | tasks better |")
    print("|---|---|--:|--:|--:|--:|--:|--:|")
    for (protocol, labels), rows in pairs(options.submissions, options.suite).groupby(["protocol", "labels"]):
        change = rows["scaled"] - rows["as they are"]
        of_task = change.groupby(rows["task"]).mean()
        print(
            f"| {protocol} | {labels} | {len(rows)} | {rows['as they are'].mean():.3f} | {rows['scaled'].mean():.3f} "
            f"| {(change > MATTERS).mean():.0%} | {(change < -MATTERS).mean():.0%} "
            f"| {(of_task < 0).sum()} of {len(of_task)} |"
        )


if __name__ == "__main__":
    main()
