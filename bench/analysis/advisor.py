"""Which encoder for this modality, task and number of labels: an order, how sure it is, and its limits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from bench.analysis.kriging import Foretold, VarianceComponents, foretell, left_out_error, spread_of
from bench.analysis.measurement import NotEnough
from bench.analysis.table import ScoreTable, counted, pick, tabulate
from bench.budget import Budget
from bench.recipes import FROZEN
from bench.strict import Prose, Strict

KINDS = {"classification": "global", "segmentation": "dense", "global": "global", "dense": "dense"}
NON_COMMERCIAL = ("nc", "non-commercial", "noncommercial", "research only", "research-only", "unknown", "proprietary")
MORE = "run further encoders, or the same ones on further tasks, and ask again with --records."
TINY = "All ranked encoders are small networks made to compare objectives: none is one that you would download and use."
OVERALL = "Modality and kind foretell tasks that were left out no better: this is the order over all tasks."
APART = 1.96
"""Standard errors of a difference beyond which two encoders are told apart."""


class Question(Strict):
    """What is asked. `labels` is the number of labelled images; None: as many as the evidence has."""

    modality: str
    task: str
    labels: int | None = None
    commercial: bool = False
    """The licence must allow commercial use."""
    open_access: bool = False
    """The weights must be open to anybody, without an account."""
    max_gflops: float | None = None
    max_size: int | None = None
    """Largest image side, in pixels, the encoder may need."""


class Recommendation(Strict):
    """One encoder with the score it can be expected to reach, in points.

    low, high: 95 % of new tasks like these. error: standard error of the expectation beside other encoders.
    """

    name: str
    paradigm: str
    score: float
    low: float
    high: float
    error: float


class Answer(Strict):
    """The advice. `level` says what the evidence is: tasks of this modality and kind ("direct"), or none."""

    question: Question
    level: Literal["direct", "none"]
    confidence: Literal["high", "moderate", "low", "none"]
    encoders: list[Recommendation]
    """Self-supervised encoders that the question lets in, best first. Without evidence: the order over all tasks."""
    together: int
    """How many of them, from the first, cannot be told apart from the first."""
    baselines: list[Recommendation]
    """Supervised and untrained references: what the others are to be read against, never advised."""
    tasks: list[str]
    budgets: list[str]
    sources: int
    """Source data sets of this modality and kind."""
    used_labels: tuple[int, int] | None
    """Fewest and most labelled images among the tasks."""
    notes: list[Prose]
    excluded: dict[str, str]
    """Encoder -> why it was not considered."""
    synthetic: bool
    """Whether the evidence is phantoms only."""
    lack: Prose = ""
    """What is missing, where there are results but too few to advise from."""
    tiny: bool = False
    """Whether every encoder in `encoders` is of a controlled track: made to compare objectives, not to be used."""
    overall: bool = False
    """Whether the order is that over all tasks: kind and modality do not foretell data sets left out any better."""

    @property
    def headline(self) -> str:
        """The answer in a sentence, with names of encoders."""
        words = f"{self.question.modality} {self.question.task}"
        if self.lack:
            return f"Too little evidence on {words}: {self.lack}."
        if self.level == "none":
            return f"No evidence on {words}."
        if not self.encoders:
            return "No encoder meets these conditions."
        if self.together > 1:
            first = ", ".join(c.name for c in self.encoders[: min(3, self.together)])
            return f"No clear winner for {words}: {self.together} encoders cannot be told apart, {first} first."
        return f"{self.encoders[0].name} did best for {words}."


@dataclass(frozen=True)
class KnownScores:
    """What is known at one number of labels: scores in points, centred by task (E, T), and the level of each task."""

    table: ScoreTable
    centred: np.ndarray
    level: np.ndarray
    rows: pd.DataFrame
    """One row an encoder, the columns of the long table that describe it."""

    @cached_property
    def spread(self) -> VarianceComponents:
        """How self-supervised encoders differ; by kind and modality only where that foretells data sets left out
        better. Raises NotEnough."""
        ssl = self.centred[(self.table.encoders["paradigm"] != "reference").to_numpy()]
        apart, overall = (left_out_error(ssl, self.table.columns, apart=a) for a in (True, False))
        return spread_of(ssl, self.table.columns, apart=apart < overall)

    def without(self, origin: str) -> KnownScores:
        """The evidence less one source data set."""
        kept = (self.table.columns["origin"] != origin).to_numpy()
        return KnownScores(self.table.columns_kept(kept), self.centred[:, kept], self.level[kept], self.rows)


def advise(frame: pd.DataFrame, question: Question) -> Answer:
    """Order the encoders of a long table for a question. Deterministic.

    Real results count where there are any, phantoms only otherwise; contaminated cells never. The score of an encoder
    is foretold from all its tasks at the label budgets nearest on a log scale (`bench.analysis.kriging`): its own tasks
    in the modality count as far as the data show that modalities matter. Without a task of the modality and kind there
    is no evidence; the order over all tasks is given, and called that.
    """
    return advise_from(evidence_at(frame, question.labels), question)


def advise_from(evidence: KnownScores | None, question: Question) -> Answer:
    """As `advise`, from the evidence at the question's number of labels."""
    if evidence is None:
        return _nothing(
            question, "No self-supervised encoder has a result that counts; references alone advise nothing."
        )
    columns, kind = evidence.table.columns, KINDS[question.task]
    here = ((columns["kind"] == kind) & (columns["modality"] == question.modality)).to_numpy()
    alike = here if here.any() else (columns["kind"] == kind).to_numpy()
    if not alike.any():
        return _nothing(question, f"No self-supervised encoder has a result on any {question.task} task.")
    try:
        found = foretold(evidence, kind, question.modality)
    except NotEnough as lack:
        return _nothing(question, f"What was measured: `medssl leaderboard`. More of it: {MORE}", lack=str(lack))
    able = np.isfinite(evidence.centred[:, alike]).any(axis=1)
    out = excluded(evidence.rows, question)
    choices = _choices(evidence, found, able, float(evidence.level[alike].mean()))
    mine = [c for c in choices if c.paradigm != "reference" and c.name not in out]
    level: Literal["direct", "none"] = "direct" if here.any() else "none"
    answer = Answer(
        question=question, level=level, confidence="none", encoders=mine, together=together(mine),
        baselines=[c for c in choices if c.paradigm == "reference"],
        tasks=sorted(columns.loc[alike, "task"].unique()),
        budgets=sorted(set(columns.loc[alike, "budget"]), key=lambda text: Budget(text).number),
        sources=int(columns.loc[here, "origin"].nunique()), used_labels=_used_labels(evidence, alike),
        notes=[], excluded=out, synthetic=bool(evidence.rows["synthetic"].all()),
        tiny=bool(mine) and bool(evidence.rows.loc[[c.name for c in mine], "controlled_track"].notna().all()),
        overall=evidence.spread.kind == evidence.spread.modality == 0,
    )  # fmt: skip
    return answer.model_copy(update={"notes": _notes(answer), "confidence": _confidence(answer)})


def evidence_at(frame: pd.DataFrame, labels: int | None) -> KnownScores | None:
    """The results that count at a number of labels; None where there are none."""
    rows = pick(counted(frame), list(FROZEN.values()), budget=None, ssl=False)
    if len(rows) and not rows["synthetic"].astype(bool).all():
        rows = rows[~rows["synthetic"].astype(bool)]
    rows = rows[(rows["contaminated"] != "yes") & (rows["paradigm"] != "unknown")]
    if rows.empty:
        return None
    rows = _nearest_budget(rows, labels)
    table = tabulate(rows)
    scores = table.means
    ssl = (table.encoders["paradigm"] != "reference").to_numpy()
    known = np.isfinite(scores[ssl]).any(axis=0)
    if not known.any():
        return None
    table, scores = table.columns_kept(known), scores[:, known]
    level = np.nanmean(scores[ssl], axis=0)
    about = rows.assign(encoder=rows["encoder"].astype(str)).drop_duplicates("encoder").set_index("encoder")
    used = rows.groupby(rows["task"].astype(str))[["n_labels"]].mean()
    budget = rows.drop_duplicates("task").set_index("task")["budget"].astype(str)
    columns = table.columns.assign(n_labels=used["n_labels"].reindex(table.columns["task"]).to_numpy())
    columns = columns.assign(budget=budget.reindex(columns["task"]).to_numpy())
    return KnownScores(
        ScoreTable(table.values, table.encoders, columns), scores - level, level, about.loc[table.encoders.index]
    )


def foretold(evidence: KnownScores, kind: str, modality: str) -> Foretold:
    """What the evidence foretells of a task of a kind and modality."""
    return foretell(evidence.centred, evidence.table.columns, evidence.spread, kind, modality)


def together(choices: list[Recommendation]) -> int:
    """How many choices, best first, cannot be told apart from the first: none is beyond `APART` standard errors."""
    if not choices:
        return 0
    best = choices[0]
    apart = (c.score < best.score - APART * float(np.hypot(c.error, best.error)) for c in choices)
    return next((i for i, far in enumerate(apart) if far), len(choices))


def commercial(licence: object) -> bool:
    """Whether a licence text allows commercial use, as far as its words tell; unknown and unstated count as no.

    >>> commercial("Apache-2.0"), commercial("CC-BY-NC-4.0"), commercial("unknown")
    (True, False, False)
    """
    words = str(licence or "unknown").lower()
    tokens = words.replace("-", " ").replace("_", " ").split()
    return not any(w in tokens or ((" " in w or "-" in w) and w in words) for w in (*NON_COMMERCIAL, "not stated"))


def excluded(encoders: pd.DataFrame, question: Question) -> dict[str, str]:
    """Encoder -> why the question does not let it in: licence, access, compute or image size. encoders: by name."""
    out: dict[str, str] = {}
    limits = question.max_gflops, question.max_size
    if not (question.commercial or question.open_access) and limits == (None, None):
        return out
    for name, card in encoders.iterrows():
        if card["paradigm"] == "reference":
            continue
        if question.commercial and not commercial(card["licence"]):
            out[str(name)] = f"licence {card['licence']}"
        elif question.open_access and card["access"] in ("gated", "on-request"):
            out[str(name)] = f"weights {card['access']}"
        elif question.max_gflops is not None and not card["flops"] <= question.max_gflops * 1e9:
            cost = f"{card['flops'] / 1e9:.1f} GFLOPs" if pd.notna(card["flops"]) else "unknown compute"
            out[str(name)] = f"{cost}, over {question.max_gflops:g}"
        elif question.max_size is not None and card["size"] > question.max_size:
            out[str(name)] = f"images of {card['size']:.0f} pixels, over {question.max_size}"
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


def _choices(evidence: KnownScores, found: Foretold, able: np.ndarray, level: float) -> list[Recommendation]:
    names, paradigms = (list(map(str, x)) for x in (evidence.table.encoders.index, evidence.table.encoders["paradigm"]))
    return [
        Recommendation(
            name=names[i], paradigm=paradigms[i], score=float(level + found.score[i]),
            low=float(level + found.score[i] - 1.96 * found.spread[i]),
            high=float(level + found.score[i] + 1.96 * found.spread[i]), error=float(found.error[i]),
        )
        for i in np.argsort(-found.score, kind="stable") if able[i]
    ]  # fmt: skip


def _used_labels(evidence: KnownScores, alike: np.ndarray) -> tuple[int, int]:
    used = evidence.table.columns.loc[alike, "n_labels"].round()
    return int(used.min()), int(used.max())


def _notes(answer: Answer) -> list[str]:
    """What to know before following the advice."""
    notes, labels = [], answer.question.labels
    if answer.level == "none":
        notes.append(f"Nothing was measured on {answer.question.modality}; the order is that over all other tasks.")
    elif answer.overall:
        notes.append(OVERALL)
    if answer.tiny:
        notes.append(TINY)
    if labels is not None and answer.used_labels is not None:
        few, most = answer.used_labels
        if 2 * few < labels or most > 2 * labels:
            notes.append(f"You have {labels} labelled images; the nearest evidence has {counts(few, most)}.")
    if answer.encoders and (above := [c.name for c in answer.baselines if c.score >= answer.encoders[0].score]):
        notes.append(f"References that no self-supervision made do as well or better: {', '.join(above)}.")
    if answer.synthetic:
        notes.append("All the evidence is synthetic (phantoms); no clinical result backs it.")
    return notes


def counts(few: int, most: int) -> str:
    """A range of counts: "48", or "48 to 90"."""
    return f"{few:,}" if few == most else f"{few:,} to {most:,}"


def _confidence(answer: Answer) -> Literal["high", "moderate", "low", "none"]:
    """From the kind of evidence, the number of its source data sets, and whether one encoder stands out."""
    if answer.level == "none" or not answer.encoders:
        return "none"
    if answer.together > 1 or answer.sources < 2:
        return "low"
    return "high" if answer.sources >= 3 and not answer.synthetic else "moderate"


def _nothing(question: Question, why: str, lack: str = "") -> Answer:
    return Answer(
        question=question, level="none", confidence="none", encoders=[], together=0, baselines=[], tasks=[],
        budgets=[], sources=0, used_labels=None, notes=[why], excluded={}, synthetic=False, lack=lack,
    )  # fmt: skip
