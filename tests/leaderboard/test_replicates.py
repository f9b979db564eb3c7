from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from bench.budget import FULL, Budget
from bench.data.dataset import Split, TaskData
from bench.data.task import Task
from bench.errors import UserError
from bench.files import sha256_arrays
from bench.leaderboard import known_replicates
from bench.leaderboard.at_hand import AtHand
from bench.leaderboard.evidence import Known
from bench.leaderboard.replicates import Source, all_replicates, approximate, cached, replicates
from bench.metrics.interval import Interval
from bench.metrics.resample import resample_counts
from bench.metrics.scored import primary_replicates
from bench.recipes import RECIPES
from bench.runs.predictions import predictions_bytes
from bench.runs.records import Provenance, Record, Unit
from bench.submissions.condensed import write_condensed
from bench.submissions.folder import Results

TASK = Task.parse(
    {
        "schema": 1, "name": "t", "title": "T", "kind": "global", "modality": "mri", "target": "binary",
        "classes": ["no", "yes"], "metric": "auroc", "licence": "x", "corpus": "x", "source": {"reader": "x"},
    },
    where="test",
)  # fmt: skip
TEST = Split(np.zeros((30, 1, 1, 1), np.uint8), np.arange(30) % 2, np.array([f"test/{i}" for i in range(30)]))
DATA = TaskData(TASK, TEST, TEST, {"test": TEST}, sha256="d" * 64)
OUTPUT = np.random.default_rng(0).random((30, 2)).astype(np.float32)
WHOLE = Source(partial(primary_replicates, TASK, OUTPUT, TEST))
WANTED = {("linear", Budget("10%")), ("linear", FULL)}
VALUE = float(roc_auc_score(TEST.labels, OUTPUT[:, 1]))


def record(encoder="a", **more):
    made_by = Provenance(
        command="medssl run", created="2026-01-01T00:00:00Z", medssl="1", python="3.11", packages={}, platform="x",
        device="cpu", precision="fp32", threads=1, suite="s", suite_fingerprint="f" * 64,
    )  # fmt: skip
    fields = {
        "schema": 1, "status": "done", "encoder": encoder, "encoder_version": "1", "card_sha256": "c" * 64,
        "unit": Unit(task="t", protocol="linear-v1", budget="100%", seed=0), "data_sha256": "d" * 64,
        "protocol_sha256": "e" * 64, "n_labels": 10, "metric": "auroc", "predictions_sha256": "a" * 64,
        "metrics": {"test": {"auroc": Interval(value=VALUE, low=VALUE - 0.1, high=VALUE + 0.1)}}, "made_by": made_by,
    } | more  # fmt: skip
    return Record(**fields)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    return tmp_path


def test_recomputed_once_and_then_read():
    assert cached(record(), TASK) is None
    made = replicates(record(), DATA, WHOLE)
    expected = primary_replicates(TASK, OUTPUT, TEST, resample_counts("t", "test", TEST.ids))
    np.testing.assert_array_equal(made, expected)
    np.testing.assert_array_equal(cached(record(), TASK), expected)


def test_another_prediction_is_another_entry_and_a_damaged_one_is_none(home):
    replicates(record(), DATA, WHOLE)
    assert cached(record(predictions_sha256="b" * 64), TASK) is None
    (path,) = home.rglob("*.f64")
    whole = path.read_bytes()
    for damaged in (whole[:200], whole[:-1] + bytes([whole[-1] ^ 1]), whole + b"x", b""):
        path.write_bytes(damaged)
        assert cached(record(), TASK) is None


def test_other_data_is_refused():
    with pytest.raises(UserError, match="other data"):
        replicates(record(data_sha256="0" * 64), DATA, WHOLE)


def test_condensed_predictions_give_the_same_replicates(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.leaderboard.at_hand.load_labels", lambda task, folder, masks: DATA)
    done = record(unit=Unit(task="t", protocol="linear-v1", budget="10%", seed=3))
    results = Results(None, "s", tmp_path, [done])
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "t.npz").write_bytes(predictions_bytes({}))
    _, approximated = all_replicates(results, AtHand({"t": TASK}), WANTED)
    assert approximated == {("a", "t", "linear-v1", "10%", 3)}
    write_condensed(tmp_path, DATA, {done.unit.key: OUTPUT}, 2)
    found, approximated = all_replicates(results, AtHand({"t": TASK}), WANTED)
    assert not approximated
    expected = primary_replicates(TASK, OUTPUT, TEST, resample_counts("t", "test", TEST.ids))
    np.testing.assert_array_equal(found["a", "t", "linear-v1", "10%", 3], expected)


def test_records_with_and_without_predictions_side_by_side(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.leaderboard.at_hand.load_labels", lambda task, folder, masks: DATA)
    kept = record(predictions_sha256=sha256_arrays({"test": OUTPUT}))
    bare = record(unit=Unit(task="t", protocol="linear-v1", budget="10%", seed=3), predictions_sha256="b" * 64)
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "t.npz").write_bytes(predictions_bytes({f"{kept.unit.key}/test": OUTPUT}))
    found, approximated = all_replicates(Results(None, "s", tmp_path, [bare, kept]), AtHand({"t": TASK}), WANTED)
    assert approximated == {("a", "t", "linear-v1", "10%", 3)}
    expected = primary_replicates(TASK, OUTPUT, TEST, resample_counts("t", "test", TEST.ids))
    np.testing.assert_array_equal(found["a", "t", "linear-v1", "100%", 0], expected)


def test_an_approximation_has_the_records_width_and_is_unpaired():
    first, second = approximate(record("a")), approximate(record("b"))
    np.testing.assert_allclose(np.quantile(first, [0.025, 0.975]), [VALUE - 0.1, VALUE + 0.1], atol=0.012)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.1
    np.testing.assert_array_equal(first, approximate(record("a")))
    bare = record(metrics={"test": {"auroc": Interval(value=0.8)}})
    assert np.isnan(approximate(bare)).all()


def test_a_board_tells_only_of_its_own_approximated_units():
    full, few = ("a", "t", "linear-v1", "100%", 0), ("a", "t", "linear-v1", "10%", 0)
    known = Known(dict.fromkeys((full, few), np.zeros(3)), frozenset({few}))
    told = {recipe.name: known.notes(recipe) for recipe in RECIPES}
    assert [name for name, notes in told.items() if notes] == ["Low-label"]
    assert told["Low-label"][0].startswith("1 of 1 results could not be resampled")
    assert Known(known.draws, frozenset()).notes(RECIPES[0]) == ()


def test_only_the_units_asked_for_are_drawn_again(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.leaderboard.at_hand.load_labels", lambda task, folder, masks: DATA)
    few = record(unit=Unit(task="t", protocol="linear-v1", budget="10%", seed=3))
    other = record(unit=Unit(task="t", protocol="knn-v1", budget="100%", seed=0))
    results = Results(None, "s", tmp_path, [record(), few, other])
    found, _ = all_replicates(results, AtHand({"t": TASK}), {("linear", FULL)})
    assert [key[2:4] for key in found] == [("linear-v1", "100%")]


def test_a_board_needs_the_replicates_of_its_own_units_alone(monkeypatch):
    asked, nothing = [], {"a": Results(None, "s", None, [])}

    def draws(results, data, wanted, only):
        asked.append(wanted)
        return {}, frozenset()

    monkeypatch.setattr("bench.leaderboard.replicates.all_replicates", draws)
    known_replicates(SimpleNamespace(suite="s", tasks={"t": TASK}, results=nothing, at_hand=None), RECIPES[1:2])
    assert asked == [{("linear", FULL)}]
