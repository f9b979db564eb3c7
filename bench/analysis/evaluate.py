"""Judge every claim of the ledger on a table of results."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.analysis.claim import Claim, read_ledger, read_note
from bench.analysis.measurement import Estimand, Measurement, NotEnough
from bench.analysis.sensitivity import Rows, Settings, settings, variants
from bench.analysis.table import counted, without_succeeded
from bench.analysis.verdict import ClaimPart, Outcome, Variant, Verdict, judge, lacking, one_sided
from bench.discover import members, pick
from bench.metrics.names import MetricName
from bench.metrics.uncertainty import holm

Found = dict[str, Measurement | str]


def evaluate(
    frame: pd.DataFrame,
    claims: Sequence[Claim] | None = None,
    *,
    diagnostics: pd.DataFrame | None = None,
    sensitivity: bool = True,
) -> list[Verdict]:
    """One verdict a claim, in ledger order, on any long table (bench.leaderboard.frame.COLUMNS).

    claims: default the shipped ledger. diagnostics: one row an encoder (see `bench.analysis.diagnostics`).
    Clinical and phantom results are never mixed: a table that holds both is judged on the clinical ones, and the
    phantoms are a sensitivity choice. Deterministic: same table, same verdicts.
    """
    claims = read_ledger() if claims is None else claims
    frame = counted(frame[frame["primary"] | frame["metric"].isin(_of_lesions(frame))], repeats=True)
    frame = without_succeeded(frame, read_note().succeeded)
    main = _one_world(frame)
    found = {c.id: _measure(c, main, diagnostics) for c in claims}
    adjusted = _adjusted({c.id: _p(c, found[c.id]) for c in claims if c.family == "confirmatory"})
    shared = list(variants(frame, main)) if sensitivity else []
    more = {c.id: _sensitivity(c, shared, main, diagnostics) if sensitivity else [] for c in claims}
    return [_verdict(c, found[c.id], adjusted, more[c.id]) for c in claims]


def estimand_of(claim: Claim, part: str | None = None, **changes: object) -> Estimand:
    """The estimand a claim's `test` names, with the settings of a part (default: its first).

    Raises UserError, CardError.
    """
    child = pick(members("bench.analysis.estimands", "ESTIMAND"), claim.test, what="test", where=claim.id)
    settings = next(iter(claim.asked.values())) if part is None else claim.asked[part]
    return child.parse({**settings, **changes}, where=f"claim {claim.id} settings")


def _of_lesions(frame: pd.DataFrame) -> list[str]:
    """Metrics by size or contrast of the lesion: beside the primary ones all that estimands read."""
    return [name for name in frame["metric"].unique() if MetricName.read(name).stratum]


def _one_world(frame: pd.DataFrame) -> pd.DataFrame:
    synthetic = frame["synthetic"].astype(bool)
    return frame[~synthetic] if (~synthetic).any() else frame


def _measure(claim: Claim, frame: pd.DataFrame, diagnostics: pd.DataFrame | None) -> Found:
    """Part -> what was measured, or why it cannot be."""
    return {part: _measure_part(estimand_of(claim, part), frame, diagnostics) for part in claim.asked}


def _measure_part(estimand: Estimand, frame: pd.DataFrame, diagnostics: pd.DataFrame | None) -> Measurement | str:
    try:
        found = estimand.measure(frame if estimand.repeats else frame[frame["repeat_of"].isna()], diagnostics)
    except NotEnough as lack:
        return str(lack)
    return found if np.isfinite(found.effect) else "no effect can be computed"


def _p(claim: Claim, found: Found) -> float | None:
    """p of the claim: of one that says several things, the largest one-sided p (each must hold); None: not measured."""
    measured = [m for m in found.values() if isinstance(m, Measurement) and lacking(claim, m) is None]
    ps = [one_sided(claim, m) if claim.parts else m.p for m in measured]
    known = [p for p in ps if p is not None]
    return max(known) if len(known) == len(found) else None


def _adjusted(found: dict[str, float | None]) -> dict[str, float | None]:
    """Holm-adjusted p of each confirmatory claim; one that is not measured counts as p = 1, and has none itself."""
    adjusted = holm(np.array([1.0 if p is None else p for p in found.values()]))
    return {name: None if found[name] is None else float(p) for name, p in zip(found, adjusted, strict=True)}


def _sensitivity(
    claim: Claim, shared: Sequence[Rows], main: pd.DataFrame, diagnostics: pd.DataFrame | None
) -> list[Variant]:
    out = []
    as_asked: Settings = {part: {} for part in claim.asked}
    choices = [(words, frame, as_asked) for words, frame in shared]
    choices += [(words, main, changes) for words, changes in settings(claim, main)]
    for choice, frame, changes in choices:
        for part, new in changes.items():
            m = _measure_part(estimand_of(claim, part, **new), frame, diagnostics)
            if isinstance(m, str):
                out.append(Variant(choice=choice, part=part, note=m))
            else:
                out.append(Variant(
                    choice=choice, part=part, effect=m.effect, low=m.low, high=m.high, p=m.p,
                    n_encoders=m.n_encoders, n_tasks=m.n_tasks,
                ))  # fmt: skip
    return out


def _verdict(claim: Claim, found: Found, adjusted: dict[str, float | None], sensitivity: list[Variant]) -> Verdict:
    p = _p(claim, found)
    corrected = adjusted.get(claim.id, p)
    missing = {part: why for part, why in found.items() if isinstance(why, str)}
    measured = {part: m for part, m in found.items() if isinstance(m, Measurement)}
    if missing:
        said = "; ".join(f"{part}: {why}".removeprefix(": ") for part, why in missing.items())
        outcome: Outcome
        outcome, reason = "not measured", f"These results cannot say: {said}."
    else:
        outcome, reason = judge(claim, measured, corrected)
    there = outcome != "not measured"
    main = max(measured.values(), key=lambda m: one_sided(claim, m) or 0.0) if there else Measurement(float("nan"))
    return Verdict(
        id=claim.id,
        title=claim.title,
        statement=claim.statement.strip(),
        ledger=read_note().version,
        family=claim.family,
        claim_sha256=claim.sha256,
        verdict=outcome,
        effect=main.effect if there else None,
        low=main.low,
        high=main.high,
        measured_in=claim.measured_in,
        direction=claim.direction,
        margin=claim.margin,
        p=p,
        p_holm=corrected,
        n_encoders=main.n_encoders,
        n_tasks=main.n_tasks,
        groups=main.groups,
        parts=[_part(claim, part, m) for part, m in measured.items()] if there and claim.parts else [],
        reason=reason[:1].upper() + reason[1:],
        sensitivity=sensitivity if there else [],
        chart=main.chart,
        details=main.details,
    )


def _part(claim: Claim, name: str, found: Measurement) -> ClaimPart:
    return ClaimPart(
        name=name, effect=found.effect, low=found.low, high=found.high, p=one_sided(claim, found),
        groups=found.groups, n_tasks=found.n_tasks, chart=found.chart,
    )  # fmt: skip
