"""Charts as inline SVG, drawn by Vega-Lite when the site is built: no script, no CDN, colours of the page's theme."""

import re
from collections.abc import Collection, Sequence
from typing import Any, Literal

import altair as alt
import vl_convert
from markupsafe import Markup

from bench.words import PARADIGM_TITLES, PARADIGMS

SHAPES = ("circle", "triangle-up", "square", "diamond", "cross")
COLOURS = tuple(f"var(--{p})" for p in PARADIGMS)
CONFIG: dict[str, Any] = {
    "background": None,
    "font": "Inter, system-ui, sans-serif",
    "view": {"stroke": None},
    # Inter is wider than the font that labels are measured in.
    "padding": {"left": 16, "top": 5, "right": 16, "bottom": 5},
    "axis": {
        "labelColor": "currentColor", "titleColor": "currentColor", "domainColor": "var(--rule)",
        "tickColor": "var(--rule)", "gridColor": "var(--line)", "labelFontSize": 12, "titleFontSize": 12,
        "titleFontWeight": 500, "labelLimit": 220, "titlePadding": 10, "labelOverlap": "greedy", "labelSeparation": 10,
    },
    "legend": {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12, "title": None,
               "orient": "top", "symbolSize": 90, "symbolOpacity": 1, "labelLimit": 0, "columnPadding": 28},
    "header": {"labelColor": "currentColor", "titleColor": "currentColor", "labelFontSize": 12},
}  # fmt: skip


def to_svg(chart: alt.TopLevelMixin | dict, label: str) -> Markup:
    """A Vega-Lite chart as inline SVG with `label` as its text alternative; same chart, same bytes."""
    spec = chart if isinstance(chart, dict) else chart.to_dict()
    spec = {**spec, "config": {**CONFIG, **{k: v for k, v in spec.get("config", {}).items() if k not in CONFIG}}}
    svg = vl_convert.vegalite_to_svg(spec, allowed_base_urls=[])
    return Markup(_inline(svg).replace("<svg ", f'<svg role="img" aria-label="{Markup.escape(label)}" ', 1))


def _inline(svg: str) -> str:
    """Only the picture: no XML head, no style attributes, no links, nothing of Vega's own accessibility tree."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r' (?:style|aria-[a-z]+|role|class|version|xmlns:xlink)="[^"]*"', "", svg)
    return re.sub(r"\s*\n\s*", "", svg)


def paradigm_encodings() -> dict[str, Any]:
    """Colour and shape by paradigm, the same on every chart."""
    names = [PARADIGM_TITLES[p] for p in PARADIGMS]
    return {
        "color": alt.Color(
            "paradigm:N", scale=alt.Scale(domain=names, range=list(COLOURS)), legend=alt.Legend(title=None)
        ),
        "shape": alt.Shape(
            "paradigm:N", scale=alt.Scale(domain=names, range=list(SHAPES)), legend=alt.Legend(title=None)
        ),
    }


def cost_chart(
    rows: Sequence[dict[str, Any]], front: Collection[str], *, x: str, x_title: str, score_title: str
) -> Markup:
    """Score with its interval against a cost (log axis); rows: encoder, title, paradigm (title), score, low, high, `x`.

    front: encoders that nobody cheaper beats: named, and joined by a line.
    """
    values = [{**r, "front": r["encoder"] in front} for r in rows if r.get(x)]
    base = alt.Chart(alt.Data(values=values))
    best = base.transform_filter("datum.front")
    axis = alt.X(f"{x}:Q", scale=alt.Scale(type="log"), title=x_title, axis=alt.Axis(format="~s", grid=False))
    height = alt.Y("low:Q", scale=alt.Scale(zero=False), title=score_title)
    shape = paradigm_encodings()
    bars = base.mark_rule(strokeWidth=1.5, opacity=0.45).encode(x=axis, y=height, y2="high:Q", color=shape["color"])
    line = best.mark_line(interpolate="step-after", color="currentColor", opacity=0.55, strokeDash=[4, 3]).encode(
        x=axis, y="score:Q"
    )
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(x=axis, y="score:Q", **shape)
    costs = sorted(r[x] for r in values)
    middle = (costs[0] * costs[-1]) ** 0.5 if costs else 1.0
    sides: tuple[tuple[str, Literal["left", "right"], int], ...] = (("<=", "left", 9), (">", "right", -9))
    names = [
        best.transform_filter(f"datum[{x!r}] {where} {middle}")
        .mark_text(align=side, dx=shift, dy=-9, fontSize=12, color="currentColor", limit=300)
        .encode(x=axis, y="score:Q", text="title:N")
        for where, side, shift in sides
    ]
    text = f"{score_title} against {x_title} for {len(values)} encoders; the same numbers stand in the table."
    return to_svg(alt.layer(bars, line, dots, *names).properties(width=760, height=380), text)


def paradigm_chart(rows: Sequence[dict[str, Any]], *, title: str, label: str) -> Markup:
    """One mark a paradigm, in its colour and shape, in each part; rows: paradigm (title), part, value."""
    base = alt.Chart(alt.Data(values=list(rows)))
    parts = len({r["part"] for r in rows})
    axis = alt.Axis(grid=True) if parts > 1 else None
    dots = base.mark_point(filled=True, size=80, opacity=1).encode(
        x=_points("value", title),
        y=alt.Y("part:N", title=None, axis=axis),
        **paradigm_encodings(),
    )
    return to_svg((_zero() + dots).properties(width=560, height=30 * parts), label)


def dots_chart(rows: Sequence[dict[str, Any]], *, value: str, group: str, title: str, label: str) -> Markup:
    """One dot an encoder or data set, by group, with a line at zero."""
    base = alt.Chart(alt.Data(values=list(rows)))
    dots = base.mark_point(filled=True, size=64, opacity=0.75, color="var(--link)").encode(
        x=_points(value, title),
        y=alt.Y(f"{group}:N", title=None),
    )  # fmt: skip
    means = base.mark_tick(thickness=2.5, size=22, color="currentColor").encode(x=f"mean({value}):Q", y=f"{group}:N")
    groups = len({r.get(group) for r in rows})
    return to_svg((_zero() + dots + means).properties(width=560, height=36 * max(1, groups)), label)


def _points(value: str, title: str) -> alt.X:
    return alt.X(f"{value}:Q", title=title, scale=alt.Scale(zero=False), axis=alt.Axis(tickCount=6))


def _zero() -> alt.Chart:
    return alt.Chart(alt.Data(values=[{"zero": 0}])).mark_rule(color="var(--rule)").encode(x="zero:Q")
