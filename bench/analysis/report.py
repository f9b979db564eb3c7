"""Everything the analyses say about one table of results, as plain data."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.agreement import concordance, tau_matrix
from bench.analysis.claim import Claim
from bench.analysis.diagnostics.foretell import foretelling
from bench.analysis.efficiency import label_efficiency
from bench.analysis.evaluate import evaluate
from bench.analysis.measurement import NotEnough
from bench.analysis.mixed import fit_paradigm_by_kind
from bench.analysis.regret import regret_table
from bench.analysis.table import counted
from bench.analysis.variance import variance_shares
from bench.analysis.verdict import Verdict
from bench.recipes import FROZEN


def _variance(rows: pd.DataFrame, protocol: str) -> dict[str, Any]:
    return asdict(variance_shares(rows, (protocol,)))


def analyse(
    frame: pd.DataFrame, claims: Sequence[Claim] | None = None, *, diagnostics: pd.DataFrame | None = None
) -> dict[str, Any]:
    """Verdicts, variance shares, mixed model, rank agreement, label efficiency, the advisor's regret, and how well
    each of the diagnostics orders encoders by Global and Dense.

    claims: default the shipped ledger. JSON-ready; a part that these results do not allow is {"missing": why}.
    """
    verdicts = evaluate(frame, claims, diagnostics=diagnostics)
    rows = counted(frame)
    clinical = rows[~rows["synthetic"].astype(bool)]
    rows = clinical if len(clinical) else rows
    return {
        "verdicts": [v.model_dump(mode="json") for v in verdicts],
        "variance": {k: _part(partial(_variance, rows, p)) for k, p in FROZEN.items()},
        "mixed_model": _part(lambda: asdict(fit_paradigm_by_kind(rows))),
        "concordance": {k: _part(partial(concordance, rows, [p])) for k, p in FROZEN.items()},
        "tau_by_modality": _part(lambda: _square(tau_matrix(rows, "modality", list(FROZEN.values())))),
        "tau_by_protocol": _part(
            lambda: _square(tau_matrix(rows, "protocol", sorted(set(rows["protocol"].astype(str)))))
        ),
        "label_efficiency": _part(lambda: _plain(label_efficiency(rows, tuple(FROZEN.values())))),
        "advisor_regret": _part(lambda: [_finite(asdict(r)) for r in regret_table(rows)]),
        "foretelling": [] if diagnostics is None else _plain(foretelling(rows, diagnostics)),
    }


def charts(frame: pd.DataFrame, found: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(name, Altair chart) of every picture these results allow. found: what `analyse` returned."""
    from bench.analysis import pictures

    drawn: dict[str, Callable[[], Any]] = {
        "verdicts": lambda: pictures.verdicts([Verdict.model_validate(v) for v in found["verdicts"]]),
        "plane": lambda: pictures.plane(frame),
        "label-curves": lambda: pictures.curves(frame),
        "strata": lambda: pictures.by_stratum(frame),
        "modality": lambda: pictures.modality_map(frame),
        "pareto": lambda: pictures.pareto(frame),
        **{f"critical-difference-{k}": partial(pictures.critical_difference, frame, p) for k, p in FROZEN.items()},
    }
    for name, draw in drawn.items():
        chart = _part(draw)
        if not isinstance(chart, dict):
            yield name, chart


def _part(compute: Callable[[], Any]) -> Any:
    try:
        return compute()
    except NotEnough as lack:
        return {"missing": str(lack)}


def _square(table: pd.DataFrame) -> dict[str, dict[str, float | None]]:
    return {str(name): _finite(row) for name, row in table.to_dict("index").items()}


def _plain(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [_finite(row) for row in table.to_dict("records")]


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    return {k: None if isinstance(v, float) and not np.isfinite(v) else v for k, v in row.items()}
