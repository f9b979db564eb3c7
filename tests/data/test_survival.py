"""Times and events: read as they stand or refused, never a censored case as an event; split, budgeted and scored."""

import csv

import numpy as np
import pytest
from PIL import Image

import bench
from bench.data.check import check_task
from bench.data.load import load_task
from bench.errors import CardError, DataError
from bench.publish.cases import said
from bench.runs.plan import make_plan
from tests.cards import task_card
from tests.data.conftest import one_protocol

CARD = task_card("deaths", 'reader = "csv", file = "t.csv"', target="survival", classes=("death, months",))


def written(folder, outcomes, columns=("time", "event")):
    """A table of squares, the brighter the earlier, about."""
    rows = []
    for i, (time, event) in enumerate(outcomes):
        rng = np.random.default_rng(i)
        shade = 150 - int(min(150.0, 1.6 * float(time))) if str(time).replace(".", "").isdigit() else 0
        pixels = np.full((16, 16), shade + rng.integers(0, 50), np.uint8) + rng.integers(0, 9, (16, 16), np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        rows.append({"image": f"{i}.png", columns[0]: time, columns[1]: event, "patient": f"p{i}"})
    with open(folder / "t.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_a_unit_whose_score_is_not_defined_says_so(tmp_path):
    """The one event of the test images comes last: no two cases can be compared."""
    split = [("train", "val", "test")[i % 3] for i in range(60)]
    written(tmp_path, [(i + 1, 1 if s != "test" or i == 59 else 0) for i, s in enumerate(split)])
    table = (tmp_path / "t.csv").read_text().splitlines()
    lines = [f"{line},{s}" for line, s in zip(table, ["split", *split], strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    (tmp_path / "t.toml").write_text(CARD)
    records = bench.run("raw-pixels", None, tasks=tmp_path, out=tmp_path / "runs", say=print).records
    assert {(r.status, r.reason) for r in records} == {("refused", "c_index is not defined on these test images")}


def outcomes(n=60):
    return [(i + 1, i % 3 != 0) for i in range(n)]


def test_times_and_events_are_read_as_they_stand(tmp_path, make_task):
    written(tmp_path, [(f"{i + 1},5", int(event)) for i, (_, event) in enumerate(outcomes())])
    task = make_task("survival", ["death, months"], reader="csv", file="t.csv")
    assert (task.kind, task.metric, task.chance) == ("global", "c_index", 0.5)
    data = load_task(task, folder=tmp_path)
    for split in data.splits.values():
        number = np.array([int(i.removesuffix(".png")) for i in split.ids.tolist()])
        np.testing.assert_array_equal(split.labels, np.stack([number + 1.5, number % 3 != 0], axis=1))
        assert 0.6 < split.labels[:, 1].mean() < 0.75  # shares are taken of events and of censored cases
    assert check_task(task, folder=tmp_path).classes["train"] == {"death, months": int(data.train.labels[:, 1].sum())}
    assert said(task, np.array([12.5, 0.0])) == "12.5, censored"
    assert said(task, np.array([12.5, 1.0])) == "12.5, death, months"


@pytest.mark.parametrize(
    ("time", "event", "message"),
    [
        (0, 1, "the time '0' is not above 0"),
        (-3, 1, "the time '-3' is not above 0"),
        ("inf", 1, "'inf' is no number"),
        (5, 2, r"the event is '2', expected 1 \(it happened\) or 0 \(censored\)"),
        (5, 0.5, "the event is '0.5'"),
        (5, "dead", "the event is 'dead'"),
        (5, -1, "the event is '-1'"),
        (5, "", "has no label"),
        ("", 1, "has no label"),
    ],
)
def test_what_is_no_outcome_is_refused(tmp_path, make_task, time, event, message):
    written(tmp_path, [*outcomes(40), (time, event)])
    task = make_task("survival", ["death"], reader="csv", file="t.csv")
    with pytest.raises(DataError, match=f"line 42: {message}"):
        load_task(task, folder=tmp_path)


def test_columns_by_name_and_blank_rows_left_out(tmp_path, make_task):
    written(tmp_path, [*outcomes(40), ("", ""), (7, "")], ("months", "died"))
    columns = {"time": "months", "event": "died"}
    task = make_task("survival", ["death"], reader="csv", file="t.csv", columns=columns, blank="drop")
    assert sum(map(len, load_task(task, folder=tmp_path).splits.values())) == 40
    with pytest.raises(DataError, match="no column 'time'"):
        load_task(make_task("survival", ["death"], reader="csv", file="t.csv"), folder=tmp_path)
    wrong = make_task("binary", ["a", "b"], reader="csv", file="t.csv", columns=columns)
    with pytest.raises(DataError, match="columns of time and event are for survival, the target is 'binary'"):
        load_task(wrong, folder=tmp_path)


def arrays(labels):
    rng = np.random.default_rng(0)
    images = {f"{s}_images": rng.integers(0, 256, (8, 8, 8), dtype=np.uint8) for s in ("train", "val", "test")}
    return images | {f"{s}_labels": labels for s in ("train", "val", "test")}


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.stack([np.arange(8) % 2, np.arange(1, 9)], axis=1), "is not above 0|expected 1"),  # event first
        (np.arange(1.0, 9), r"labels have shape \(8,\), expected \(n, 2\)"),
        (np.stack([np.arange(1.0, 9), np.zeros(8)], axis=1), "no case of train had the event"),
        (np.stack([np.full(8, np.nan), np.ones(8)], axis=1), "has no label"),
    ],
)
def test_arrays_that_are_no_outcomes(tmp_path, make_task, labels, message):
    np.savez(tmp_path / "a.npz", **arrays(labels))
    with pytest.raises(DataError, match=message):
        load_task(make_task("survival", ["death"], reader="npz", file="a.npz"), folder=tmp_path)


def test_arrays_of_outcomes(tmp_path, make_task):
    labels = np.stack([np.arange(1, 9), np.arange(8) % 2], axis=1)
    np.savez(tmp_path / "a.npz", **arrays(labels))
    data = load_task(make_task("survival", ["death"], reader="npz", file="a.npz"), folder=tmp_path)
    np.testing.assert_array_equal(data.tests["test"].labels, labels)
    assert data.train.labels.dtype == np.float64


def test_folders_have_no_outcomes(tmp_path, make_task):
    for split in ("train", "val", "test"):
        (tmp_path / "f" / split / "death").mkdir(parents=True)
        Image.fromarray(np.zeros((16, 16), np.uint8)).save(tmp_path / "f" / split / "death" / "1.png")
    task = make_task("survival", ["death"], reader="imagefolder", folder="f")
    with pytest.raises(DataError, match=r"'death' is no time with an event \(a table has columns for both"):
        load_task(task, folder=tmp_path)


def test_the_card(make_task):
    with pytest.raises(CardError, match="and survival one, the event"):
        make_task("survival", ["a", "b"], reader="csv", file="t.csv")
    with pytest.raises(CardError, match="'auroc' is not for target 'survival', whose metric is 'c_index'"):
        make_task("survival", ["a"], reader="csv", file="t.csv").parse(
            make_task("survival", ["a"], reader="csv", file="t.csv").model_dump(mode="json", by_alias=True)
            | {"metric": "auroc"},
            where="card",
        )


def test_a_run_and_a_board(tmp_path, medssl_in):
    written(tmp_path, outcomes(90))
    (tmp_path / "deaths.toml").write_text(CARD)
    results = bench.run("raw-pixels", None, tasks=tmp_path, out=tmp_path / "runs", say=lambda line: None)
    rows = results.frame[(results.frame.budget == "100%") & (results.frame.metric == "c_index")]
    assert set(results.frame.protocol) == {"cox-v1"}
    assert rows.value.tolist()[0] > 0.8
    assert rows.low.tolist()[0] < rows.value.tolist()[0]
    board = medssl_in(tmp_path, "leaderboard", "--records", "runs")
    assert ": Survival" in board
    assert "raw-pixels" in board


def test_classifiers_and_ridge_have_no_units_for_it(tmp_path):
    written(tmp_path, outcomes(40))
    (tmp_path / "deaths.toml").write_text(CARD)
    for protocol, units in (("linear-v2", 0), ("ridge-v1", 0), ("cox-v1", 1)):
        suite = one_protocol(tmp_path, "deaths", protocol)
        plan = make_plan(suite, tmp_path, out=tmp_path / "runs")
        assert len(plan.units(plan.tasks["deaths"])) == units
