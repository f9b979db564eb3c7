"""The advisor's answers for every situation a suite has evidence on."""

from __future__ import annotations

import pandas as pd

from bench.publish.model import Advice, Estimate, SuiteView

SHOWN = 8


def advise_all(suite: SuiteView) -> list[Advice]:
    """For each modality, kind of task and share of labels: the encoders with the highest mean score, best first.

    Only encoders with a result on every task of the situation are compared; references stay in, for what does not
    beat them is no recommendation.
    """
    frame = suite.results
    if frame.empty:
        return []
    cards = {name: view.task for name, view in suite.tasks.items()}
    rows = frame[frame["primary"] & (frame["split"] == "test") & frame["budget"].str.endswith("%")]
    rows = rows[[suite.main.get(cards[t].kind) == p for t, p in zip(rows["task"], rows["protocol"], strict=True)]]
    rows = rows.assign(
        modality=[cards[t].modality for t in rows["task"]], kind=[cards[t].kind for t in rows["task"]],
        share=rows["budget"].str[:-1].astype(int),
    )  # fmt: skip
    return [
        _advice(modality, kind, f"{share} %", found)
        for (modality, kind, share), found in rows.groupby(["modality", "kind", "share"], sort=True)
    ]


def _advice(modality: str, kind: str, labels: str, rows: pd.DataFrame) -> Advice:
    tasks = rows["task"].nunique()
    means = rows.groupby("encoder")[["score", "score_low", "score_high"]].mean()
    means = means[rows.groupby("encoder")["task"].nunique() == tasks].reset_index()
    means = means.sort_values(["score", "encoder"], ascending=[False, True])
    best = means[:SHOWN].itertuples(index=False)
    found = tuple((m.encoder, Estimate(m.score, m.score_low, m.score_high), tasks) for m in best)
    labelled = sorted({int(n) for n in rows["n_labels"]})
    span = f"{labelled[0]:,}" if len(labelled) == 1 else f"{labelled[0]:,} to {labelled[-1]:,}"
    note = f"{tasks} task{'s' if tasks > 1 else ''}, {span} labelled images."
    if tasks < 3:
        note += " Too few tasks to tell one encoder from the next; read the intervals, not the places."
    return Advice(modality, kind, labels, found, note)
