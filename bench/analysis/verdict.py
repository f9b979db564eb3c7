"""What the evidence says about a claim."""

from collections.abc import Mapping
from typing import Any, Literal

from bench.analysis.claim import Claim
from bench.analysis.measurement import Measurement
from bench.strict import Prose, Strict

ALPHA = 0.05
Outcome = Literal["supported", "contradicted", "inconclusive", "not measured"]


class Variant(Strict):
    """The same claim under another choice one could have made; not part of the verdict."""

    choice: str
    part: str = ""
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    n_encoders: int = 0
    n_tasks: int = 0
    note: Prose = ""


class ClaimPart(Strict):
    """One of the things a claim says; p is one-sided."""

    name: str
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    groups: dict[str, int] = {}
    n_tasks: int = 0
    chart: list[dict[str, Any]] = []

    def __str__(self) -> str:
        return f"{self.name}: {_numbers(self.effect, self.low, self.high)}, one-sided p {self.p:.3g}"


class Verdict(Strict):
    """A claim, judged. Effects and intervals are in `measured_in`; None where not measured.

    Of a claim with parts, `effect` and what follows it are of the part with the least evidence, p one-sided.
    """

    id: str
    title: str
    statement: str
    ledger: int
    """Version of the ledger the claim stands in."""
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
    parts: list[ClaimPart]
    """What the claim says one by one, where it says several things."""
    reason: Prose
    """Why this verdict, in a sentence or two."""
    sensitivity: list[Variant]
    chart: list[dict[str, Any]]
    """Rows to draw: one an encoder (or source data set), with its group and value."""
    details: dict[str, Any]

    def __str__(self) -> str:
        numbers = f" {_numbers(self.effect, self.low, self.high)} {self.measured_in}" if not self.parts else ""
        numbers = "" if self.effect is None else numbers
        p = "" if self.p_holm is None else f", p {self.p_holm:.3g}"
        return f"{self.id:4} {self.verdict:12}{numbers}{p}: {self.title}"


def signed(value: float) -> str:
    """Two digits and the sign; none before what rounds to zero.

    >>> signed(0.456), signed(-0.5), signed(-0.004), signed(0.004)
    ('+0.46', '-0.50', '0.00', '0.00')
    """
    return f"{value:+.2f}" if abs(value) >= 0.005 else "0.00"


def _numbers(effect: float | None, low: float | None, high: float | None) -> str:
    said = "-" if effect is None else signed(effect)
    return said if low is None or high is None else f"{said} [{signed(low)}, {signed(high)}]"


def lacking(claim: Claim, found: Measurement) -> str | None:
    """How the evidence falls short of the claim's stated minimum, or None.

    >>> from bench.analysis.claim import read_ledger
    >>> lacking(read_ledger()[0], Measurement(1.0, n_encoders=6, n_tasks=20, n_modalities=8, groups={"a": 3}))
    '6 encoders where 8 are needed, 3 a encoders where 4 are needed'
    """
    least, short = claim.minimum, []
    if found.n_encoders < least.encoders:
        short.append(f"{found.n_encoders} encoders where {least.encoders} are needed")
    for name, n in found.groups.items():
        if n < least.per_group:
            short.append(f"{n} {name} encoder{'s' * (n != 1)} where {least.per_group} are needed")
    if found.n_tasks < least.tasks:
        short.append(f"{found.n_tasks} data sets where {least.tasks} are needed")
    if found.n_modalities < least.modalities:
        short.append(f"{found.n_modalities} modalities where {least.modalities} are needed")
    return ", ".join(short) or None


def judge(claim: Claim, found: Mapping[str, Measurement], p: float | None) -> tuple[Outcome, str]:
    """Verdict and its reason; found: part of the claim -> what was measured; p: after correction.

    Not measured: below the minimum evidence. Supported: p below 0.05, and the 95 % interval of every part on the
    claimed side of zero. Contradicted: the interval of some part leaves no room for an effect of `margin` as claimed.
    Inconclusive: everything else.
    """
    if short := "; ".join(
        f"{name}: {why}".removeprefix(": ") for name, m in found.items() if (why := lacking(claim, m))
    ):
        return "not measured", f"Too little evidence: {short}."
    if p is None or any(m.low is None or m.high is None for m in found.values()):
        return "not measured", "No interval can be computed from these results."
    spans = {name: _claimed(claim, m) for name, m in found.items()}
    reasons = [f"{name[:1].upper()}{name[1:]}: {_reading(claim, *span)}" if name else _reading(claim, *span)
               for name, span in spans.items()]  # fmt: skip
    if any(high < claim.margin and low <= 0 for low, high in spans.values()):
        outcome: Outcome = "contradicted"
    elif all(low > 0 for low, _ in spans.values()):
        outcome = "supported" if p < ALPHA else "inconclusive"
        reasons.append(f"After correction for the number of claims p is {p:.2g}." if p >= ALPHA else f"p {p:.2g}.")
    else:
        outcome = "inconclusive"
    return outcome, " ".join([*reasons, *map(_disagreement, found.values())]).strip()


def one_sided(claim: Claim, found: Measurement) -> float | None:
    """p of an effect of zero against one of the claimed sign, from the two-sided p."""
    if found.p is None:
        return None
    claimed = (found.effect > 0) == (claim.direction == "positive")
    return found.p / 2 if claimed else 1 - found.p / 2


def _claimed(claim: Claim, found: Measurement) -> tuple[float, float]:
    """The interval with its sign turned so that the claim is positive."""
    sign = 1.0 if claim.direction == "positive" else -1.0
    assert found.low is not None
    assert found.high is not None
    low, high = sorted((sign * found.low, sign * found.high))
    return low, high


def _reading(claim: Claim, low: float, high: float) -> str:
    """What an interval says, with the claim positive."""
    matter = f"{claim.margin:g} {claim.measured_in}".replace("1 score points", "1 score point", claim.margin == 1)
    if low > 0:
        small = f", though less than the {matter} that would matter" if high < claim.margin else ""
        return f"the interval lies on the claimed side of zero{small}."
    if high < 0:
        return "the interval lies on the other side of zero."
    if high < claim.margin:
        return (
            f"the interval leaves no room for the {matter} that would matter; less, or nothing, it does not tell apart."
        )
    return f"the interval holds zero as well as the {matter} that would matter."


def _disagreement(found: Measurement) -> str:
    """The effect in each stratum, where strata differ in sign."""
    strata = found.details.get("by_stratum", [])
    if len({s["effect"] > 0 for s in strata}) < 2:
        return ""
    said = ", ".join(f"{signed(s['effect'])} in {s['stratum']} ({s['encoders']} encoders)" for s in strata)
    return f"Strata differ in sign: {said}."
