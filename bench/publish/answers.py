"""The advisor's answers to every question its page can ask; the advice itself is `bench.analysis.advisor`."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import pandas as pd

from bench.analysis.advisor import KINDS, PROBES, Answer, Question, advise, excluded
from bench.analysis.table import counted, versions
from bench.words import MODALITIES

LABELS = (10, 30, 100, 300, 1_000, 10_000, None)
"""Labelled images one can say to have; None: plenty."""
GFLOPS = (None, 1.0, 5.0, 20.0, 100.0)
TASKS = ("classification", "segmentation")


def answers(frame: pd.DataFrame) -> list[Answer]:
    """The answer to each combination of modality, task, labels, licence and compute; "no evidence" among them.

    Questions that leave the same encoders in share one computation, and so do modalities without results.
    """
    rows = counted(frame)
    rows = rows[
        rows["primary"] & (rows["split"] == "test") & rows["protocol"].isin(versions(rows, list(PROBES.values())))
    ]
    return [a for task in TASKS for a in _answers(rows, task)] if len(rows) else []


def _answers(rows: pd.DataFrame, task: str) -> Iterator[Answer]:
    mine = rows[rows["kind"] == KINDS[task]]
    limits = list(product((False, True), GFLOPS))
    asked = {c: Question(modality=MODALITIES[0], task=task, commercial=c[0], max_gflops=c[1]) for c in limits}
    out = {c: excluded(mine, question) for c, question in asked.items()}
    present, known = set(mine["modality"].unique()), {}
    for modality, labels, limit in product(MODALITIES, LABELS, limits):
        question = asked[limit].model_copy(update={"modality": modality, "labels": labels})
        key = (modality if modality in present else None, labels, *sorted(out[limit]))
        if key not in known:
            known[key] = advise(rows, question)
        yield _readdressed(known[key], question, out[limit])


def _readdressed(answer: Answer, question: Question, out: dict[str, str]) -> Answer:
    """The same answer to a question that differs in what does not matter to it."""
    before, after = (f"of the modality {q.modality}:" for q in (answer.question, question))
    notes = [note.replace(before, after) for note in answer.extrapolated]
    return answer.model_copy(update={"question": question, "extrapolated": notes, "excluded": out})
