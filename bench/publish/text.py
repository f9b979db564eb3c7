"""Numbers and names as people read them."""

import re
from math import isfinite

from markupsafe import Markup, escape

from bench.budget import Budget
from bench.discover import members
from bench.metrics.names import MetricName
from bench.publish.model import Estimate
from bench.words import MODALITIES, PARADIGM_TITLES

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
MODALITY_TITLES = {word: word.replace("-", " ").capitalize() for word in MODALITIES} | {
    "xray": "X-ray", "ct": "CT", "mri": "MRI", "oct": "OCT", "pet": "PET", "photo": "Photograph",
}  # fmt: skip


def number(value: float | None, digits: int = 3) -> str:
    """Fixed digits, a true minus sign, none before what rounds to zero, an en dash where there is no value.

    >>> number(0.12345), number(-0.5, 1), number(-0.0004), number(None)
    ('0.123', '−0.5', '0.000', '–')
    """
    if value is None or not isfinite(value):
        return DASH
    return f"{value:z.{digits}f}".replace("-", MINUS)


def between(e: Estimate | None, digits: int = 3) -> str:
    """The interval in words: "0.81 to 0.84"; empty where none is known."""
    if e is None or not isfinite(e.low) or not isfinite(e.high):
        return ""
    return f"{number(e.low, digits)} to {number(e.high, digits)}"


def span(low: int | None, high: int | None) -> str:
    """A range of ranks: "3–7", or "3" when both ends are the same."""
    if low is None or high is None:
        return DASH
    return str(low) if low == high else f"{low}{DASH}{high}"


def count(value: float | None) -> str:
    """A count with three significant figures and its SI letter.

    >>> count(85_800_000), count(1.75e10), count(512), count(None)
    ('85.8 M', '17.5 G', '512', '–')
    """
    if value is None or not value:
        return DASH
    for size, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g} {letter}"
    return f"{value:g}"


def digits(value: float) -> str:
    """Three significant figures, of what spans orders of magnitude.

    >>> digits(0.012345), digits(1.5), digits(1234.5)
    ('0.0123', '1.5', '1,234')
    """
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def modality(word: str) -> str:
    """Title of a modality."""
    return MODALITY_TITLES.get(word, word)


def metric(word: str) -> str:
    """Title of a metric, with its stratum in brackets.

    >>> metric("auroc"), metric("lesion_f1"), metric("dice[0.5-2%]"), metric("dice[contrast=low]")
    ('AUROC', 'Lesion F1', 'Dice (0.5–2 %)', 'Dice (contrast low)')
    """
    name, stratum = MetricName.read(word)
    known = members("bench.metrics.set", "METRIC").get(name)
    title = known.title if known else name[:1].upper() + name[1:].replace("_", " ")
    stratum = re.sub(r"(?<=\d)-(?=\d)", DASH, stratum).replace("%", " %").replace("=", " ")
    return f"{title} ({stratum})" if stratum else title


def labels(budget: str) -> str:
    """A label budget in words."""
    return Budget(budget).words


def paradigm(word: str) -> str:
    """Title of a paradigm."""
    return PARADIGM_TITLES.get(word, word)


def words(word: str) -> str:
    """A hyphenated word as prose."""
    return word.replace("-", " ").replace("+", " + ")


def quoted(words: str) -> Markup:
    """Plain text with what stands between backticks as code.

    >>> quoted("see `<x>` & more")
    Markup('see <code>&lt;x&gt;</code> &amp; more')
    """
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(words))))


_PAPER = re.compile(r"arXiv[: ](\d{4}\.\d{4,5})|\b(10\.\d{4,9}/[^\s,;()<>]+)", re.IGNORECASE)


def cited(words: str) -> Markup:
    """A citation whose papers are links, where it names them by arXiv number or DOI.

    >>> cited("He et al. 2022, arXiv 2111.06377")
    Markup('He et al. 2022, <a href="https://arxiv.org/abs/2111.06377" rel="noopener">arXiv 2111.06377</a>')
    """
    parts, end = [], 0
    for found in _PAPER.finditer(words):
        address = f"https://arxiv.org/abs/{found[1]}" if found[1] else f"https://doi.org/{found[2]}"
        parts += [
            escape(words[end : found.start()]),
            Markup('<a href="{}" rel="noopener">{}</a>').format(address, found[0]),
        ]
        end = found.end()
    return Markup("").join([*parts, escape(words[end:])])


def day(iso: str) -> str:
    """The date of an ISO 8601 time."""
    return iso[:10]
