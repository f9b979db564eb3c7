"""The linear mixed model beside the tests of the claims: paradigm x kind with crossed random effects."""

import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from statsmodels.regression.mixed_linear_model import MixedLM

from bench.analysis.measurement import NotEnough
from bench.analysis.table import pick
from bench.recipes import FROZEN

CONTRAST = ("contrastive", "generative")


@dataclass(frozen=True)
class MixedFit:
    """Contrast (contrastive - generative | global) - (contrastive - generative | dense) in score points, with a Wald
    95 % interval.

    `variances`: share of the random variance by encoder, task, encoder x kind and residual. Reported beside the
    test of H1: with few encoders a Wald interval is too narrow.
    """

    contrast: float
    low: float
    high: float
    p: float
    n_encoders: int
    n_tasks: int
    n_rows: int
    converged: bool
    variances: dict[str, float]


def fit_paradigm_by_kind(frame: pd.DataFrame) -> MixedFit:
    """score ~ paradigm * kind + log10(parameters) + (1|encoder) + (1|task) + (1|encoder:kind), by REML.

    The column of parameters is left out when they do not vary. Raises NotEnough.
    """
    rows = pick(frame, list(FROZEN.values()))
    rows = rows.groupby(["encoder", "task", "kind", "paradigm"], observed=True).agg(
        score=("score", "mean"), parameters=("parameters", "first")
    ).reset_index()  # fmt: skip
    paradigms = sorted(rows["paradigm"].astype(str).unique())
    if not {*CONTRAST} <= {*paradigms} or rows["kind"].nunique() < 2:
        raise NotEnough(f"{' and '.join(CONTRAST)} encoders on global and dense tasks are needed")
    design, contrast = _design(rows, paradigms)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a variance at its edge (0) is an answer, told through `converged`
        model = MixedLM(
            100 * rows["score"].to_numpy(float), design, groups=np.ones(len(rows)), exog_re=None,
            exog_vc=_components(rows),
        )  # fmt: skip
        fit = model.fit(reml=True, method=["lbfgs", "powell"])
    test = fit.t_test(contrast[None])
    low, high = test.conf_int()[0]
    variances = dict(zip(["encoder", "encoder x kind", "task"], map(float, fit.vcomp), strict=True))
    variances["residual"] = float(fit.scale)
    total = sum(variances.values())
    return MixedFit(
        float(test.effect[0]), float(low), float(high), float(test.pvalue), rows["encoder"].nunique(),
        rows["task"].nunique(), len(rows), bool(fit.converged), {k: v / total for k, v in variances.items()},
    )  # fmt: skip


def _design(rows: pd.DataFrame, paradigms: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """One column a paradigm x kind cell, then log10 of the parameters; and the weights of the contrast."""
    columns, contrast = [], []
    for paradigm in paradigms:
        for kind in ("global", "dense"):
            columns.append((rows["paradigm"] == paradigm) & (rows["kind"] == kind))
            sign = (paradigm == CONTRAST[0]) - (paradigm == CONTRAST[1])
            contrast.append(float(sign if kind == "global" else -sign))
    size = np.log10(rows["parameters"].to_numpy(float).clip(1))
    if np.ptp(size) > 0:
        columns.append(size - size.mean())
        contrast.append(0.0)
    return np.column_stack(columns).astype(float), np.array(contrast)


def _components(rows: pd.DataFrame):
    from statsmodels.regression.mixed_linear_model import VCSpec

    encoder, kind = rows["encoder"].astype(str), rows["kind"].astype(str)
    labels = {"encoder": encoder, "encoder x kind": encoder + "|" + kind, "task": rows["task"].astype(str)}
    matrices = [pd.get_dummies(v).to_numpy(float) for v in labels.values()]
    names = [[list(pd.get_dummies(v).columns)] for v in labels.values()]
    return VCSpec(list(labels), names, [[m] for m in matrices])
