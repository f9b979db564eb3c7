"""Which encoder for this modality, task and number of labels: a ranking, its evidence and its limits."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.analysis.bootstrap import counts as draw_counts
from bench.analysis.bootstrap import encoder_means
from bench.analysis.table import Table, counted, pick, tabulate, weights
from bench.encoders.card import Prose
from bench.strict import Strict

PROBES = {"global": "linear", "dense": "dense-linear"}
KINDS = {"classification": "global", "segmentation": "dense", "global": "global", "dense": "dense"}
NON_COMMERCIAL = ("nc", "non-commercial", "noncommercial", "research only", "research-only", "unknown", "proprietary")
RESAMPLES = 1000


class Question(Strict):
    """What is asked. `labels` is the number of labelled images; None: as many as the evidence has."""

    modality: str
    task: str
    labels: int | None = None
    commercial: bool = False
    max_gflops: float | None = None


class Choice(Strict):
    """One encoder (or paradigm) with its expected score in points, 95 % interval and chance of being the best."""

    name: str
    paradigm: str
    score: float
    low: float | None
    high: float | None
    p_best: float
    n_cells: int
    n_encoders: int = 1


class Answer(Strict):
    """The advice. `level` says what the evidence is: this modality, other modalities, or none at all."""

    question: Question
    level: str
    """"direct": tasks of this modality and kind; "borrowed": the same kind in other modalities; "none"."""
    confidence: str
    """"high", "moderate", "low" or "none"."""
    encoders: list[Choice]
    paradigms: list[Choice]
    tasks: list[str]
    budgets: list[str]
    extrapolated: list[Prose]
    excluded: dict[str, str]
    """Encoder -> why it was not considered."""
    synthetic: bool
    """Whether the evidence is phantoms only."""


def advise(frame: pd.DataFrame, question: Question) -> Answer:
    """Rank the encoders of a long table for a question. Deterministic. "none" with empty lists when nothing fits.

    The score of an encoder is its mean over the tasks of the modality and kind at the label budget nearest on a log
    scale. Its interval foretells a new task like these: label subsets are resampled, and each encoder gets the spread
    that encoders show from task to task of this kind in all modalities. The level of your task is not known; the
    differences between encoders are what the ranking claims.
    """
    kind = KINDS[question.task]
    rows = pick(counted(frame), [PROBES[kind]], budget=None, ssl=False)
    rows = rows[rows["kind"] == kind]
    if len(rows) and not rows["synthetic"].astype(bool).all():
        rows = rows[~rows["synthetic"].astype(bool)]
    out = excluded(rows, question)
    rows = rows[~rows["encoder"].astype(str).isin(list(out)) & (rows["contaminated"] != "yes")]
    near = rows[rows["modality"] == question.modality]
    spread = task_spread(tabulate(_nearest_budget(rows, question.labels))) if len(rows) else None
    level, rows = ("direct", near) if len(near) else ("borrowed", rows)
    if rows.empty:
        return _nothing(question, out)
    rows = _nearest_budget(rows, question.labels)
    table = _complete(tabulate(rows))
    if not len(table.values):
        return _nothing(question, out)
    notes = _extrapolated(rows, question, level, kind)
    encoders, draws = _ranked(table, spread)
    return Answer(
        question=question,
        level=level,
        confidence=_confidence(table, level, draws, notes),
        encoders=encoders,
        paradigms=_paradigms(table, draws),
        tasks=sorted(table.columns["task"].unique()),
        budgets=sorted(rows["budget"].astype(str).unique()),
        extrapolated=notes,
        excluded=out,
        synthetic=bool(rows["synthetic"].astype(bool).all()),
    )


def commercial(licence: object) -> bool:
    """Whether a licence text allows commercial use, as far as its words tell; unknown and unstated count as no.

    >>> commercial("Apache-2.0"), commercial("CC-BY-NC-4.0"), commercial("unknown")
    (True, False, False)
    """
    words = str(licence or "unknown").lower()
    tokens = words.replace("-", " ").replace("_", " ").split()
    return not any(w in tokens or ((" " in w or "-" in w) and w in words) for w in NON_COMMERCIAL)


def excluded(rows: pd.DataFrame, question: Question) -> dict[str, str]:
    """Encoder -> why the question does not let it in: its licence, or its compute."""
    out = {}
    for card in rows.drop_duplicates("encoder").itertuples():
        if question.commercial and not commercial(card.licence):
            out[str(card.encoder)] = f"licence {card.licence}"
        elif question.max_gflops is not None and not (pd.notna(card.flops) and card.flops <= question.max_gflops * 1e9):
            cost = f"{card.flops / 1e9:.1f} GFLOPs" if pd.notna(card.flops) else "unknown compute"
            out[str(card.encoder)] = f"{cost}, over {question.max_gflops:g}"
    return out


def _nearest_budget(rows: pd.DataFrame, labels: int | None) -> pd.DataFrame:
    """The rows of each task at the budget whose label count is nearest to `labels` on a log scale."""
    groups = rows.groupby(["task", "budget"], observed=True)
    per = groups["n_labels"].mean().reset_index()
    wanted = np.inf if labels is None else max(1, labels)
    n = per["n_labels"].clip(lower=1)
    per["far"] = -n if labels is None else np.abs(np.log(n / wanted))
    best = per.sort_values(["far", "budget"]).drop_duplicates("task").index
    return rows[groups.ngroup().isin(best)]


def _complete(table: Table) -> Table:
    """The encoders with a result on every task: the others cannot be compared without guessing."""
    return table.keep(np.isfinite(table.values).any(axis=2).all(axis=1))


def task_spread(table: Table) -> float | None:
    """Standard deviation of encoder x task (points), beyond encoder and task; None below 3 encoders or 3 tasks."""
    with np.errstate(invalid="ignore"):
        scores = np.nanmean(_complete(table).values, axis=2)
    n, t = scores.shape
    if n < 3 or t < 3:
        return None
    rest = scores - scores.mean(0) - scores.mean(1, keepdims=True) + scores.mean()
    return float(np.sqrt((rest**2).sum() / ((n - 1) * (t - 1))))


def _ranked(table: Table, spread: float | None) -> tuple[list[Choice], np.ndarray]:
    rng = np.random.default_rng(0)
    tasks, seeds = table.values.shape[1:]
    every = np.ones((RESAMPLES, tasks))
    draws = encoder_means(table.values, weights(table.columns), every, draw_counts(np.zeros(seeds), RESAMPLES, rng))
    point = encoder_means(table.values, weights(table.columns), np.ones((1, tasks)), np.ones((1, seeds)))[0]
    draws = draws + (spread or 0.0) * np.sqrt(1 + 1 / tasks) * rng.normal(size=draws.shape)
    sampled = spread is not None
    usable = np.isfinite(draws).all(axis=1)
    best = np.bincount(draws[usable].argmax(axis=1), minlength=len(point)) / max(1, usable.sum())
    low, high = np.nanquantile(draws, [0.025, 0.975], axis=0)
    order = np.argsort(-point, kind="stable")
    choices = [
        Choice(
            name=str(table.encoders.index[i]),
            paradigm=str(table.encoders["paradigm"].iloc[i]),
            score=float(point[i]),
            low=float(low[i]) if sampled else None,
            high=float(high[i]) if sampled else None,
            p_best=float(best[i]),
            n_cells=tasks,
        )
        for i in order
    ]
    return choices, draws


def _paradigms(table: Table, draws: np.ndarray) -> list[Choice]:
    """Paradigms by the mean of their encoders; intervals resample encoders too, and need two of them."""
    rng, labels, out = np.random.default_rng(1), table.encoders["paradigm"].astype(str).to_numpy(), []
    names = sorted(set(labels))
    means = np.full((len(names), len(draws)), np.nan)
    for i, name in enumerate(names):
        rows = np.flatnonzero(labels == name)
        drawn = rows[rng.integers(len(rows), size=(len(draws), len(rows)))]
        means[i] = np.nanmean(np.take_along_axis(draws, drawn, axis=1), axis=1)
    best = np.bincount(means.argmax(axis=0), minlength=len(names)) / means.shape[1]
    for i, name in enumerate(names):
        n = int((labels == name).sum())
        low, high = np.nanquantile(means[i], [0.025, 0.975])
        out.append(Choice(
            name=name, paradigm=name, score=float(np.nanmean(draws[:, labels == name])), p_best=float(best[i]),
            low=float(low) if n > 1 else None, high=float(high) if n > 1 else None, n_cells=len(table.columns),
            n_encoders=n,
        ))  # fmt: skip
    return sorted(out, key=lambda c: -c.score)


def _extrapolated(rows: pd.DataFrame, question: Question, level: str, kind: str) -> list[str]:
    notes = []
    if level == "borrowed":
        there = ", ".join(sorted(rows["modality"].astype(str).unique()))
        notes.append(f"No {kind} task of the modality {question.modality}: the scores are from {there}.")
    if question.labels is not None:
        used = rows.groupby("task", observed=True)["n_labels"].mean()
        ratio = np.exp(np.abs(np.log(used.clip(lower=1) / max(1, question.labels))))
        if ratio.max() > 2:
            span = f"{used.min():.0f} to {used.max():.0f}"
            notes.append(f"You have {question.labels} labelled images; the nearest evidence has {span}.")
    if rows["synthetic"].astype(bool).all():
        notes.append("All the evidence is synthetic (phantoms); no clinical result backs it.")
    return notes


def _confidence(table: Table, level: str, draws: np.ndarray, notes: list[str]) -> str:
    """How sure: from the kind of evidence, the number of source data sets, and how often one encoder comes first."""
    if level == "borrowed" or table.n_origins < 2:
        return "low"
    first = np.bincount(np.nan_to_num(draws).argmax(axis=1)).max() / len(draws)
    if table.n_origins >= 3 and first >= 0.8 and not notes:
        return "high"
    return "moderate" if first >= 0.5 else "low"


def _nothing(question: Question, excluded: dict[str, str]) -> Answer:
    return Answer(
        question=question,
        level="none",
        confidence="none",
        encoders=[],
        paradigms=[],
        tasks=[],
        budgets=[],
        extrapolated=["No evidence: no encoder left has a result on any task of this kind."],
        excluded=excluded,
        synthetic=False,
    )
