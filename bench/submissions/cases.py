"""What a compact submission keeps of units that feed a board at all labels, where whole predictions would be large.

`<suite>/cases/<task>.npz`, arrays "<unit>/<test split>/<part>": of masks the scores of each case, which give every
metric to the last digit, and the masks of the worst cases for the site; of many probabilities, two bytes each.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from bench.data.dataset import Split, TaskData
from bench.data.task import Task
from bench.errors import DataError
from bench.files import write_atomic
from bench.metrics.cases import case_scores, log_odds, probabilities
from bench.metrics.interval import Interval
from bench.metrics.overlap import Areas, image_quality
from bench.metrics.scored import primary_of_cases, primary_replicates, score, score_cases, spacing_of
from bench.protocols.base import base_split
from bench.runs.predictions import prediction_names, predictions_bytes, read_predictions

LARGE = 256 * 1024
"""Bytes of the probabilities of a unit above which two bytes each are kept."""
QUANTISED = 5e-4
"""A metric recomputed from probabilities of two bytes may differ by this much from the one of the exact ones."""
SHOWN = 12
"""Masks that are kept whole: of the worst cases of "test", which the site shows."""
_SHOWN = "shown"


@dataclass(frozen=True)
class Kept:
    """What is kept of one unit. splits: test split -> part -> array. rows, masks: of the worst cases of "test"."""

    splits: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    rows: np.ndarray | None = None
    masks: np.ndarray | None = None

    def shows(self, labels: np.ndarray) -> bool:
        """Whether `rows` and `masks` are of images with such masks as `labels`, uint8 (n, h, w) or (n, depth, h, w)."""
        if self.rows is None or self.masks is None or self.rows.dtype.kind not in "iu" or self.rows.ndim != 1:
            return False
        rows, shape = set(self.rows.tolist()), (len(self.rows), *labels.shape[1:])
        fits = self.masks.shape == shape and self.masks.dtype == np.uint8
        return fits and len(rows) == len(self.rows) and rows <= set(range(len(labels)))


def wants_cases(task: Task, outputs: Mapping[str, np.ndarray]) -> bool:
    """Whether the whole predictions of a unit, test split -> array, are too large to be kept."""
    return task.kind == "dense" or sum(array.nbytes for array in outputs.values()) > LARGE


def write_cases(folder: Path, data: TaskData, units: Mapping[str, Mapping[str, np.ndarray]]) -> None:
    """Keep units, key -> test split -> predictions, in the file of their task; nothing where there are none."""
    arrays: dict[str, np.ndarray] = {}
    for key, outputs in units.items():
        for split, output in outputs.items():
            parts = _parts(data.task, output, data.tests[base_split(split)])
            arrays |= {f"{key}/{split}/{name}": array for name, array in parts.items()}
        if data.task.kind == "dense":
            rows = worst_cases(arrays[f"{key}/test/areas"])
            arrays |= {f"{key}/{_SHOWN}/rows": rows, f"{key}/{_SHOWN}/masks": outputs["test"][rows]}
    if arrays:
        write_atomic(cases_file(folder, data.task), predictions_bytes(arrays))


def read_cases(folder: Path, task: Task, *, unit: str | None = None) -> dict[str, Kept]:
    """Unit key -> what is kept of it, of every unit or one; {} without a file. Raises UserError for a damaged file."""
    path = cases_file(folder, task)
    if not path.is_file():
        return {}
    only = None if unit is None else [name for name in prediction_names(path) if name.startswith(f"{unit}/")]
    found: dict[str, dict[str, dict[str, np.ndarray]]] = defaultdict(lambda: defaultdict(dict))
    for name, array in read_predictions(path, only=only).items():
        key, split, part = (["", "", *name.split("/")])[-3:]
        found[key][split][part] = array
    return {unit: _kept(dict(splits)) for unit, splits in found.items()}


def score_kept(
    task: Task,
    parts: Mapping[str, np.ndarray],
    split: Split,
    *,
    resamples: np.ndarray | None,
    temperature: float | None,
    scoring: int,
) -> dict[str, Interval]:
    """Every metric from what is kept of one unit on one split, as `bench.metrics.scored.score`. Raises DataError."""
    if task.kind == "dense":
        return score_cases(task, parts, split, resamples=resamples, scoring=scoring)
    output = _probabilities(task, parts)
    return score(task, output, split, resamples=resamples, temperature=temperature, scoring=scoring)


def replicates_kept(
    task: Task, parts: Mapping[str, np.ndarray], split: Split, counts: np.ndarray, scoring: int
) -> np.ndarray:
    """The primary metric in each replicate, as `bench.metrics.scored.primary_replicates`. Raises DataError."""
    if task.kind == "dense":
        return primary_of_cases(task, parts, counts, scoring=scoring)
    return primary_replicates(task, _probabilities(task, parts), split, counts, scoring=scoring)


def worst_cases(areas: np.ndarray) -> np.ndarray:
    """Rows of the worst images, worst first, int64; areas as in `bench.metrics.cases.case_scores`."""
    quality = image_quality(Areas.stacked(areas))
    return np.argsort(quality, kind="stable")[:SHOWN]


def cases_file(folder: Path, task: Task) -> Path:
    """Where a submission's results on a suite keep the cases of a task."""
    return folder / "cases" / f"{task.name}.npz"


def _parts(task: Task, output: np.ndarray, split: Split) -> dict[str, np.ndarray]:
    if task.kind == "dense":
        return case_scores(task, output, split.labels, spacing_of(split))
    return {"log_odds": log_odds(task, output)}


def _kept(splits: dict[str, dict[str, np.ndarray]]) -> Kept:
    shown = splits.pop(_SHOWN, {})
    return Kept(splits, shown.get("rows"), shown.get("masks"))


def _probabilities(task: Task, parts: Mapping[str, np.ndarray]) -> np.ndarray:
    if set(parts) != {"log_odds"}:
        raise DataError(f"what is kept of a unit is {', '.join(sorted(parts))[:200]}", where=task.name)
    return probabilities(parts["log_odds"])
