"""The analyses drawn: each function takes a long table (or a result of the analyses) and returns an Altair chart."""

import altair as alt
import numpy as np
import pandas as pd
import scikit_posthocs

from bench.analysis.efficiency import learning_curves
from bench.analysis.measurement import NotEnough
from bench.analysis.sides import CONTRASTS, strata_rows
from bench.analysis.style import colour, shape, styled, titled
from bench.analysis.table import counted, pick, tabulate, weights
from bench.analysis.verdict import ClaimPart, Verdict
from bench.metrics.lesions import SIZES
from bench.recipes import FROZEN

PROBES = tuple(FROZEN.values())
SIZE = {"width": 460, "height": 340}


def board_means(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean Global and Dense score (points) of every encoder with results on all tasks of both: index encoder."""
    rows = pick(counted(frame), PROBES, ssl=False)
    parts = {}
    for kind in ("global", "dense"):
        chosen = rows[rows["kind"] == kind]
        if chosen.empty:
            raise NotEnough(f"no {kind} results")
        table = tabulate(chosen)
        scores = table.means
        parts[kind] = pd.Series(scores @ weights(table.columns), table.encoders.index)
    about = rows.drop_duplicates("encoder").set_index("encoder")[["paradigm", "flops", "parameters"]]
    about.index = about.index.astype(str)
    means = about.join(pd.DataFrame(parts)).dropna(subset=["global", "dense"])
    return means.assign(paradigm=means["paradigm"].map(titled).astype(str))


def plane(frame: pd.DataFrame) -> alt.TopLevelMixin:
    """Global against Dense score; the label says how far an encoder's rank moves from Global to Dense."""
    means = board_means(frame).rename_axis("encoder").reset_index()
    shift = means["global"].rank(ascending=False) - means["dense"].rank(ascending=False)
    means["label"] = means["encoder"] + shift.map(lambda s: f" ({s:+.0f})" if s else " (0)")
    base = alt.Chart(means).encode(
        x=alt.X("global:Q", title="Global score, points", scale=alt.Scale(zero=False, padding=20)),
        y=alt.Y("dense:Q", title="Dense score, points", scale=alt.Scale(zero=False, padding=20)),
    )
    points = base.mark_point(filled=True, size=90, opacity=0.9).encode(
        color=colour(), shape=shape(), tooltip=["encoder", "global", "dense"]
    )
    extreme = means.loc[shift.abs().nlargest(6).index]
    labels = (
        alt.Chart(extreme).mark_text(align="left", dx=8, fontSize=11).encode(x="global:Q", y="dense:Q", text="label:N")
    )
    return styled((points + labels).properties(**SIZE))


def curves(frame: pd.DataFrame) -> alt.TopLevelMixin:
    """Mean score by label fraction and paradigm, with the range of its encoders as a band."""
    rows = learning_curves(counted(frame), PROBES)
    by_encoder = rows.groupby(["kind", "paradigm", "encoder", "fraction"], observed=True)["score"].mean().reset_index()
    band = by_encoder.groupby(["kind", "paradigm", "fraction"], observed=True)["score"].agg(["mean", "min", "max"])
    data = (100 * band).reset_index()
    data["paradigm"], data["fraction"] = data["paradigm"].map(titled).astype(str), 100 * data["fraction"]
    x = alt.X("fraction:Q", scale=alt.Scale(type="log"), title="Labels, % of the training set",
              axis=alt.Axis(values=[1, 5, 10, 25, 100]))  # fmt: skip
    base = alt.Chart(data).encode(x=x, color=colour())
    area = base.mark_area(opacity=0.12).encode(
        y=alt.Y("min:Q", title="Score, points", scale=alt.Scale(zero=False)), y2="max:Q"
    )
    line = base.mark_line(strokeWidth=2).encode(y="mean:Q")
    dots = base.mark_point(filled=True, size=60).encode(y="mean:Q", shape=shape())
    chart = (area + line + dots).properties(width=300, height=280).facet(column=alt.Column("kind:N", title=None))
    return styled(chart)


def by_stratum(frame: pd.DataFrame) -> alt.TopLevelMixin:
    """Score by lesion size (recall) and contrast (Dice), by paradigm, with the range of its encoders."""
    rows = strata_rows(pick(counted(frame), [FROZEN["dense"]], primary=False, ssl=False))
    if rows.empty:
        raise NotEnough("no metric by lesion size or contrast")
    per = rows.groupby(["facet", "level", "paradigm", "encoder"], observed=True)["value"].mean().reset_index()
    data = per.groupby(["facet", "level", "paradigm"], observed=True)["value"].agg(["mean", "min", "max"]).reset_index()
    words = {"size": list(SIZES), "contrast": [c.removeprefix("contrast=") for c in CONTRASTS]}
    titles = {"size": "Recall by lesion size, % of the image", "contrast": "Dice by lesion contrast"}
    parts = []
    for facet in [f for f in ("size", "contrast") if (data["facet"] == f).any()]:
        part = data[data["facet"] == facet].assign(stratum=lambda d, f=facet: [words[f][i] for i in d["level"]])
        part["paradigm"] = part["paradigm"].map(titled).astype(str)
        base = alt.Chart(part).encode(
            x=alt.X("stratum:N", sort=words[facet], title=titles[facet], axis=alt.Axis(labelAngle=0)), color=colour()
        )
        line = base.mark_line(strokeWidth=2).encode(y=alt.Y("mean:Q", title="Value", scale=alt.Scale(zero=False)))
        spread = base.mark_rule(opacity=0.35).encode(y="min:Q", y2="max:Q")
        dots = base.mark_point(filled=True, size=70).encode(y="mean:Q", shape=shape())
        parts.append((spread + line + dots).properties(width=300, height=280))
    return styled(alt.hconcat(*parts))


def modality_map(frame: pd.DataFrame) -> alt.TopLevelMixin:
    """Lead of each paradigm over the mean of the paradigms, by modality and kind, in points."""
    rows = pick(counted(frame), PROBES)
    per = rows.groupby(["kind", "modality", "paradigm", "encoder"], observed=True)["score"].mean()
    mean = 100 * per.groupby(["kind", "modality", "paradigm"], observed=True).mean()
    data = (mean - mean.groupby(["kind", "modality"], observed=True).transform("mean")).rename("lead").reset_index()
    data["paradigm"] = data["paradigm"].map(titled).astype(str)
    limit = float(np.abs(data["lead"]).max()) or 1.0
    base = alt.Chart(data).encode(
        x=alt.X("paradigm:N", title=None, axis=alt.Axis(labelAngle=-30)), y=alt.Y("modality:N", title=None)
    )
    scale = alt.Scale(scheme="purpleorange", domain=[-limit, limit], reverse=True)
    tiles = base.mark_rect().encode(color=alt.Color("lead:Q", scale=scale, title="Lead, points"))
    text = base.mark_text(fontSize=11).encode(
        text=alt.Text("lead:Q", format="+.1f"),
        color=alt.condition(f"abs(datum.lead) > {0.6 * limit}", alt.value("white"), alt.value("black")),
    )
    chart = (tiles + text).properties(width=260, height=alt.Step(28)).facet(column=alt.Column("kind:N", title=None))
    return styled(chart)


def similarity_map(matrix: pd.DataFrame) -> alt.TopLevelMixin:
    """Debiased linear CKA between encoders (bench.analysis.diagnostics.similarity.cka_matrix)."""
    order = [str(name) for name in matrix.index]
    n, cells = len(order), matrix.to_numpy(float)
    data = pd.DataFrame({"a": np.repeat(order, n), "b": np.tile(order, n), "cka": cells.ravel()})
    base = alt.Chart(data).encode(x=alt.X("a:N", sort=order, title=None), y=alt.Y("b:N", sort=order, title=None))
    tiles = base.mark_rect().encode(
        color=alt.Color("cka:Q", scale=alt.Scale(scheme="viridis", domain=[0, 1]), title="CKA")
    )
    text = base.mark_text(fontSize=9).encode(
        text=alt.Text("cka:Q", format=".1f"),
        color=alt.condition("datum.cka > 0.6", alt.value("black"), alt.value("white")),
    )
    return styled((tiles + text).properties(width=alt.Step(26), height=alt.Step(26)))


def pareto(frame: pd.DataFrame) -> alt.TopLevelMixin:
    """Overall score against forward GFLOPs; the line joins the encoders none of which is beaten at its cost."""
    means = board_means(frame).rename_axis("encoder").reset_index()
    means = means[means["flops"].notna()].assign(overall=lambda d: (d["global"] + d["dense"]) / 2)
    means["gflops"] = means["flops"].astype(float) / 1e9
    means = means[means["gflops"] > 0].sort_values(["gflops", "overall"], ascending=[True, False])
    if means.empty:
        raise NotEnough("no encoder has a known compute cost")
    front = means[means["overall"] > means["overall"].cummax().shift(fill_value=-np.inf)]
    x = alt.X("gflops:Q", scale=alt.Scale(type="log", nice=False, padding=30), title="Forward GFLOPs an image")
    y = alt.Y("overall:Q", scale=alt.Scale(zero=False, padding=20), title="Overall score, points")
    line = alt.Chart(front).mark_line(interpolate="step-after", color="#999999", strokeDash=[5, 3]).encode(x=x, y=y)
    dots = alt.Chart(means).mark_point(filled=True, size=90, opacity=0.9).encode(
        x=x, y=y, color=colour(), shape=shape(), tooltip=["encoder", "gflops", "overall"]
    )  # fmt: skip
    names = alt.Chart(front).mark_text(align="left", dx=8, dy=-6, fontSize=11).encode(x=x, y=y, text="encoder:N")
    return styled((line + dots + names).properties(**SIZE))


def critical_difference(frame: pd.DataFrame, protocol: str) -> alt.TopLevelMixin:
    """Mean ranks over tasks; a bar joins encoders that Nemenyi's test does not tell apart (p > 0.05).

    A picture, not a verdict: its comparisons depend on which encoders are in it.
    """
    table = tabulate(pick(counted(frame), [protocol], ssl=False))
    scores = table.means
    whole = np.isfinite(scores).all(axis=1)
    if whole.sum() < 3 or scores.shape[1] < 2:
        raise NotEnough("fewer than three encoders or two tasks without a gap")
    names = table.encoders.index[whole]
    paradigm = table.encoders["paradigm"].astype(str)[whole].map(titled)
    mean_rank = pd.DataFrame(-scores[whole].T, columns=names).rank(axis=1).mean()
    p = scikit_posthocs.posthoc_nemenyi_friedman(pd.DataFrame(scores[whole].T, columns=names))
    order = mean_rank.sort_values().index.tolist()
    data = pd.DataFrame({"encoder": names, "paradigm": paradigm.to_numpy(), "rank": mean_rank[names].to_numpy()})
    y = alt.Y("encoder:N", sort=order, title=None)
    x = alt.X("rank:Q", title="Mean rank over tasks", scale=alt.Scale(zero=False, padding=15))
    dots = alt.Chart(data).mark_point(filled=True, size=90, opacity=1).encode(x=x, y=y, color=colour(), shape=shape())
    groups = pd.DataFrame(_cliques(p, order), columns=["encoder", "last", "number"])
    groups["rank"] = mean_rank[groups["encoder"]].to_numpy()
    groups["last_rank"] = mean_rank[groups["last"]].to_numpy()
    bars = alt.Chart(groups).mark_rule(strokeWidth=4, color="#444444", opacity=0.6).encode(x=x, x2="last_rank:Q", y=y)
    return styled((bars + dots).properties(width=460, height=alt.Step(20)))


def _cliques(p: pd.DataFrame, order: list[str]) -> list[tuple[str, str, int]]:
    """Maximal runs of the order whose ends are not told apart: (first, last, number)."""
    found: list[tuple[str, str, int]] = []
    reach = -1
    for i, first in enumerate(order):
        last = max(j for j in range(i, len(order)) if p.loc[first, order[j]] > 0.05 or j == i)
        if last > max(i, reach):
            found.append((first, order[last], len(found)))
            reach = last
    return found


def verdicts(found: list[Verdict]) -> alt.TopLevelMixin:
    """Effect of every measured claim in units of its margin, positive as claimed, with its interval and verdict."""
    rows = []
    for v in found:
        unit = v.margin if v.direction == "positive" else -v.margin
        claimed: list[ClaimPart] | list[Verdict] = v.parts or [v]
        for part in claimed:
            if part.effect is None or part.low is None or part.high is None:
                continue
            low, high = sorted((part.low / unit, part.high / unit))
            name = part.name if isinstance(part, ClaimPart) else v.title
            rows.append((f"{v.id} {name}", part.effect / unit, low, high, v.verdict))
    if not rows:
        raise NotEnough("no claim could be measured")
    data = pd.DataFrame(rows, columns=["claim", "effect", "low", "high", "verdict"])
    y = alt.Y("claim:N", sort=data["claim"].tolist(), title=None, axis=alt.Axis(labelLimit=430))
    words = ["supported", "contradicted", "inconclusive"]
    scale = alt.Scale(domain=words, range=["#009E73", "#D55E00", "#999999"])
    tint = alt.Color("verdict:N", scale=scale, title=None)
    form = alt.Shape("verdict:N", scale=alt.Scale(domain=words, range=["circle", "cross", "square"]), title=None)
    zero = alt.Chart(pd.DataFrame({"x": [0.0, 1.0]})).mark_rule(color="#bbbbbb", strokeDash=[4, 3]).encode(x="x:Q")
    x = alt.X("low:Q", title="Effect as claimed, in smallest effects that matter")
    span = alt.Chart(data).mark_rule(strokeWidth=3, opacity=0.6).encode(x=x, x2="high:Q", y=y, color=tint)
    dots = alt.Chart(data).mark_point(filled=True, size=80, opacity=1).encode(x="effect:Q", y=y, color=tint, shape=form)
    return styled((zero + span + dots).properties(width=400, height=alt.Step(26)))
