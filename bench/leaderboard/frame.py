"""Records as one long table: the single input of boards, analyses and pages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from bench.data.task import Task
from bench.encoders.card import EncoderCard
from bench.protocols.base import Protocol
from bench.runs.records import Record

Value = TypeVar("Value", float, np.ndarray, pd.Series)

COLUMNS: dict[str, str] = {
    "encoder": "name on the card",
    "paradigm": "one of bench.words.PARADIGMS",
    "objective": "finer kind of objective",
    "method": "name of the pretraining method",
    "architecture": "vit, cnn, other, none",
    "controlled_track": "name of the controlled comparison, or None",
    "comparable": "public set of encoders that differ in the objective alone, or None",
    "repeat_of": "the encoder this is another pretraining seed of, or None",
    "parameters": "number of parameters",
    "flops": "forward FLOPs per image, or per volume with all its slices, or None",
    "takes": "image or volume: what the encoder takes at once",
    "volume_seconds": "seconds to encode a volume, or None for flat images",
    "volume_memory_mb": "MiB that encoding a volume takes beside the weights, or None",
    "pretrain_images": "images of all pretraining corpora, or None when not disclosed",
    "in_domain": "whether any pretraining corpus is medical: True, False, or None when not disclosed",
    "licence": "licence of the encoder's weights",
    "access": "who gets the weights: open, gated, on-request, or None when not said",
    "size": "side of the images it takes, pixels",
    "pooling": "how its tokens or map become the global vector",
    "badge": "declared, rescored, reproduced",
    "task": "name on the task card",
    "kind": "global or dense",
    "modality": "imaging modality",
    "extent": "diffuse, focal, unknown",
    "target": "binary, multi-class, multi-label, ordinal, mask, number",
    "origin": "tasks sharing an origin are one source in the averages",
    "corpus": "corpus the task's images come from",
    "synthetic": "whether the images are phantoms",
    "left_out": "why the task stays out of the averages, or None",
    "contaminated": "yes, no, unknown: encoder's corpora against the task's corpus",
    "protocol": "name with version",
    "board": "frozen, fine-tune, robustness, zero-shot, diagnostic",
    "budget": "'10%', 'k=4', 'n=16'",
    "fraction": "label fraction in (0, 1], NaN for shots and image counts",
    "seed": "seed of the label subset or head",
    "n_labels": "labelled training images used",
    "labels_per_class": "n_labels / number of classes",
    "split": "'test' or 'test-shift'; 'train' for what features know of the site",
    "metric": "metric name; a stratum stands in brackets: 'lesion_recall[0.5-2%]'",
    "primary": "whether this is the task's primary metric",
    "value": "the metric",
    "low": "lower end of its 95 % interval, or None",
    "high": "upper end, or None",
    "scoring": "version of the set of metrics that scored it",
    "chance": "expected value of a guess",
    "score": "(value - chance) / (1 - chance) for the primary metric, else NaN",
}


def normalised(value: Value, chance: Value | float) -> Value:
    """Score against the fixed anchor of a task: (value - chance) / (1 - chance), in [-1, 1], 0 chance, 1 perfect.

    Below chance it is negative and enters every mean as it is: a mean of scores cut off at 0 is biased upwards where
    tasks are near chance, and its interval with it (docs/coverage.md).

    >>> normalised(0.75, 0.5), normalised(0.375, 0.5)
    (0.5, -0.25)
    """
    return (value - chance) / (1.0 - chance)


def csv_text(frame: pd.DataFrame) -> str:
    """A table as CSV; a text that a spreadsheet would run as a formula gets an apostrophe before it."""
    safe = frame.rename(columns=_no_formula)
    for name in safe.columns[[not is_numeric_dtype(kind) for kind in safe.dtypes]]:
        safe[name] = safe[name].map(_no_formula, na_action="ignore")
    return safe.to_csv(index=False, lineterminator="\n")


def _no_formula(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value[:1] in set("=+-@\t\r") else value


def to_frame(
    records: Iterable[Record],
    cards: Mapping[str, EncoderCard],
    tasks: Mapping[str, Task],
    protocols: Mapping[str, Protocol],
    badges: Mapping[str, str] | None = None,
    contaminated: Mapping[tuple[str, str], str] | None = None,
) -> pd.DataFrame:
    """One row for each done record x test split x metric, with the columns of COLUMNS.

    badges: encoder -> badge, default "declared". contaminated: (encoder, task) -> yes, no, unknown.
    Records of unknown encoders, tasks or protocols raise KeyError: they are refused before they come here.
    """
    chances = {name: task.chance for name, task in tasks.items()}
    about: list[dict[str, Any]] = []
    found: list[Any] = []
    which: list[int] = []
    for record in records:
        if record.status != "done":
            continue
        card, task = cards[record.encoder], tasks[record.unit.task]
        seen = (contaminated or {}).get((card.name, task.name), "unknown")
        numbers = _numbers(record, chances[task.name])
        which += [len(about)] * len(numbers)
        found += numbers
        about.append(
            {
                **_about_encoder(card),
                "badge": (badges or {}).get(card.name, "declared"),
                **_about_task(task),
                "contaminated": seen,
                **_about_unit(record, protocols[record.unit.protocol]),
                "labels_per_class": record.n_labels / len(task.classes),
            }
        )
    values = pd.DataFrame(found, columns=NUMBERS)
    units = pd.DataFrame(about, columns=[name for name in COLUMNS if name not in NUMBERS])
    return pd.concat([units.take(which).reset_index(drop=True), values], axis=1)[list(COLUMNS)]


NUMBERS = ["split", "metric", "primary", "value", "low", "high", "chance", "score"]
"""Columns that differ between the numbers of one record."""


def _numbers(record: Record, chance: float) -> list[tuple]:
    return [
        (split, name, primary, i.value, i.low, i.high, chance, normalised(i.value, chance) if primary else math.nan)
        for split, metrics in (*record.metrics.items(), ("train", record.leakage))
        for name, i in metrics.items()
        for primary in (name == record.metric,)
    ]


def _about_unit(record: Record, protocol: Protocol) -> dict[str, object]:
    unit = record.unit
    return {
        "parameters": record.cost.parameters,
        "flops": record.cost.flops,
        "volume_seconds": None if record.cost.volume is None else record.cost.volume.seconds,
        "volume_memory_mb": None if record.cost.volume is None else record.cost.volume.memory_mb,
        "protocol": protocol.name,
        "board": protocol.board,
        "budget": unit.budget,
        "fraction": unit.budget.share,
        "seed": unit.seed,
        "n_labels": record.n_labels,
        "scoring": record.scoring,
    }


def _about_encoder(card: EncoderCard) -> dict[str, object]:
    corpora = card.pretraining
    sizes = [c.images for c in corpora or () if c.images is not None]
    return {
        "encoder": card.name,
        "paradigm": card.paradigm,
        "objective": card.objective,
        "method": card.method,
        "architecture": card.architecture,
        "controlled_track": card.controlled_track,
        "comparable": card.comparable,
        "repeat_of": card.repeat_of,
        "pretrain_images": None if corpora is None or len(sizes) < len(corpora) else sum(sizes),
        "in_domain": None if corpora is None else any(c.in_domain for c in corpora),
        "licence": card.licence,
        "access": card.access,
        "size": card.preprocessing.size,
        "takes": "volume" if card.volumetric else "image",
        "pooling": card.features.pooling,
    }


def _about_task(task: Task) -> dict[str, object]:
    return {
        "task": task.name,
        "kind": task.kind,
        "modality": task.modality,
        "extent": task.extent,
        "target": task.target,
        "origin": task.origin or task.name,
        "corpus": task.corpus,
        "synthetic": task.synthetic,
        "left_out": task.left_out,
    }
