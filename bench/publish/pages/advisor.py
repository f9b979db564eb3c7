"""The advisor: which encoder for which situation, with its evidence; every answer is made when the site is built."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bench.analysis.advisor import Answer
from bench.publish.answers import GFLOPS, LABELS, TASKS
from bench.publish.model import SiteView
from bench.publish.text import modality
from bench.publish.writer import Page, Site
from bench.words import MODALITIES

SHOWN = 10
"""Encoders shown of an answer."""


def write(site: Site) -> None:
    """The page, and a data file a suite with every answer; without JavaScript the plain questions stand in the page."""
    suites = [(s, site.view.advice.get(s.name, ())) for s in site.view.suites]
    suites = [(s, found) for s, found in suites if found]
    for suite, found in suites:
        name = f"advice/{suite.name}"
        site.script(f"data/{name}.js", "receive", {"name": name, **advice_data(site.view, found)})
    site.page(
        "advisor.html", "pages/advisor.html", suites=[(s, plain(found)) for s, found in suites], modalities=MODALITIES,
        tasks=TASKS, labels=LABELS, gflops=[g for g in GFLOPS if g is not None], most=SHOWN,
    )  # fmt: skip


def plain(found: Sequence[Answer]) -> list[Answer]:
    """Answers from the modality's own tasks, with plenty of labels and no limit."""
    return [
        a for a in found
        if a.level == "direct" and a.question.labels is None and not a.question.commercial
        and a.question.max_gflops is None
    ]  # fmt: skip


def question_key(answer: Answer) -> str:
    """How the page names a question: "ct|segmentation|100|commercial|5", empty where nothing is asked."""
    q = answer.question
    labels, gflops = ("" if v is None else f"{v:g}" for v in (q.labels, q.max_gflops))
    return "|".join([q.modality, q.task, labels, "commercial" if q.commercial else "", gflops])


def advice_data(view: SiteView, found: Sequence[Answer]) -> dict[str, Any]:
    """Every answer once (`answers`), which answer each question has (`index`), and the encoders they name."""
    answers: list[dict] = []
    places: dict[str, int] = {}
    index = {}
    for answer in found:
        said = _said(answer)
        place = places.setdefault(repr(said), len(answers))
        if place == len(answers):
            answers.append(said)
        index[question_key(answer)] = place
    named = sorted(
        {row[0] for a in answers for row in a["encoders"]} | {name for a in answers for name in a["excluded"]}
    )
    return {"answers": answers, "index": index, "encoders": {name: _encoder(view, name) for name in named}}


def _said(answer: Answer) -> dict[str, Any]:
    return {
        "level": answer.level, "confidence": answer.confidence, "tasks": len(answer.tasks), "budgets": answer.budgets,
        "notes": [_titled(note, answer) for note in answer.extrapolated], "excluded": answer.excluded,
        "considered": len(answer.encoders),
        "encoders": [[c.name, *_rounded(c)] for c in answer.encoders[:SHOWN]],
        "paradigms": [[c.paradigm, *_rounded(c), c.n_encoders] for c in answer.paradigms],
    }  # fmt: skip


def _titled(note: str, answer: Answer) -> str:
    return note.replace(f"modality {answer.question.modality}:", f"modality {modality(answer.question.modality)}:")


def _rounded(choice: Any) -> list[float | None]:
    return [None if v is None else round(v, 2) for v in (choice.score, choice.low, choice.high, choice.p_best)]


def _encoder(view: SiteView, name: str) -> dict[str, Any]:
    e = view.encoders[name]
    return {"title": e.title, "paradigm": e.card.paradigm, "licence": e.card.licence, "flops": e.flops}


PAGE = Page("advisor", write, "Advisor", 50, "advisor.html")
