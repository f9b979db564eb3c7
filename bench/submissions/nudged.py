"""Predictions that were nudged towards the truth: too little for any score to tell, all in one direction.

A rerun on another machine differs from what was sent a little, for better as often as for worse. What was edited
towards the truth differs for the better, case after case: the sign test (Dixon & Mood 1946) tells the two apart.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from bench.data.dataset import TaskData
from bench.metrics.cases import probabilities, quality
from bench.metrics.condensed import condensed_areas
from bench.metrics.overlap import Areas, image_quality
from bench.runs.journal import read_outputs
from bench.runs.records import Record
from bench.submissions.cases import Kept, read_cases
from bench.submissions.condensed import read_condensed

LEVEL = 1e-4
"""A sign test over units or over cases below this is no accident ..."""
ADVANTAGE = 5e-4
"""... and counts where the scores that were sent are better by this much on average."""
UNLIKE = 0.02
"""Mean difference between the answers to a case, as sent and as rerun, above which they are other predictions."""
_ROUNDING = 1e-6


def qualities(folder: Path, data: TaskData, records: list[Record]) -> dict[str, np.ndarray]:
    """Unit key -> how well each case of "test" was predicted in what was sent (`bench.metrics.cases.quality`), as far
    as that is kept. Raises UserError."""
    return {key: values for key, values in _qualities(folder, data, records) if len(values)}


def _qualities(folder: Path, data: TaskData, records: list[Record]) -> Iterator[tuple[str, np.ndarray]]:
    task, labels = data.task, data.tests["test"].labels
    for record, outputs in read_outputs(folder, records, partial=True):
        yield record.unit.key, quality(task, outputs["test"], labels)
    cases, condensed = read_cases(folder, task), read_condensed(folder, task)
    for key in (record.unit.key for record in records):
        parts = cases.get(key, Kept()).splits.get("test", {})
        if "areas" in parts:
            yield key, image_quality(Areas.stacked(parts["areas"]))
        elif "log_odds" in parts:
            yield key, quality(task, probabilities(parts["log_odds"]), labels)
        elif task.kind == "dense" and key in condensed:
            yield key, image_quality(condensed_areas(task, condensed[key], data.test_pixels))


@dataclass
class Differences:
    """Scores and answers as sent less the same as rerun. units: of primary metrics. cases: of answers, a unit each."""

    units: list[float] = field(default_factory=list)
    cases: list[np.ndarray] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)

    def add(
        self, sent: Record, fresh: Record, answers: np.ndarray | None, output: np.ndarray | None, data: TaskData
    ) -> None:
        """Add one unit that was rerun. answers: as `qualities`; output: the fresh predictions on "test"."""
        if sent.primary and fresh.primary:
            self.units.append(sent.primary.value - fresh.primary.value)
        if answers is None or output is None:
            return
        found = answers - quality(data.task, output, data.tests["test"].labels)
        self.cases.append(found)
        if (apart := float(np.abs(found).mean())) > UNLIKE:
            self.unlike.append(
                f"{sent.unit.key}: its predictions are not those of a rerun (they differ by {apart:.3f})"
            )

    def problems(self) -> list[str]:
        """Predictions that are other ones, and differences that are all for the better."""
        found = list(self.unlike)
        advantage = float(np.mean(self.units)) if self.units else 0.0
        cases = np.concatenate(self.cases) if self.cases else np.zeros(0)
        for what, differences in (("units", np.array(self.units)), ("cases", cases)):
            better, of, p = sign_test(differences)
            if p < LEVEL and advantage > ADVANTAGE:
                found.append(
                    f"{better:,} of {of:,} {what} that differ from a rerun are better as sent (sign test, "
                    f"p = {p:.1g}), scores by {advantage:.4f} on average: predictions were moved towards the truth"
                )
        return found


def sign_test(differences: np.ndarray) -> tuple[int, int, float]:
    """(how many are positive, of how many that are not 0, one-sided p of so many by chance)."""
    moved = differences[np.abs(differences) > _ROUNDING]
    better = int((moved > 0).sum())
    return better, len(moved), float(binomtest(better, len(moved), 0.5, "greater").pvalue) if len(moved) else 1.0
