"""One look for every picture: Okabe and Ito's colour-blind-safe colours, and a shape for each paradigm."""

import re
from functools import partial
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from bench.files import write_atomic
from bench.words import PARADIGM_TITLES, PARADIGMS

COLOURS = {
    "contrastive": "#0072B2", "predictive": "#E69F00", "generative": "#009E73", "hybrid": "#CC79A7",
    "reference": "#666666",
}  # fmt: skip
SHAPES = {
    "contrastive": "circle", "predictive": "triangle-up", "generative": "square", "hybrid": "diamond",
    "reference": "cross",
}  # fmt: skip


def titled(paradigm: Any) -> str:
    """A paradigm as it is written on pictures."""
    return PARADIGM_TITLES.get(str(paradigm), str(paradigm))


def colour() -> alt.Color:
    """Colour by paradigm title."""
    domain = [titled(p) for p in PARADIGMS]
    return alt.Color("paradigm:N", scale=alt.Scale(domain=domain, range=[COLOURS[p] for p in PARADIGMS]), title=None)


def shape() -> alt.Shape:
    """Shape by paradigm title."""
    domain = [titled(p) for p in PARADIGMS]
    return alt.Shape("paradigm:N", scale=alt.Scale(domain=domain, range=[SHAPES[p] for p in PARADIGMS]), title=None)


def styled(chart: alt.TopLevelMixin) -> alt.TopLevelMixin:
    """The chart with the shared fonts, grid and legend."""
    return (
        chart.configure_view(stroke=None)
        .configure_axis(labelFontSize=12, titleFontSize=12, titleFontWeight=500, gridColor="#e6e6e6", labelLimit=260)
        .configure_legend(orient="top", labelFontSize=12, symbolSize=90, symbolOpacity=1, columns=3, labelLimit=260)
        .configure_header(labelFontSize=12, titleFontSize=12)
    )


def save(chart: alt.TopLevelMixin, path: Path) -> None:
    """Write a chart as .svg, or as .png at twice its size."""
    spec = chart.to_dict()
    if path.suffix == ".svg":
        write_atomic(path, _numbered(vl_convert.vegalite_to_svg(spec)))
    else:
        write_atomic(path, vl_convert.vegalite_to_png(spec, scale=2))


def _renamed(kind: str, order: dict[str, str], found: re.Match[str]) -> str:
    return kind + order[found[1]]


def _numbered(svg: str) -> str:
    """Identifiers counted from the start of the picture: Vega counts them through a process, so bytes would differ."""
    for kind in ("gradient_", "clip"):
        order = {name: str(i) for i, name in enumerate(dict.fromkeys(re.findall(rf"\b{kind}(\d+)\b", svg)))}
        svg = re.sub(rf"\b{kind}(\d+)\b", partial(_renamed, kind, order), svg)
    return svg
