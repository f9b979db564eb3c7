"""The advisor's answers to every question its page can ask; the advice itself is `bench.analysis.advisor`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pandas as pd

from bench.analysis.advisor import PROBES, Answer, Question, advise, excluded
from bench.words import MODALITIES

LABELS = (10, 30, 100, 300, 1_000, 10_000, None)
"""Labelled images one can say to have; None: plenty."""
GFLOPS = (None, 1.0, 5.0, 20.0, 100.0)
TASKS = ("classification", "segmentation")


def answers(frame: pd.DataFrame) -> list[Answer]:
    """The answer to each combination of modality, task, labels, licence and compute; "no evidence" among them.

    Questions that leave the same encoders in share one computation.
    """
    rows = frame[frame["primary"] & (frame["split"] == "test") & frame["protocol"].isin(PROBES.values())]
    if rows.empty:
        return []
    return list(_answers(rows))


def _answers(rows: pd.DataFrame) -> Iterator[Answer]:
    known: dict[tuple, Answer] = {}
    for modality, task, labels in product(MODALITIES, TASKS, LABELS):
        for commercial, gflops in product((False, True), GFLOPS):
            question = Question(modality=modality, task=task, labels=labels, commercial=commercial, max_gflops=gflops)
            out = excluded(rows, question)
            key = (modality, task, labels, *sorted(out))
            if key not in known:
                known[key] = advise(rows, question)
            asked = {name: why for name, why in out.items() if name in known[key].excluded}
            yield known[key].model_copy(update={"question": question, "excluded": asked})
