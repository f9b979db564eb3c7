"""Small inline pictures for table rows: no script, no style attribute, a text for those who do not see them."""

from collections.abc import Iterable, Mapping, Sequence
from math import isfinite, log10

from markupsafe import Markup, escape

from bench.publish.cases import ALARM, FOUND, MISSED, OUTLINES
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
        f'<circle cx="{_x(e.value, low, high)}" cy="7" r="2.5"/></svg>'
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
    text = ", ".join(f"{f:.0%}: {e.value:z.3f}" for f, e in points)
    return Markup(
        f'<svg class="lc" viewBox="0 0 72 22" role="img" aria-label="Score by share of labels: {text}">'
        f'<polygon points="{band}"/><polyline points="{line}"/></svg>'
    )


def ticks(values: Iterable[float], low: float, high: float) -> Markup:
    """Path of one thin tick a value on [low, high], one at most for each of 240 pixels; for `strip`."""
    places = sorted({round(_share(v, low, high) * 232) + 4 for v in values if isfinite(v)})
    return Markup("".join(f"M{x} 3v12" for x in places))


def strip(path: Markup, low: float, high: float, *, mine: float) -> Markup:
    """A field of values (`ticks`) as thin lines and one's own as a dot, 240 x 18."""
    return Markup(
        f'<svg class="strip" viewBox="0 0 240 18" aria-hidden="true"><path d="{path}"/>'
        f'<circle cx="{4 + 232 * _share(mine, low, high):.0f}" cy="9" r="4"/></svg>'
    )


def _share(value: float, low: float, high: float) -> float:
    return min(1.0, max(0.0, (value - low) / (high - low))) if high > low else 0.5


def _x(value: float, low: float, high: float) -> str:
    return f"{4 + (WIDTH - 8) * _share(value, low, high):.1f}"


def _y(value: float, low: float, high: float) -> float:
    return round(20 - 18 * _share(value, low, high), 1)


_SHAPES = {
    "contrastive": '<circle cx="8" cy="8" r="5.5"/>',
    "predictive": '<path d="M8 2l6.5 11.5h-13z"/>',
    "generative": '<path d="M3 3h10v10H3z"/>',
    "hybrid": '<path d="M8 1.5L14.5 8 8 14.5 1.5 8z"/>',
    "reference": '<path d="M3.5 3.5l9 9m0-9l-9 9"/>',
    "unknown": '<circle cx="8" cy="8" r="2"/>',
}
_GLYPHS = {
    paradigm: Markup(f'<svg class="glyph {paradigm}" viewBox="0 0 16 16" aria-hidden="true">{shape}</svg>')
    for paradigm, shape in _SHAPES.items()
}
_BADGES = {b: Markup(f'<span class="badge {b}">{b.title()}</span>') for b in ("declared", "rescored", "reproduced")}
_STATES = {
    state: Markup(f'<span class="contam {state}">{word}</span>')
    for state, word in (("yes", "contaminated"), ("no", "clean"), ("unknown", "not disclosed"))
}


def glyph(paradigm: str) -> Markup:
    """The shape of a paradigm: colour never stands alone."""
    return _GLYPHS[paradigm]


def outline_key(classes: Sequence[str]) -> Markup:
    """The colour of each class of a mask, as `bench.publish.cases.outline` draws it; the background has none."""
    colours = (OUTLINES[k % len(OUTLINES)] for k in range(len(classes) - 1))
    return Markup("").join(
        Markup('<span><svg class="glyph" viewBox="0 0 16 16" aria-hidden="true">'
               '<path fill="#{:02x}{:02x}{:02x}" d="M2 2h12v12H2z"/></svg>{}</span> ').format(*colour, escape(name))
        for name, colour in zip(classes[1:], colours, strict=True)
    )  # fmt: skip


def agreement_key() -> Markup:
    """What the marks of `bench.publish.cases.agreement` mean, as they are drawn there."""
    marks = (
        (FOUND, "found", '<path opacity=".5" d="M1 1h14v14H1z"/>'),
        (MISSED, "missed", '<path d="M1 5l4-4h4L1 9zM1 13L13 1h2v2L3 15H1zM7 15l8-8v4l-4 4z"/>'),
        (ALARM, "false alarm", '<path d="M1 1h4v4H1zM9 1h4v4H9zM1 9h4v4H1zM9 9h4v4H9z"/>'),
    )
    return Markup("").join(
        Markup('<span><svg class="glyph" viewBox="0 0 16 16" aria-hidden="true"><g fill="#{:02x}{:02x}{:02x}">{}</g>'
               "</svg>{}</span> ").format(*colour, Markup(shape), word)
        for colour, word, shape in marks
    )  # fmt: skip


def badge(word: str) -> Markup:
    """A trust state as a small label."""
    return _BADGES[word]


def contamination(state: str) -> Markup:
    """Whether a cell is clean, contaminated or unknown, as a small label."""
    return _STATES[state]


def state(tasks: Mapping[str, str]) -> str:
    """What a row says of contamination, from the states of its tasks: the worst that is known.

    >>> state({"a": "no"}), state({"a": "no", "b": "yes"}), state({"a": "unknown", "b": "no"}), state({})
    ('no', 'yes', 'unknown', 'no')
    """
    return next((word for word in ("yes", "unknown") if word in tasks.values()), "no")


def seen(tasks: Mapping[str, str]) -> Markup:
    """The state of a row as a small label, with the number of contaminated tasks."""
    worst, contaminated = state(tasks), sum(word == "yes" for word in tasks.values())
    word = {"no": "clean", "unknown": "not disclosed", "yes": f"{contaminated} of {len(tasks)} tasks"}[worst]
    return Markup(f'<span class="contam {worst}">{word}</span>')
