"""Small inline pictures for table rows: no script, no style attribute, a text for those who do not see them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, log10

from markupsafe import Markup

from bench.publish.model import Estimate

WIDTH = 120


def interval(e: Estimate, low: float = 0.0, high: float = 1.0, *, marks: Sequence[tuple[str, float]] = ()) -> Markup:
    """A dot with its 95 % interval on the axis [low, high], 120 x 14; `marks` are thin lines (class, value)."""
    if not isfinite(e.value):
        return Markup("")
    lines = "".join(f'<path class="{c}" d="M{_x(v, low, high)} 1v12"/>' for c, v in marks if isfinite(v))
    bar = f'<path d="M{_x(e.low, low, high)} 7H{_x(e.high, low, high)}"/>' if isfinite(e.low) else ""
    return Markup(
        f'<svg class="iv" viewBox="0 0 {WIDTH} 14" aria-hidden="true">{lines}{bar}'
        f'<circle cx="{_x(e.value, low, high)}" cy="7" r="3"/></svg>'
    )


def difference(e: Estimate, reach: float) -> Markup:
    """An interval on the axis [-reach, reach] with a line at zero."""
    return interval(e, -reach, reach, marks=[("zero", 0.0)])


def curve(points: Sequence[tuple[float, Estimate]], low: float, high: float) -> Markup:
    """Score against the label fraction (log axis) with its band, 72 x 22."""
    points = [(f, e) for f, e in points if isfinite(e.value)]
    if len(points) < 2:
        return Markup("")
    first = log10(points[0][0])
    xs = [round(2 + 68 * (log10(f) - first) / (log10(points[-1][0]) - first), 1) for f, _ in points]
    ys = [[_y(v if isfinite(v) else e.value, low, high) for v in (e.value, e.low, e.high)] for _, e in points]
    band = " ".join(f"{x:g},{y[2]:g}" for x, y in zip(xs, ys, strict=True)) + " "
    band += " ".join(f"{x:g},{y[1]:g}" for x, y in list(zip(xs, ys, strict=True))[::-1])
    line = " ".join(f"{x:g},{y[0]:g}" for x, y in zip(xs, ys, strict=True))
    text = ", ".join(f"{f:.0%}: {e.value:.3f}" for f, e in points)
    return Markup(
        f'<svg class="lc" viewBox="0 0 72 22" role="img" aria-label="Score by share of labels: {text}">'
        f'<polygon points="{band}"/><polyline points="{line}"/></svg>'
    )


def strip(values: Sequence[float], low: float, high: float, *, mine: float | None = None) -> Markup:
    """Every value as a thin tick on [low, high], 240 x 18; `mine` as a dot."""
    ticks = "".join(f"M{_x(v, low, high, 240)} 3v12" for v in values if isfinite(v))
    dot = "" if mine is None or not isfinite(mine) else f'<circle cx="{_x(mine, low, high, 240)}" cy="9" r="4"/>'
    return Markup(f'<svg class="strip" viewBox="0 0 240 18" aria-hidden="true"><path d="{ticks}"/>{dot}</svg>')


def _x(value: float, low: float, high: float, width: int = WIDTH) -> str:
    share = (value - low) / (high - low) if high > low else 0.5
    return f"{4 + (width - 8) * min(1.0, max(0.0, share)):.1f}".removesuffix(".0")


def _y(value: float, low: float, high: float) -> float:
    share = (value - low) / (high - low) if high > low else 0.5
    return round(20 - 18 * min(1.0, max(0.0, share)), 1)
