"""The ledger of claims: each with its verdict, its picture, and what would overturn it."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, get_args

import altair as alt
from markupsafe import Markup

from bench.analysis.claim import read_note
from bench.analysis.verdict import Outcome, Verdict
from bench.publish.charts import dots_chart, paradigm_chart, to_svg
from bench.publish.model import ClaimView
from bench.publish.text import modality
from bench.publish.writer import Page, Site
from bench.words import PARADIGM_TITLES


def write(site: Site) -> None:
    """One page with every suite's verdicts, and the verdicts as JSON."""
    titles = {s.name: s for s in site.view.suites}
    ledgers = [
        {
            "suite": titles[name],
            "claims": [{"claim": c.claim, "v": c.verdict, "pictures": pictures(c)} for c in found],
            "headline": headline([c.verdict for c in found]),
        }
        for name, found in site.view.claims.items()
    ]
    for name, found in site.view.claims.items():
        site.json(f"data/claims/{name}.json", [c.verdict.model_dump(mode="json") for c in found])
    site.page("claims.html", "pages/claims.html", ledgers=ledgers, note=read_note())


def headline(verdicts: Sequence[Verdict]) -> str:
    """How many claims came out how, in a sentence; the confirmatory ones by name."""
    words = get_args(Outcome)
    if not measured(verdicts):
        return f"None of the {len(verdicts)} claims can be judged on these results yet; each says below what it lacks."
    by = {word: [v for v in verdicts if v.verdict == word] for word in words}
    counted = [f"{len(found)} {word}" for word, found in by.items() if found]
    first = {word: [v.id for v in found if v.family == "confirmatory"] for word, found in by.items()}
    named = "; ".join(f"{', '.join(ids)} {word}" for word, ids in first.items() if ids)
    return f"Of {len(verdicts)} claims: {', '.join(counted)}. The confirmatory ones: {named}."


def measured(verdicts: Sequence[Verdict]) -> bool:
    """Whether there is evidence for or against any claim."""
    return any(v.verdict != "not measured" for v in verdicts)


class Picture(NamedTuple):
    """A drawing and what its marks are."""

    svg: Markup
    caption: str


def pictures(claim: ClaimView) -> list[Picture]:
    """One drawing for each thing the claim says."""
    verdict = claim.verdict
    charts = [(part.name, part.chart) for part in verdict.parts] or [(verdict.title, verdict.chart)]
    return [drawn for title, rows in charts if (drawn := picture(title, rows, verdict))]


def picture(said: str, rows: Sequence[dict[str, Any]], verdict: Verdict) -> Picture | None:
    """One mark for each observation the verdict rests on; None when there is nothing to draw."""
    rows = [r for r in rows if all(v == v for v in r.values())]  # no NaN
    label, title = f"{said}: {len(rows)} observations, {verdict.verdict}", verdict.measured_in
    if len(rows) < 2:
        return None
    if {"x", "y"} <= rows[0].keys():
        return Picture(_scatter(rows, verdict.details, label), "One mark an encoder, less the mean of its stratum.")
    if "part" in rows[0]:
        rows = [{**r, "paradigm": PARADIGM_TITLES[r["paradigm"]], "part": modality(r["part"])} for r in rows]
        parts = len({r["part"] for r in rows})
        caption = "One mark the mean of a paradigm's encoders"
        within = " in one modality, less their mean over modalities" if parts > 1 else ""
        return Picture(paradigm_chart(rows, title=title, label=label), f"{caption}{within}.")
    if "value" not in rows[0]:
        return None
    group = next((k for k in ("group", "paradigm") if k in rows[0]), None)
    rows = [{**r, "group": str(r[group]) if group else "all"} for r in rows]
    caption = f"{said[:1].upper()}{said[1:]}. " if verdict.parts else ""
    caption += "One mark an encoder, less the mean of its stratum; the tick is the mean of its group."
    return Picture(dots_chart(rows, value="value", group="group", title=title, label=label), caption)


def _scatter(rows: list[dict[str, Any]], titles: Mapping[str, Any], label: str) -> Markup:
    chart = alt.Chart(alt.Data(values=rows)).mark_point(filled=True, size=64, color="var(--link)").encode(
        x=alt.X("x:Q", scale=alt.Scale(zero=False), title=titles["x"]),
        y=alt.Y("y:Q", scale=alt.Scale(zero=False), title=titles["y"]),
    )  # fmt: skip
    return to_svg(chart.properties(width=420, height=260), label)


PAGE = Page("claims", write, "Claims", 40, "claims.html")
