"""A number to predict: read as it stands, split and budgeted without classes, scored on a board of its own."""

import csv
from collections import Counter

import numpy as np
import pytest
from PIL import Image

import bench
from bench.data.check import check_task
from bench.data.labels import LabelReader, read_all
from bench.data.load import load_task
from bench.errors import CardError, DataError
from tests.data.conftest import one_protocol


def written(folder, values):
    """A table of grey squares whose brightness is the number."""
    rows = []
    for i, value in enumerate(values):
        shade = float(str(value).replace(",", ".")) if str(value) not in ("", "old", "inf") else 0
        pixels = np.full((16, 16), shade, np.uint8) + np.random.default_rng(i).integers(0, 9, (16, 16), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        rows.append({"image": f"{i}.png", "label": value, "patient": f"p{i // 2}"})
    with open(folder / "t.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def test_numbers_are_read_as_they_stand(tmp_path, make_task):
    written(tmp_path, [f"{i},5" for i in range(60)])
    task = make_task("number", ["age, years"], reader="csv", file="t.csv")
    data = load_task(task, folder=tmp_path)
    assert (task.kind, task.metric, task.chance) == ("global", "r2", 0.0)
    for split in data.splits.values():
        assert split.labels.dtype == np.float64
        assert split.labels.tolist() == [int(i.removesuffix(".png")) + 0.5 for i in split.ids.tolist()]
    assert check_task(task, folder=tmp_path).classes["train"] == {"age, years": len(data.train)}


@pytest.mark.parametrize("wrong", ["old", "inf", ""])
def test_what_is_no_number_is_refused(tmp_path, make_task, wrong):
    written(tmp_path, [*range(40), wrong])
    task = make_task("number", ["age"], reader="csv", file="t.csv")
    with pytest.raises(DataError, match=r"line 42: (.* is no number|has no label)"):
        load_task(task, folder=tmp_path)


def test_a_number_has_one_name_and_other_targets_several(make_task):
    with pytest.raises(CardError, match="a number has one entry in 'classes'"):
        make_task("number", ["a", "b"], reader="csv", file="t.csv")
    with pytest.raises(CardError, match="a number has one entry in 'classes'"):
        make_task("multi-class", ["a"], reader="csv", file="t.csv")


def test_numbers_in_an_npz(tmp_path, make_task):
    rng = np.random.default_rng(0)
    arrays = {f"{s}_images": rng.integers(0, 256, (8, 8, 8), dtype=np.uint8) for s in ("train", "val", "test")}
    arrays |= {f"{s}_labels": np.linspace(0, 1, 8)[:, None] for s in ("train", "val", "test")}
    np.savez(tmp_path / "a.npz", **arrays)
    data = load_task(make_task("number", ["share"], reader="npz", file="a.npz"), folder=tmp_path)
    np.testing.assert_array_equal(data.train.labels, np.linspace(0, 1, 8))


def test_a_run_and_a_board_of_numbers(tmp_path, medssl_in):
    written(tmp_path, (np.arange(120) * 2).tolist())
    (tmp_path / "bright.toml").write_text(
        'schema = 1\nname = "bright"\ntitle = "Brightness"\nmodality = "mixed"\ntarget = "number"\nlicence = "x"\n'
        'classes = ["brightness"]\ncorpus = "x"\nsource = { reader = "csv", file = "t.csv" }\n'
    )
    results = bench.run("raw-pixels", None, tasks=tmp_path, out=tmp_path / "runs", say=lambda line: None)
    rows = results.frame[(results.frame.budget == "100%") & (results.frame.metric == "r2")]
    assert set(results.frame.protocol) == {"ridge-v1"}
    assert rows.value.tolist()[0] > 0.95
    assert rows.low.tolist()[0] < rows.value.tolist()[0]
    board = medssl_in(tmp_path, "leaderboard", "--records", "runs")
    assert ": Numbers" in board
    assert "raw-pixels" in board


def test_a_suite_of_classifiers_has_no_units_for_numbers(tmp_path):
    from bench.runs.plan import make_plan

    written(tmp_path, range(40))
    card = 'schema = 1\nname = "n"\ntitle = "N"\nmodality = "mixed"\ntarget = "number"\nlicence = "x"\n'
    (tmp_path / "n.toml").write_text(
        card + 'classes = ["n"]\ncorpus = "x"\nsource = { reader = "csv", file = "t.csv" }\n'
    )
    plan = make_plan(one_protocol(tmp_path, "n", "linear-v2"), tmp_path, out=tmp_path / "runs")
    assert plan.units(plan.tasks["n"]) == []


@pytest.mark.parametrize("text", ["1,000", "12,345,678", "1,000.5", "1_000", "40 years", ">90", "inf", "0x10"])
def test_what_may_be_another_number_or_none_is_refused(make_task, text):
    read = LabelReader(make_task("number", ["share"])).one
    assert [read(t, Counter()) for t in ("0,500", "12,5", "1e3", "-.5", "7.")] == [0.5, 12.5, 1000, -0.5, 7]
    with pytest.raises(DataError, match="can be thousands" if text.count(",") else "is no number"):
        read(text, Counter())


def test_numbers_that_stand_for_a_missing_one_are_told(tmp_path, make_task):
    written(tmp_path, [*range(20, 77), -999, 40, -999])
    said = check_task(make_task("number", ["age"], reader="csv", file="t.csv"), folder=tmp_path).findings
    assert any(
        f.kind == "odd-number" and "2 of 60 values of age lie far from the others: -999" in f.message for f in said
    )
    written(tmp_path, range(20, 80))
    said = check_task(make_task("number", ["age"], reader="csv", file="t.csv"), folder=tmp_path).findings
    assert "odd-number" not in {f.kind for f in said}


def test_a_split_of_one_number_has_no_score(tmp_path, make_task, tiny):
    arrays = {k: v if k.endswith("images") else np.arange(len(v)) * 1.5 for k, v in tiny().items()}
    np.savez(tmp_path / "t.npz", **arrays | {"test_labels": np.full(6, 5.0)})
    with pytest.raises(DataError, match="every test image has the same number"):
        load_task(make_task("number", ["age"], reader="npz", file="t.npz"), folder=tmp_path)


def test_two_numbers_an_image_are_told_as_such(make_task):
    with pytest.raises(DataError, match=r"shape \(4, 2\), expected \(n,\) or \(n, 1\): one number an image"):
        LabelReader(make_task("number", ["share"])).many(np.zeros((4, 2)), Counter())


def test_a_point_of_thousands_beside_a_decimal_comma_is_refused(make_task):
    read = LabelReader(make_task("number", ["volume"])).one
    with pytest.raises(DataError, match=r"line 1: '1\.234' can be thousands, since '950,5' has a decimal comma"):
        read_all(["950,5", "1.234"], read, Counter(), where="line {}".format)
    assert read_all(["0.950", "1.234"], read, Counter(), where=str) == [0.95, 1.234]
    assert read_all(["950,5", "1.5"], read, Counter(), where=str) == [950.5, 1.5]
