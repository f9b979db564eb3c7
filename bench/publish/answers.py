"""The advisor's answers to every question its page can ask, before anybody's limits: those are applied on the page."""

import pandas as pd

from bench.analysis.advisor import Answer, Question, advise_from, evidence_at
from bench.analysis.table import counted
from bench.words import MODALITIES

LABELS = (10, 30, 100, 300, 1_000, 3_000, 10_000, None)
"""Numbers of labelled images that have an answer of their own; the page takes the nearest. None: plenty."""
TASKS = ("classification", "segmentation")


def answers(frame: pd.DataFrame) -> list[Answer]:
    """The answer to each combination of task, modality and labels; "no evidence" among them."""
    rows = counted(frame)
    rows = rows[rows["primary"] & (rows["split"] == "test")]
    if rows.empty:
        return []
    known = {labels: evidence_at(rows, labels) for labels in LABELS}
    return [
        advise_from(known[labels], Question(modality=modality, task=task, labels=labels))
        for task in TASKS for modality in MODALITIES for labels in LABELS
    ]  # fmt: skip
