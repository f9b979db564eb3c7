"""Where analyses find their table and the diagnostics that belong to it."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from bench.analysis import source
from bench.analysis.source import read_diagnostics, read_results_table, shipped_diagnostics
from bench.encoders.card import read_card
from bench.errors import UserError
from bench.leaderboard.collect import Collections
from bench.locate import shipped
from tests.analysis.planted import SimulationDesign, plant


@pytest.fixture
def cards():
    return {name: read_card(shipped("submissions") / name) for name in ("raw-pixels", "colour-histogram")}


def test_a_diagnostic_counts_for_the_card_it_was_measured_with(tmp_path, monkeypatch, cards):
    monkeypatch.setattr(source, "shipped", lambda name: tmp_path)
    rows = [
        ("raw-pixels", cards["raw-pixels"].sha256, 3.0),
        ("colour-histogram", "0" * 64, 4.0),
        ("elsewhere", "1" * 64, 5.0),
    ]
    pd.DataFrame(rows, columns=["encoder", "card_sha256", "rankme"]).to_csv(tmp_path / "diagnostics-s.csv", index=False)
    found = shipped_diagnostics("s", cards)
    assert found is not None
    assert found.to_dict("index") == {"raw-pixels": {"rankme": 3.0}}
    assert shipped_diagnostics("s", {"colour-histogram": cards["colour-histogram"]}) is None
    assert shipped_diagnostics("another-suite", cards) is None
    (tmp_path / "diagnostics-s.csv").write_text("encoder,rankme\nraw-pixels,1\n")
    with pytest.raises(UserError, match="card_sha256"):
        shipped_diagnostics("s", cards)


def test_every_shipped_diagnostic_is_of_a_shipped_card():
    path = shipped("submissions") / "diagnostics-phantom-v1.csv"
    table = pd.read_csv(path).set_index("encoder")
    known = {card.name: card.sha256 for card in map(read_card, shipped("submissions").glob("*/encoder.toml"))}
    assert table["card_sha256"].to_dict().items() <= known.items()
    assert "card_sha256" not in read_diagnostics(path)


def test_a_broken_table_is_refused(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text("name,rankme\na,1\n")
    with pytest.raises(UserError, match="column 'encoder'"):
        read_diagnostics(path)
    path.write_text("encoder,rankme\na,1\na,2\n")
    with pytest.raises(UserError, match="each name once"):
        read_diagnostics(path)


def test_real_images_go_before_synthetic_ones_and_ones_own_beside_what_is_shipped(tmp_path, monkeypatch):
    real, made = plant(SimulationDesign(encoders=4, synthetic=False)), plant(SimulationDesign(encoders=8))
    own = real.assign(encoder="mine")
    asked: list[list[Path]] = []
    read: list[Sequence[str]] = []

    def collected(roots, *, local=(), suites=()):
        asked.append(list(roots))
        read.append(suites)
        frames = {"open-v1": pd.concat([own, real] if tmp_path in roots else [real]), "phantom-v1": made}
        frames = {"open-v1": own} if roots == [tmp_path] else frames
        found = {name: SimpleNamespace(frame=frame, cards={}, left_out={}) for name, frame in frames.items()}
        return Collections(found, {})

    monkeypatch.setattr("bench.leaderboard.collect.collect", collected)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # own results, as `make demo` leaves them, would be read too
    found = read_results_table()
    assert (found.suite, found.others) == ("open-v1", ["phantom-v1"])
    assert read == [["open-v1"]]  # what is not answered from is not read
    beside = read_results_table(tmp_path, beside=True)
    assert set(beside.frame["encoder"]) == {"mine", *real["encoder"]}
    assert asked[-1][0] == tmp_path
    assert set(read_results_table(tmp_path).frame["encoder"]) == {"mine"}
