"""The ledger of claims: each with its verdict, its picture, and what would overturn it."""

from __future__ import annotations

from typing import Any

import altair as alt
from markupsafe import Markup

from bench.publish.charts import dots_chart, to_svg
from bench.publish.model import ClaimView, SiteView
from bench.publish.writer import Page, Site


def write(site: Site) -> None:
    """One page with every suite's verdicts, and the verdicts as JSON."""
    titles = {s.name: s for s in site.view.suites}
    ledgers = [
        {
            "suite": titles[name],
            "claims": [{"claim": c.claim, "v": c.verdict, "picture": picture(site.view, c)} for c in found],
        }
        for name, found in site.view.claims.items()
    ]
    for name, found in site.view.claims.items():
        site.json(f"data/claims/{name}.json", [c.verdict.model_dump(mode="json") for c in found])
    site.page("claims.html", "pages/claims.html", ledgers=ledgers)


def picture(view: SiteView, claim: ClaimView) -> Markup | None:
    """One mark for each observation the verdict rests on; None when there is nothing to draw."""
    rows = [r for r in claim.verdict.chart if _finite(r)]
    label = f"{claim.claim.title}: {len(rows)} observations, {claim.verdict.verdict}"
    if len(rows) < 2:
        return None
    if {"x", "y"} <= rows[0].keys():
        return _scatter(rows, label)
    if "value" not in rows[0]:
        return None
    group = next((k for k in ("group", "paradigm") if k in rows[0]), None)
    rows = [{**r, "group": str(r[group]) if group else "all"} for r in rows]
    return dots_chart(rows, value="value", group="group", title=claim.claim.measured_in, label=label)


def _scatter(rows: list[dict[str, Any]], label: str) -> Markup:
    chart = alt.Chart(alt.Data(values=rows)).mark_point(filled=True, size=64, color="var(--link)").encode(
        x=alt.X("x:Q", scale=alt.Scale(zero=False)), y=alt.Y("y:Q", scale=alt.Scale(zero=False))
    )  # fmt: skip
    return to_svg(chart.properties(width=420, height=260), label)


def _finite(row: dict[str, Any]) -> bool:
    return all(not isinstance(v, float) or v == v for v in row.values())


PAGE = Page("claims", write, "Claims", 40, "claims.html")
