"""One page an encoder: card, strengths, curves, cost, contamination, provenance, every number."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter

import numpy as np
from markupsafe import Markup

from bench.budget import FULL, Budget
from bench.leaderboard.board import BoardRow
from bench.publish.model import BoardView, EncoderView, SiteView, SuiteView
from bench.publish.results import anchors
from bench.publish.subgroups import Served, leaks, served
from bench.publish.svg import ticks
from bench.publish.writer import Page, Site
from bench.submissions.badge import Verification


def address(encoder: str) -> str:
    """Address of an encoder's page within the site."""
    return f"encoders/{encoder}.html"


def write(site: Site) -> None:
    """Every encoder's page."""
    groups = [dict(_numbers(s)) for s in site.view.suites]
    against = [fields(s) for s in site.view.suites]
    wrong = [_by_encoder(served(s.results, s.main)) for s in site.view.suites]
    standings = _standings(site.view)
    for name, encoder in site.view.encoders.items():
        suites = [
            {
                "suite": suite,
                "numbers": found[name][0],
                "others": len(found[name][1]),
                "strengths": _strengths(field, name),
                "served": gaps.get(name, []),
                "leaks": leaks(suite.results[suite.results["encoder"] == name], "task"),
            }
            for suite, found, field, gaps in zip(site.view.suites, groups, against, wrong, strict=True)
            if name in found
        ]
        for suite, found in zip(site.view.suites, groups, strict=True):
            if name in found and found[name][1]:
                _write_others(site, encoder, suite, found[name][1])
        site.page(
            address(name),
            "pages/encoder.html",
            e=encoder,
            suites=suites,
            standings=standings.get(name, []),
            corpora=_corpora(encoder),
            trust=trust(encoder),
        )


def _by_encoder(rows: list[Served]) -> dict[str, list[Served]]:
    found: dict[str, list[Served]] = {}
    for row in rows:
        found.setdefault(row.encoder, []).append(row)
    return found


def trust(encoder: EncoderView) -> str:
    """What stands behind the badge: what was recomputed, how much of it, when, by which version, how far off."""
    if encoder.badge == "declared":
        return "Numbers as sent by the author; nobody has recomputed them."
    how = {
        "rescored": "Recomputed here from what was sent.",
        "reproduced": "Recomputed here from what was sent, and run again from the encoder itself.",
    }
    return " ".join([how[encoder.badge], *map(_covered, encoder.verdicts)])


def _covered(verdict: Verification) -> str:
    covers = verdict.covers
    rest = "" if max(covers.rescored, covers.rerun) >= covers.units else " The others stand as sent."
    return (
        f"{verdict.suite}: {verdict.text}; scores differed by {verdict.largest_difference:.2g} at most "
        f"({verdict.tolerance:g} is accepted).{rest}"
    )


def _write_others(site: Site, encoder: EncoderView, suite: SuiteView, rows: list[tuple]) -> None:
    tasks = [
        (suite.tasks[task].task, [(anchor, list(unit)) for anchor, unit in groupby(mine, attrgetter("anchor"))])
        for task, mine in groupby(rows, attrgetter("task"))
    ]
    site.page(f"numbers/{suite.name}/{encoder.name}.html", "pages/numbers.html", e=encoder, suite=suite, tasks=tasks)


def _numbers(suite: SuiteView) -> Iterator[tuple[str, tuple[list[tuple], list[tuple]]]]:
    """(encoder, its rows of primary and of other metrics); each row with its anchor, whether it is the number that the
    boards use (`main`), and whether it has cases to show."""
    frame = suite.results
    shown = {(e, t) for t, task in suite.tasks.items() for e in (task.cases.answers if task.cases else ())}
    main = frame["primary"] & (frame["budget"] == FULL) & (frame["split"] == "test")
    main &= frame["protocol"].isin(suite.main.values())
    pairs = zip(frame["encoder"], frame["task"], main, strict=True)
    cases = [m and (e, t) in shown for e, t, m in pairs]
    frame = frame.assign(anchor=anchors(suite.name, frame), main=main, cases=cases)
    number = frame["budget"].map(lambda text: Budget(text).number)
    frame = frame.assign(number=number).sort_values(["task", "protocol", "number"], kind="stable")
    for name, rows in frame.groupby("encoder", sort=False):
        primary = rows["primary"].astype(bool)
        first, others = (list(part.itertuples(index=False)) for part in (rows[primary], rows[~primary]))
        yield name, (first, others)


def _standings(view: SiteView) -> dict[str, list[tuple[SuiteView, BoardView, BoardRow]]]:
    found: dict[str, list] = {}
    for suite in view.suites:
        for board in suite.boards:
            for row in board.rows:
                found.setdefault(row.encoder, []).append((suite, board, row))
    return found


@dataclass(frozen=True, slots=True)
class Field:
    """The scores of every encoder in one modality and kind of task."""

    modality: str
    kind: str
    scores: dict[str, float]
    median: float
    path: Markup
    """Ticks of all scores on [0, 1]."""


def fields(suite: SuiteView) -> list[Field]:
    """The field an encoder is seen against: each column of the Global and Dense boards."""
    found = []
    for board in suite.boards:
        if board.name in ("global", "dense"):
            for column in board.columns:
                scores = {r.encoder: r.cells[column.key].value for r in board.rows if column.key in r.cells}
                if scores:
                    middle = float(np.median(list(scores.values())))
                    found.append(Field(column.modality, column.kind, scores, middle, ticks(scores.values(), 0, 1)))
    return found


def _strengths(found: list[Field], name: str) -> list[dict]:
    """Each modality x kind where the encoder has a score: own score, median of the field, place in it."""
    rows = []
    for field in found:
        if name in field.scores:
            mine = field.scores[name]
            place = 1 + sum(v > mine for v in field.scores.values())
            rows.append({"field": field, "mine": mine, "place": place, "of": len(field.scores)})
    return rows


def _corpora(encoder: EncoderView) -> list[dict]:
    return [
        {
            "corpus": c.corpus,
            "images": c.images,
            "in_domain": {True: "in domain", False: "natural images", None: ""}[c.in_domain],
        }
        for c in encoder.card.pretraining or []
    ]


PAGE = Page("encoder", write, many=True)
