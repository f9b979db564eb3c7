"""Is the advice worth following? Leave one source data set out, advise from the others, and count the points lost."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.analysis.advisor import KnownScores, Question, advise_from, evidence_at
from bench.analysis.measurement import NotEnough
from bench.analysis.table import counted, pick
from bench.recipes import FROZEN

RESAMPLES = 2000
GUIDELINE = {"global": "contrastive", "dense": "generative"}
"""Paradigm by task kind as the review's guideline has it (arXiv 2605.23995)."""


@dataclass(frozen=True)
class Regret:
    """Mean points below the best encoder in hindsight, with a bootstrap interval over source data sets."""

    policy: str
    mean: float
    low: float
    high: float
    n_tasks: int


def regret_table(frame: pd.DataFrame) -> list[Regret]:
    """Regret of the advisor and of three simpler policies on every task, each judged without its own source data set.

    Policies: the advisor; always the encoder best over all other tasks; a random encoder (expected value); the encoder
    best over all other tasks among those of the guideline's paradigm. Self-supervised encoders with every task only.
    Raises NotEnough where there are not two source data sets.
    """
    frame = counted(frame)
    rows = pick(frame, list(FROZEN.values()))
    rows = rows.assign(encoder=rows["encoder"].astype(str), task=rows["task"].astype(str))
    scores = 100 * rows.pivot_table(index="encoder", columns="task", values="score", observed=True).dropna()
    about = rows.drop_duplicates("task").set_index("task")[["origin", "kind", "modality"]].astype(str)
    paradigm = rows.drop_duplicates("encoder").set_index("encoder")["paradigm"].astype(str)
    rows = rows[rows["encoder"].isin(scores.index)]
    if scores.empty or about.loc[scores.columns, "origin"].nunique() < 2:
        raise NotEnough("no encoder has results on tasks of two source data sets")
    if (evidence := evidence_at(rows, None)) is None:
        raise NotEnough("every result is contaminated")
    losses = {task: _losses(evidence, scores, about, paradigm, task) for task in scores.columns}
    table = pd.DataFrame(losses).T
    if table["advisor"].isna().all():
        raise NotEnough("what is left without one source data set is too little to advise from")
    origins = about.loc[table.index, "origin"].to_numpy()
    drawn = _times_drawn(origins, RESAMPLES)
    out = []
    for policy in table:
        known = table[policy].notna().to_numpy()
        values = table[policy].to_numpy()[known]
        means = (drawn[:, known] * values).sum(1) / np.maximum(1, drawn[:, known].sum(1))
        low, high = np.quantile(means, [0.025, 0.975]) if known.any() else (np.nan, np.nan)
        out.append(
            Regret(policy, float(values.mean()) if known.any() else np.nan, float(low), float(high), int(known.sum()))
        )
    return out


def said(table: Sequence[Regret]) -> str:
    """How the advice fares beside always taking the overall best, in a sentence."""
    by = {row.policy: row for row in table}
    mine, simple = by["advisor"], by["overall best"]
    return (
        f"On {mine.n_tasks} tasks it had not seen, following such advice lost {mine.mean:.2f} points to the best "
        f"encoder in hindsight (95 % {mine.low:.2f} to {mine.high:.2f}); always taking the overall best lost "
        f"{simple.mean:.2f} ({simple.low:.2f} to {simple.high:.2f}), a random encoder {by['random'].mean:.2f}."
    )


def _times_drawn(origins: np.ndarray, resamples: int) -> np.ndarray:
    """How often each row is drawn, float64 (resamples, n), where whole source data sets are drawn with replacement."""
    names, member = np.unique(origins, return_inverse=True)
    counts = np.zeros((resamples, len(names)))
    drawn = np.random.default_rng(0).integers(len(names), size=counts.shape)
    np.add.at(counts, (np.arange(resamples)[:, None], drawn), 1.0)
    return counts[:, member]


def _losses(
    evidence: KnownScores, scores: pd.DataFrame, about: pd.DataFrame, paradigm: pd.Series, task: str
) -> dict[str, float]:
    """Points each policy loses on one task."""
    kind, modality, origin = about.loc[task, ["kind", "modality", "origin"]]
    others = about.index[(about["origin"] != origin).to_numpy()].intersection(scores.columns)
    truth = scores[task]
    overall = scores[others].mean(axis=1)
    names = {"overall best": overall.idxmax()}
    guided = overall[paradigm.loc[overall.index] == GUIDELINE[kind]]
    names["paradigm by the review's guideline"] = guided.idxmax() if len(guided) else None
    answer = advise_from(evidence.without(origin), Question(modality=modality, task=kind))
    losses = {"advisor": truth.max() - truth[answer.encoders[0].name] if answer.encoders else np.nan}
    for policy, name in names.items():
        losses[policy] = truth.max() - truth[name] if name is not None else np.nan
    losses["random"] = truth.max() - truth.mean()
    return losses
