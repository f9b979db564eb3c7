import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.analysis import evaluate, pictures, style
from bench.analysis.claim import read_ledger, read_note
from bench.analysis.claims_page import page
from bench.analysis.diagnostics.similarity import cka_matrix
from bench.analysis.measurement import NotEnough
from bench.analysis.verdict import ClaimPart, Verdict
from bench.words import PARADIGMS
from tests.analysis.planted import SimulationDesign, plant

FRAME = plant(SimulationDesign(encoders=12, modalities=4, kind=8.0, sizes=(5e6, 22e6)))


DRAWN = {
    "plane": lambda: pictures.plane(FRAME),
    "curves": lambda: pictures.curves(FRAME),
    "by_stratum": lambda: pictures.by_stratum(FRAME),
    "modality_map": lambda: pictures.modality_map(FRAME),
    "pareto": lambda: pictures.pareto(FRAME),
    "critical_difference": lambda: pictures.critical_difference(FRAME, "linear-v1"),
    "similarity_map": lambda: pictures.similarity_map(cka_matrix({"a": np.eye(6), "b": 2 * np.eye(6)})),
    "verdicts": lambda: pictures.verdicts(evaluate(FRAME, sensitivity=False)),
}


@pytest.mark.parametrize("name", DRAWN)
def test_every_picture_becomes_svg_with_the_same_bytes(name, tmp_path):
    paths = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for path in paths:
        style.save(DRAWN[name](), path)
    assert paths[0].read_text().startswith("<svg")
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert "NaN" not in paths[0].read_text()


def test_colours_and_shapes_differ_for_every_paradigm():
    assert set(style.COLOURS) == set(style.SHAPES) == set(PARADIGMS)
    assert len(set(style.COLOURS.values())) == len(set(style.SHAPES.values())) == len(PARADIGMS)


def test_plane_shows_the_board_means():
    spec = json.loads(pictures.plane(FRAME).to_json())
    rows = next(r for r in spec["datasets"].values() if len(r) == 14)
    rows = pd.DataFrame(rows).set_index("encoder")
    cell = FRAME[(FRAME["encoder"] == "hybrid-03") & FRAME["primary"] & (FRAME["budget"] == "100%")]
    cell = cell[cell["kind"] == "global"]
    assert rows.loc["hybrid-03", "global"] == pytest.approx(100 * cell["score"].mean())


def test_pareto_front_holds_only_encoders_not_beaten_at_their_cost():
    spec = json.loads(pictures.pareto(FRAME).to_json())
    data = [pd.DataFrame(r) for r in spec["datasets"].values()]
    every, front = max(data, key=len), min(data, key=len)
    for row in front.itertuples():
        assert not ((every["gflops"] <= row.gflops) & (every["overall"] > row.overall)).any()


def test_missing_results_are_said_not_drawn():
    with pytest.raises(NotEnough, match="no dense results"):
        pictures.plane(FRAME[FRAME["kind"] == "global"])
    with pytest.raises(NotEnough):
        pictures.pareto(FRAME.assign(flops=None))


def test_the_page_of_claims_is_up_to_date():
    shown = Path(__file__).parents[2] / "docs" / "claims.md"
    assert shown.read_text(encoding="utf-8") == page(read_ledger(), read_note())


def layers(spec: dict) -> Iterator[tuple[str, dict, list[dict]]]:
    """(mark, encoding, rows) of every layer of a picture, facets included."""
    data = spec["datasets"]

    def walk(node: dict, name: str | None, outer: dict) -> Iterator[tuple[str, dict, list[dict]]]:
        name = node.get("data", {}).get("name", name)
        encoding = {**outer, **node.get("encoding", {}), **node.get("facet", {})}
        if "mark" in node:
            yield node["mark"]["type"], encoding, data[name]
        for child in [*node.get("layer", []), *node.get("hconcat", []), *([node["spec"]] if "spec" in node else [])]:
            yield from walk(child, name, encoding)

    yield from walk(spec, None, {})


MARKS = {
    "plane": ["point", "text"], "curves": ["area", "line", "point"], "by_stratum": 2 * ["rule", "line", "point"],
    "modality_map": ["rect", "text"], "pareto": ["line", "point", "text"],
    "critical_difference": ["rule", "point"], "similarity_map": ["rect", "text"], "verdicts": ["rule", "rule", "point"],
}  # fmt: skip
TITLES = {
    "plane": {"Global score, points", "Dense score, points"},
    "curves": {"Labels, % of the training set", "Score, points"},
    "by_stratum": {"Recall by lesion size, % of the image", "Dice by lesion contrast", "Value"},
    "modality_map": {"Lead, points"},
    "pareto": {"Forward GFLOPs an image", "Overall score, points"},
    "critical_difference": {"Mean rank over tasks"},
    "similarity_map": {"CKA"},
    "verdicts": {"Effect as claimed, in smallest effects that matter"},
}


@pytest.mark.parametrize("name", MARKS)
def test_every_mark_is_placed_by_columns_that_are_there(name):
    found = list(layers(DRAWN[name]().to_dict()))
    assert [mark for mark, _, _ in found] == MARKS[name]
    titles = set()
    for _, encoding, rows in found:
        assert rows
        channels = [c for e in encoding.values() for c in (e if isinstance(e, list) else [e])]
        fields = {c["field"] for c in channels if "field" in c}
        assert fields
        assert fields <= rows[0].keys()
        titles |= {c["title"] for c in channels if c.get("title")}
    assert titles == TITLES[name]


def test_the_label_of_the_plane_is_the_change_of_rank():
    spec = pictures.plane(FRAME).to_dict()
    _, encoding, rows = next(layer for layer in layers(spec) if layer[0] == "text")
    assert encoding["text"]["field"] == "label"
    means = pictures.board_means(FRAME)
    shift = means["global"].rank(ascending=False) - means["dense"].rank(ascending=False)
    assert len(rows) == 6
    assert min(abs(shift[row["encoder"]]) for row in rows) >= shift.abs().nlargest(6).min()
    for row in rows:
        move = shift[row["encoder"]]
        assert row["label"] == f"{row['encoder']} ({int(move):+d})".replace("+0", "0")


def test_curves_and_strata_show_the_mean_and_the_range_of_encoders():
    reference = FRAME[FRAME["primary"]].groupby(["kind", "paradigm", "fraction", "encoder"])["score"].mean()
    each = {key: 100 * part for key, part in reference.groupby(["kind", "paradigm", "fraction"])}
    rows = next(layers(pictures.curves(FRAME).to_dict()))[2]
    assert len(rows) == len(each)
    for row in rows:
        paradigm = next(p for p in PARADIGMS if style.titled(p) == row["paradigm"])
        part = each[row["kind"], paradigm, row["fraction"] / 100]
        assert (row["mean"], row["min"], row["max"]) == pytest.approx((part.mean(), part.min(), part.max()))
    strata = FRAME[FRAME["metric"] == "dice[contrast=low]"].groupby(["paradigm", "encoder"])["value"].mean()
    contrast = [rows for _, _, rows in layers(pictures.by_stratum(FRAME).to_dict())][-1]
    low = {row["paradigm"]: row for row in contrast if row["stratum"] == "low"}
    for paradigm, part in strata.groupby("paradigm"):
        row = low[style.titled(paradigm)]
        assert (row["mean"], row["min"], row["max"]) == pytest.approx((part.mean(), part.min(), part.max()))


def test_the_map_of_modalities_shows_leads_over_the_mean_of_paradigms():
    rows = pd.DataFrame(next(layers(pictures.modality_map(FRAME).to_dict()))[2])
    found = FRAME[FRAME["primary"] & (FRAME["budget"] == "100%") & (FRAME["paradigm"] != "reference")]
    wide = 100 * found.pivot_table(index=["kind", "modality"], columns="paradigm", values="score", observed=True)
    lead = wide.sub(wide.mean(axis=1), axis=0)
    drawn = rows.pivot_table(index=["kind", "modality"], columns="paradigm", values="lead")
    expected = lead.rename(columns=style.titled)
    np.testing.assert_allclose(drawn, expected.loc[drawn.index, drawn.columns])


def judged(**changed) -> Verdict:
    return Verdict(**{
        "id": "H2", "title": "slope", "statement": "s", "ledger": 1, "family": "confirmatory", "claim_sha256": "0" * 64,
        "verdict": "inconclusive", "effect": 3.0, "low": -1.0, "high": 5.0, "measured_in": "score points",
        "margin": 2.0,
        "direction": "positive", "p": 0.1, "p_holm": 0.1, "n_encoders": 9, "n_tasks": 9, "groups": {}, "parts": [],
        "reason": "", "sensitivity": [], "chart": [], "details": {}, **changed,
    })  # fmt: skip


def test_verdicts_are_drawn_in_units_of_the_margin_positive_as_claimed():
    parts = [
        ClaimPart(name="first", effect=1.0, low=0.0, high=2.0, p=0.1, groups={}, n_tasks=3),
        ClaimPart(name="second", effect=1.0, low=None, high=None, p=None, groups={}, n_tasks=3),
    ]
    found = [
        judged(), judged(id="H3", direction="negative"), judged(id="H4", low=None), judged(id="H5", high=None),
        judged(id="H6", effect=None), judged(id="H7", parts=parts, verdict="supported"),
    ]  # fmt: skip
    rows = next(rows for mark, _, rows in layers(pictures.verdicts(found).to_dict()) if mark == "point")
    assert [tuple(row.values()) for row in rows] == [
        ("H2 slope", 1.5, -0.5, 2.5, "inconclusive"),
        ("H3 slope", -1.5, -2.5, 0.5, "inconclusive"),
        ("H7 first", 0.5, 0.0, 1.0, "supported"),
    ]
    with pytest.raises(NotEnough, match="no claim could be measured"):
        pictures.verdicts([judged(low=None)])


def test_bars_join_encoders_that_are_not_told_apart():
    names = list("abcd")
    p = pd.DataFrame(0.01, names, names)
    for one, other in ("ab", "bc", "ac", "cd"):
        p.loc[one, other] = p.loc[other, one] = 0.2
    assert pictures._cliques(p, names) == [("a", "c", 0), ("c", "d", 1)]
    p.loc["a", "c"] = p.loc["c", "a"] = 0.05
    assert pictures._cliques(p, names) == [("a", "b", 0), ("b", "c", 1), ("c", "d", 2)]
    assert pictures._cliques(pd.DataFrame(0.01, names, names), names) == []


def test_mean_ranks_are_over_tasks_the_best_encoder_first():
    rows = FRAME[(FRAME["protocol"] == "linear-v1") & (FRAME["budget"] == "100%")]
    rank = rows.pivot_table(index="encoder", columns="task", values="score").rank(ascending=False).mean(axis=1)
    dots = [
        rows for mark, _, rows in layers(pictures.critical_difference(FRAME, "linear").to_dict()) if mark == "point"
    ]
    assert {row["encoder"]: row["rank"] for row in dots[0]} == pytest.approx(rank.to_dict())
    few = FRAME[FRAME["encoder"].isin(sorted(FRAME["encoder"].unique())[:2])]
    with pytest.raises(NotEnough, match="fewer than three encoders"):
        pictures.critical_difference(few, "linear")
