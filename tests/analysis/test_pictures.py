import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.analysis import evaluate, pictures, style
from bench.analysis.claim import read_ledger, read_note
from bench.analysis.claims_page import page
from bench.analysis.diagnostics.similarity import cka_matrix
from bench.analysis.measurement import NotEnough
from bench.words import PARADIGMS
from tests.analysis.planted import SimulationDesign, plant

FRAME = plant(SimulationDesign(encoders=12, modalities=4, kind=8.0, sizes=(5e6, 22e6)))


def rank_rows():
    means = pictures.board_means(FRAME)
    names = means.index
    rank = means["global"].rank(ascending=False).to_numpy()
    paradigm = [name.split("-")[0] for name in names]
    return pd.DataFrame({"encoder": names, "paradigm": paradigm, "rank": rank, "rank_low": rank, "rank_high": rank + 1})


DRAWN = {
    "plane": lambda: pictures.plane(FRAME),
    "curves": lambda: pictures.curves(FRAME),
    "by_stratum": lambda: pictures.by_stratum(FRAME),
    "modality_map": lambda: pictures.modality_map(FRAME),
    "pareto": lambda: pictures.pareto(FRAME),
    "ranks": lambda: pictures.ranks(rank_rows()),
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
