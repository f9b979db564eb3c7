"""The advisor: which encoder for which situation, with its evidence; every answer is made when the site is built."""

from collections.abc import Sequence
from typing import Any

from bench.analysis.advisor import APART, OVERALL, TINY, Answer, commercial
from bench.publish.answers import LABELS, TASKS
from bench.publish.model import SiteView
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
        data = {"name": name, "fares": suite.fares, **advice_data(site.view, found)}
        site.script(f"data/{name}.js", "receive", data)
    site.page(
        "advisor.html", "pages/advisor.html", suites=[(s, plain(found)) for s, found in suites], modalities=MODALITIES,
        tasks=TASKS, most=SHOWN, headline=headline,
    )  # fmt: skip


def plain(found: Sequence[Answer]) -> list[Answer]:
    """Answers with evidence, with plenty of labels."""
    return [a for a in found if a.level == "direct" and a.question.labels is None]


def headline(view: SiteView, answer: Answer) -> str:
    """The answer in a sentence, encoders by their titles."""
    first = [view.encoders[c.name].title for c in answer.encoders[: min(3, answer.together)]]
    if answer.together > 1:
        which = "the first are " * (answer.together > len(first)) + "; ".join(first)
        return f"No clear winner: {answer.together} encoders cannot be told apart: {which}."
    return f"{first[0]} did best." if first else "No encoder."


def question_key(answer: Answer) -> str:
    """How the page names a question: "ct|segmentation|100", without a number where labels are plenty."""
    q = answer.question
    return "|".join([q.modality, q.task, "" if q.labels is None else f"{q.labels:g}"])


def advice_data(view: SiteView, found: Sequence[Answer]) -> dict[str, Any]:
    """Every answer once (`answers`), which answer each question has (`index`), and the encoders they name."""
    answers: list[dict] = []
    places: dict[str, int] = {}
    index = {}
    for answer in found:
        data = _data(answer)
        place = places.setdefault(repr(data), len(answers))
        if place == len(answers):
            answers.append(data)
        index[question_key(answer)] = place
    named = sorted({row[0] for a in answers for row in (*a["encoders"], *a["baselines"])})
    return {
        "answers": answers, "index": index, "labels": [n for n in LABELS if n], "apart": APART, "shown": SHOWN,
        "encoders": {name: _encoder(view, name) for name in named},
    }  # fmt: skip


def _data(answer: Answer) -> dict[str, Any]:
    return {
        "level": answer.level, "tasks": answer.tasks, "budgets": answer.budgets, "sources": answer.sources,
        "used": answer.used_labels, "synthetic": answer.synthetic, "lack": answer.lack,
        "notes": [OVERALL] * (answer.overall and answer.level == "direct") + [TINY] * answer.tiny,
        "encoders": [[c.name, *_rounded(c)] for c in answer.encoders],
        "baselines": [[c.name, *_rounded(c)] for c in answer.baselines],
    }  # fmt: skip


def _rounded(choice: Any) -> list[float]:
    return [round(v, 3) for v in (choice.score, choice.low, choice.high, choice.error)]


def _encoder(view: SiteView, name: str) -> dict[str, Any]:
    e = view.encoders[name]
    return {
        "title": e.title, "paradigm": e.card.paradigm, "licence": e.card.licence, "flops": e.flops,
        "commercial": commercial(e.card.licence), "access": e.card.access, "size": e.card.preprocessing.size,
    }  # fmt: skip


PAGE = Page("advisor", write, "Advisor", 50, "advisor.html")
