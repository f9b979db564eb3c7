"""Judge every claim of the ledger on a table of results."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.analysis.claim import Claim, read_ledger
from bench.analysis.measurement import Effort, Estimand, Measurement, NotEnough
from bench.analysis.sensitivity import variants
from bench.analysis.table import counted
from bench.analysis.verdict import Variant, Verdict, judge
from bench.discover import members, pick


def evaluate(
    frame: pd.DataFrame,
    claims: Sequence[Claim] | None = None,
    *,
    diagnostics: pd.DataFrame | None = None,
    effort: Effort | None = None,
    sensitivity: bool = True,
) -> list[Verdict]:
    """One verdict a claim, in ledger order, on any long table (bench.leaderboard.frame.COLUMNS).

    claims: default the shipped ledger. diagnostics: one row an encoder (see `bench.analysis.diagnostics`).
    Clinical and phantom results are never mixed: a table that holds both is judged on the clinical ones, and the
    phantoms are a sensitivity choice. Deterministic: same table, same verdicts.
    """
    claims, effort = read_ledger() if claims is None else claims, effort or Effort()
    frame = counted(frame)
    main = _one_world(frame)
    found = {c.id: _measure(c, main, effort, diagnostics) for c in claims}
    holm = _holm({c.id: found[c.id] for c in claims if c.family == "confirmatory"})
    light = Effort(min(2000, effort.permutations), min(500, effort.resamples), effort.seed)
    return [
        _verdict(c, found[c.id], holm, _sensitivity(c, frame, main, light, diagnostics) if sensitivity else [])
        for c in claims
    ]


def estimand_of(claim: Claim, **changes: object) -> Estimand:
    """The estimand a claim's `test` names, with its settings. Raises UserError, CardError."""
    child = pick(members("bench.analysis.estimands", "ESTIMAND"), claim.test, what="test", where=claim.id)
    return child.parse({**claim.settings, **changes}, where=f"claim {claim.id} settings")


def _one_world(frame: pd.DataFrame) -> pd.DataFrame:
    synthetic = frame["synthetic"].astype(bool)
    return frame[~synthetic] if (~synthetic).any() else frame


def _measure(claim: Claim, frame: pd.DataFrame, effort: Effort, diagnostics, **changes) -> Measurement | str:
    estimand = estimand_of(claim, **changes)
    try:
        found = estimand.measure(frame, effort, diagnostics)
    except NotEnough as lack:
        return str(lack)
    return found if np.isfinite(found.effect) else "no effect can be computed"


def _holm(found: dict[str, Measurement | str]) -> dict[str, float]:
    """Holm-adjusted p of each confirmatory claim; one that cannot be computed counts as p = 1."""
    ids = list(found)
    p = np.array([m.p if isinstance(m, Measurement) and m.p is not None else 1.0 for m in found.values()])
    order = np.argsort(p)
    adjusted = np.minimum(1.0, np.maximum.accumulate((len(p) - np.arange(len(p))) * p[order]))
    return {ids[i]: float(a) for i, a in zip(order, adjusted, strict=True)}


def _sensitivity(
    claim: Claim, everything: pd.DataFrame, main: pd.DataFrame, effort: Effort, diagnostics
) -> list[Variant]:
    out = []
    for choice, frame, changes in variants(claim, everything, main):
        found = _measure(claim, frame, effort, diagnostics, **changes)
        if isinstance(found, str):
            out.append(Variant(choice=choice, note=found))
        else:
            out.append(
                Variant(
                    choice=choice,
                    effect=found.effect,
                    low=found.low,
                    high=found.high,
                    p=found.p,
                    n_encoders=found.n_encoders,
                    n_tasks=found.n_tasks,
                )
            )
    return out


def _verdict(claim: Claim, found: Measurement | str, holm: dict[str, float], sensitivity: list[Variant]) -> Verdict:
    if isinstance(found, str):
        outcome, reason = "inconclusive", f"Cannot be measured here: {found}."
        found = Measurement(effect=float("nan"))
    else:
        p = holm.get(claim.id, found.p) if found.p is not None else None
        outcome, reason = judge(claim, found, p)
    return Verdict(
        id=claim.id,
        title=claim.title,
        statement=claim.statement.strip(),
        family=claim.family,
        claim_sha256=claim.sha256,
        verdict=outcome,
        effect=found.effect if np.isfinite(found.effect) else None,
        low=found.low,
        high=found.high,
        measured_in=claim.measured_in,
        direction=claim.direction,
        margin=claim.margin,
        p=found.p,
        p_holm=holm.get(claim.id, found.p) if found.p is not None else None,
        n_encoders=found.n_encoders,
        n_tasks=found.n_tasks,
        groups=found.groups,
        unit=claim.unit,
        reason=reason,
        sensitivity=sensitivity,
        chart=found.chart,
        details=found.details,
    )
