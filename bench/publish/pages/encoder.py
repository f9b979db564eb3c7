"""One page an encoder: card, strengths, curves, cost, contamination, provenance, every number."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bench.publish.model import BoardView, EncoderView, Row, SiteView, SuiteView
from bench.publish.writer import Page, Site


def address(encoder: str) -> str:
    """Address of an encoder's page within the site."""
    return f"encoders/{encoder}.html"


def write(site: Site) -> None:
    """Every encoder's page."""
    groups = [dict(iter(_records(s.results.groupby("encoder", sort=False)))) for s in site.view.suites]
    fields = [field_of(s) for s in site.view.suites]
    standings = _standings(site.view)
    for name, encoder in site.view.encoders.items():
        suites = [
            {"suite": suite, "numbers": found[name], "strengths": _strengths(suite, field, name)}
            for suite, found, field in zip(site.view.suites, groups, fields, strict=True)
            if name in found
        ]
        site.page(
            address(name),
            "pages/encoder.html",
            e=encoder,
            suites=suites,
            standings=standings.get(name, []),
            corpora=_corpora(encoder),
        )


def _records(groups: pd.api.typing.DataFrameGroupBy) -> Iterator[tuple[str, list[dict]]]:
    for name, frame in groups:
        yield name, frame.to_dict("records")


def _standings(view: SiteView) -> dict[str, list[tuple[SuiteView, BoardView, Row]]]:
    found: dict[str, list] = {}
    for suite in view.suites:
        for board in suite.boards:
            for row in board.rows:
                found.setdefault(row.encoder, []).append((suite, board, row))
    return found


def field_of(suite: SuiteView) -> dict[str, dict[str, float]]:
    """Column title -> encoder -> score, over the Global and Dense boards: the field an encoder is seen against."""
    found: dict[str, dict[str, float]] = {}
    for board in suite.boards:
        if board.name in ("global", "dense"):
            for j, column in enumerate(board.columns):
                found[f"{column.modality}/{column.kind}"] = {r.encoder: r.cells[j] for r in board.rows}
    return found


def _strengths(suite: SuiteView, field: dict[str, dict[str, float]], name: str) -> list[dict]:
    """Each modality x kind: own score, the field, and the share of the field it is above."""
    rows = []
    for key, scores in field.items():
        mine = scores.get(name, float("nan"))
        values = [v for v in scores.values() if v == v]
        if mine == mine and values:
            modality, _, kind = key.partition("/")
            rows.append(
                {
                    "modality": modality,
                    "kind": kind,
                    "mine": mine,
                    "field": values,
                    "median": float(np.median(values)),
                    "place": 1 + sum(v > mine for v in values),
                }
            )
    return rows


def _corpora(encoder: EncoderView) -> list[dict]:
    return [
        {"corpus": c.corpus, "images": c.images, "in_domain": {True: "medical", False: "natural"}.get(c.in_domain, "")}
        for c in encoder.card.pretraining or []
    ]


PAGE = Page("encoder", write)
