"""What the evidence says about a claim."""

from __future__ import annotations

from typing import Any, Literal

from bench.analysis.claim import Claim
from bench.analysis.measurement import Measurement
from bench.encoders.card import Prose
from bench.strict import Strict

ALPHA = 0.05
Outcome = Literal["supported", "contradicted", "inconclusive"]


class Variant(Strict):
    """The same claim under another choice one could have made; not part of the verdict."""

    choice: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n_encoders: int = 0
    n_tasks: int = 0
    note: Prose = ""


class Verdict(Strict):
    """A claim, judged. Effects and intervals are in `measured_in`; p is two-sided; None where not computable."""

    id: str
    title: str
    statement: str
    family: Literal["confirmatory", "exploratory"]
    claim_sha256: str
    verdict: Outcome
    effect: float | None
    low: float | None
    high: float | None
    measured_in: str
    direction: Literal["positive", "negative"]
    margin: float
    p: float | None
    p_holm: float | None
    """Holm-adjusted over the confirmatory claims; for an exploratory claim equal to `p`."""
    n_encoders: int
    n_tasks: int
    groups: dict[str, int]
    """Encoders in each compared group."""
    unit: str
    reason: Prose
    """Why this verdict, in a sentence or two."""
    sensitivity: list[Variant]
    chart: list[dict[str, Any]]
    """Rows to draw: one an encoder (or source data set), with its group and value."""
    details: dict[str, Any]

    def __str__(self) -> str:
        effect = "-" if self.effect is None else f"{self.effect:+.2f}"
        interval = "" if self.low is None or self.high is None else f" [{self.low:+.2f}, {self.high:+.2f}]"
        p = "" if self.p_holm is None else f", p {self.p_holm:.3g}"
        return f"{self.id:4} {self.verdict:12} {effect}{interval} {self.measured_in}{p}: {self.title}"


def lacking(claim: Claim, found: Measurement) -> str | None:
    """How the evidence falls short of the claim's stated minimum, or None.

    >>> from bench.analysis.claim import read_ledger
    >>> lacking(read_ledger()[0], Measurement(1.0, n_encoders=6, n_tasks=20, n_modalities=8, groups={"a": 3}))
    '6 encoders of at least 8; 3 a encoders of at least 4'
    """
    least, short = claim.minimum, []
    if found.n_encoders < least.encoders:
        short.append(f"{found.n_encoders} encoders of at least {least.encoders}")
    for name, n in found.groups.items():
        if n < least.per_group:
            short.append(f"{n} {name} encoders of at least {least.per_group}")
    if found.n_tasks < least.tasks:
        short.append(f"{found.n_tasks} source data sets of at least {least.tasks}")
    if found.n_modalities < least.modalities:
        short.append(f"{found.n_modalities} modalities of at least {least.modalities}")
    return "; ".join(short) or None


def judge(claim: Claim, found: Measurement, p_holm: float | None) -> tuple[Outcome, str]:
    """Verdict and its reason.

    Supported: significant after correction, the sign as claimed, the interval on that side of zero.
    Contradicted: the same with the opposite sign, or an interval that rules out an effect of `margin` as claimed.
    Inconclusive: everything else, and always below the minimum evidence.
    """
    if short := lacking(claim, found):
        return "inconclusive", f"Too little evidence: {short}."
    if found.low is None or found.high is None or p_holm is None:
        return "inconclusive", "No interval can be computed from these results."
    sign = 1.0 if claim.direction == "positive" else -1.0
    low, high = sorted((sign * found.low, sign * found.high))
    significant = p_holm < ALPHA
    if significant and found.one_sided_above and low >= 0 and sign > 0 and found.effect > 0:
        return "supported", f"The spread is more than chance (p {p_holm:.3g})."
    if significant and low > 0:
        return "supported", f"Significant (p {p_holm:.3g}) with the claimed sign, and the interval excludes zero."
    if significant and high < 0:
        return "contradicted", f"Significant (p {p_holm:.3g}) with the opposite sign."
    if high < claim.margin:
        return "contradicted", f"The interval leaves no room for an effect of {claim.margin:g} as claimed."
    if significant:
        return (
            "inconclusive",
            "The permutation test is significant, but the interval over encoders and tasks holds zero.",
        )
    return (
        "inconclusive",
        f"Not significant (p {p_holm:.3g}), and the interval does not rule out an effect of {claim.margin:g}.",
    )
