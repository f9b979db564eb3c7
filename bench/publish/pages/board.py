"""Boards: one page a suite and board, and the front page."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor

import numpy as np

from bench.analysis.advisor import TINY
from bench.leaderboard.board import BoardRow
from bench.publish.anchors import cell_anchors
from bench.publish.cite import view_bibtex
from bench.publish.facets import corpora, facets, findable
from bench.publish.model import BoardView, EncoderView, Estimate, SiteView, SuiteView
from bench.publish.pages.advisor import headline, plain
from bench.publish.pages.claims import headline as claims_headline
from bench.publish.pages.claims import measured
from bench.publish.rerank import shipped_megabytes
from bench.publish.svg import seen
from bench.publish.text import between, count, number, span
from bench.publish.writer import Page, Site
from bench.words import PARADIGM_TITLES


def address(suite: str, board: str) -> str:
    """Address of a board within the site."""
    return f"boards/{suite}/{board}.html"


def write(site: Site) -> None:
    """Every board of every suite; the first board of the first suite is the front page too."""
    first = True
    for suite in site.view.suites:
        for board in suite.boards:
            context = _context(site.view, suite, board)
            site.page(address(suite.name, board.name), "pages/board.html", front=False, **context)
            if first:
                front = front_page(site.view, suite, board)
                site.page("index.html", "pages/board.html", front=True, **context, **front)
                first = False
    if first:
        site.page("index.html", "pages/empty.html")


def _context(view: SiteView, suite: SuiteView, board: BoardView) -> dict:
    low, high = (board_axis(board)[end] for end in ("low", "high"))
    encoders = [view.encoders[r.encoder] for r in board.rows]
    curve_values = [e.value for points in board.curves.values() for _, e in points]
    return {
        "suite": suite,
        "board": board,
        "low": low,
        "high": high,
        "encoders": view.encoders,
        "facets": facets(encoders, board.rows),
        "corpora": corpora(encoders),
        "findable": findable,
        "versions": [v.data[:12] for v in view.history.versions],
        "parts": _parts(suite, board),
        "bottom": min([0.0, *curve_values]),
        "top": max(curve_values, default=high),
        "has_curves": any(len(points) > 1 for points in board.curves.values()),
        "tiers": _tier_starts(board.rows),
        "bibtex": view_bibtex(view),
        "megabytes": shipped_megabytes(board),
        "anchors": anchor_rows(suite, board),
        "modalities": list(dict.fromkeys(c.modality for c in board.columns)),
        "off": _constant(encoders, board.rows),
    }


def _constant(encoders: list[EncoderView], rows: Sequence[BoardRow]) -> set[str]:
    """Columns that say the same in every row: off until they are asked for."""
    values: dict[str, set] = {
        "trust": {e.badge for e in encoders},
        "seen": {str(seen(r.contamination)) for r in rows},
        "params": {e.parameters for e in encoders},
        "tier": {r.tier for r in rows if r.rank is not None},
    }
    return {name for name, found in values.items() if len(found) < 2}


def front_page(view: SiteView, suite: SuiteView, board: BoardView) -> dict:
    """What the front page says before its table: the state, the result and how sure, and advice by modality."""
    judged = [c.verdict for c in view.claims.get(suite.name, ())]
    advice = [a for a in plain(view.advice.get(suite.name, ())) if a.encoders]
    apart = [a for a in advice if 2 * a.together <= len(a.encoders)]
    return {
        "status": _status(view, suite, board), "result": _result(view, board), "above": _above(view, board),
        "who": _who(view, board), "use": _use(view, board),
        "advice": [(a, headline(view, a)) for a in apart], "even": [a for a in advice if a not in apart],
        "overall": advice[0] if advice and all(a.overall for a in advice) else None,
        "verdicts": claims_headline(judged) if measured(judged) else "",
    }  # fmt: skip


def _status(view: SiteView, suite: SuiteView, board: BoardView) -> str:
    images = "synthetic" if suite.synthetic else "real"
    what = f"{_several(len(board.rows), 'encoder')}, {_several(len(suite.tasks), 'task')}"
    return f"{what} with {images} images, newest result {view.date[:10]}."


def _several(n: int, word: str) -> str:
    return f"{n} {word}{'' if n == 1 else 's'}"


def _result(view: SiteView, board: BoardView) -> str:
    """Who leads, and whether that is more than chance."""
    ranked = [r for r in board.rows if r.rank is not None]
    if not ranked and all(r.reference for r in board.rows):
        return "Nobody is ranked yet: these encoders are references, to be read against."
    if not ranked:
        return "Nobody is ranked yet: no encoder has every result of this board."
    first, tier = ranked[0], [r for r in ranked if r.tier == ranked[0].tier]
    lead = f"{view.encoders[first.encoder].title} leads {board.title} with {number(first.score)}"
    lead += f" ({between(Estimate.of(first))})" if between(Estimate.of(first)) else ""
    if len(tier) == 1:
        sure = f"{lead}, ahead of every other by more than the choice of test images explains (95 % paired intervals)."
        if (first.rank_high or 1) > 1:  # each comparison by itself excludes a tie, all of them together do not
            ranks = span(first.rank_low, first.rank_high)
            sure = f"{lead}. Each other is behind it in a paired 95 % interval; "
            sure += f"with test images drawn anew it ranks {ranks}."
    else:
        others = f"{len(tier) - 1} other{'s' * (len(tier) > 2)}"
        sure = f"{lead}, but {others} cannot be told apart from it on these test images."
    return sure


def _use(view: SiteView, board: BoardView) -> str:
    """What a reader who looks for an encoder must know first: whether these are any that one would use."""
    ranked = [view.encoders[r.encoder].card for r in board.rows if r.rank is not None]
    return TINY if ranked and all(card.controlled_track for card in ranked) else ""


def _above(view: SiteView, board: BoardView) -> str:
    """References above the leader: a reader must not take it for the best there is."""
    first = next((r.score or 0.0 for r in board.rows if r.rank is not None), None)
    above = [r for r in board.rows if first is not None and r.reference and r.score is not None and r.score > first]
    if not above:
        return ""
    best = f"{view.encoders[above[0].encoder].title}, scores {number(above[0].score)}"
    more = f" ({len(above)} references are above it)" if len(above) > 1 else ""
    return f"It is not the best there is: a reference without self-supervision, {best}{more}."


def _who(view: SiteView, board: BoardView) -> str:
    """What kind of encoders these are."""
    cards = [view.encoders[r.encoder].card for r in board.rows]
    kinds = [(PARADIGM_TITLES[p].lower(), sum(c.paradigm == p for c in cards)) for p in PARADIGM_TITLES]
    sizes = [view.encoders[r.encoder].parameters for r in board.rows if view.encoders[r.encoder].parameters]
    corpora = {c.corpus for card in cards for c in card.pretraining or []}
    said = ", ".join(f"{n} {title}{'s' * (title == 'reference' and n > 1)}" for title, n in kinds if n)
    ends = dict.fromkeys((count(min(sizes)), count(max(sizes)))) if sizes else {}
    span = f"; {' to '.join(ends)} parameters" if ends else ""
    shared = (
        f"; all pretrained on {next(iter(corpora))}" if len(corpora) == 1 else f"; {len(corpora)} pretraining corpora"
    )
    return f"These encoders: {said}{span}{shared if corpora else ''}."


@dataclass(frozen=True, slots=True)
class AnchorRow:
    """One anchor in the columns of a board; None where a cell has none. parts: the same on Global and Dense."""

    kind: str
    title: str
    score: float
    cells: tuple[float | None, ...]
    parts: dict[str, float]


def anchor_rows(suite: SuiteView, board: BoardView) -> list[AnchorRow]:
    """Chance and ceilings on the board's scale. An anchor of some cells only has its mean over those: cells without a
    ceiling of their own can reach 1."""
    found: dict[tuple[str, str], dict[int, float]] = {}
    for j, column in enumerate(board.columns):
        for key, score in cell_anchors(suite.tasks[t].anchors for t in column.tasks).items():
            found.setdefault(key, {})[j] = score
    if board.name in ("low-label", "fine-tune"):
        found = {key: cells for key, cells in found.items() if key[0] == "chance"}
    rows = [_anchor_row(board, *key, cells) for key, cells in found.items()]
    return sorted(rows, key=lambda r: (-r.score, r.title))


def _anchor_row(board: BoardView, kind: str, title: str, cells: dict[int, float]) -> AnchorRow:
    kinds = [c.kind for c in board.columns]
    default = 1.0 if kind == "ceiling" else 0.0
    values = [cells.get(j, default) for j in range(len(kinds))]
    means = {k: float(np.mean([v for v, mine in zip(values, kinds, strict=True) if mine == k])) for k in set(kinds)}
    shown = tuple(None if j not in cells else round(cells[j], 6) for j in range(len(kinds)))
    return AnchorRow(kind, title, float(np.mean(list(means.values()))), shown, means)


def board_axis(board: BoardView) -> dict[str, float]:
    """Ends of the axis of a board's intervals."""
    low, high = axis([v for r in board.rows for v in (r.low, r.high, r.score) if v is not None])
    return {"low": low, "high": high}


def axis(values: list[float]) -> tuple[float, float]:
    """A round axis that holds every value, within [-1, 1]."""
    if not values:
        return 0.0, 1.0
    low, high = (min(1.0, max(-1.0, end(values))) for end in (min, max))
    return floor(low * 20) / 20, min(1.0, (floor(high * 20) + 1) / 20)


def _parts(suite: SuiteView, board: BoardView) -> dict[str, dict[str, BoardRow]]:
    """On the Overall board, the rows of Global and Dense beside it, by encoder."""
    if board.name != "overall":
        return {}
    return {b.name: {r.encoder: r for r in b.rows} for b in suite.boards if b.name in ("global", "dense")}


def _tier_starts(rows: tuple[BoardRow, ...]) -> set[str]:
    """Encoders that open a tier: a line is drawn above them."""
    starts, seen = set(), None
    for row in rows:
        if row.tier is not None and row.tier != seen:
            if seen is not None:
                starts.add(row.encoder)
            seen = row.tier
    return starts


PAGE = Page("board", write, "Board", 10, "index.html")
