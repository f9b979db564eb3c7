"""Columns of sites, sexes and ages become subgroups; a site can be left out of training."""

import csv

import numpy as np
import pytest
from PIL import Image

import bench
from bench.data.load import load_task
from bench.data.traits import traits_of
from bench.errors import CardError, DataError
from bench.phantoms.generate import PhantomPlan, split_of
from tests.data.conftest import one_protocol


def test_names_are_cleaned_and_unknown_ones_empty():
    found = traits_of({"site": ["Jena [old] = 1\n", " Kiel", "N/A"], "age": ["adult", "child", "unknown"]})
    assert found == {"site": ["Jena old 1", "Kiel", ""], "age": ["adult", "child", ""]}
    assert traits_of({"age": ["0", "17.9", "18", "060Y", "101", ""]})["age"] == [
        "under 18", "under 18", "18-39", "60-79", "80 and over", "",
    ]  # fmt: skip


@pytest.fixture
def table(tmp_path):
    """A table of 60 images of three sites, and its card."""
    rng = np.random.default_rng(0)
    rows = []
    for i in range(60):
        Image.fromarray(rng.integers(0, 256, (8, 8), dtype=np.uint8)).save(tmp_path / f"{i}.png")
        rows.append({"image": f"{i}.png", "label": "ab"[i % 2], "clinic": ("Jena", "Kiel", "")[i // 2 % 3], "years": i})
    with open(tmp_path / "t.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return tmp_path


def test_columns_become_strata(table, make_task):
    source = {"reader": "csv", "file": "t.csv", "subgroups": {"site": "clinic", "age": "years"}}
    data = load_task(make_task("binary", "ab", **source), folder=table)
    for split in data.splits.values():
        numbers = [int(name.removesuffix(".png")) for name in split.ids.tolist()]
        assert split.strata["site"].tolist() == [("Jena", "Kiel", "")[i // 2 % 3] for i in numbers]
        assert split.strata["age"][0] == ("under 18" if numbers[0] < 18 else "18-39" if numbers[0] < 40 else "40-59")
    plain = load_task(make_task("binary", "ab", reader="csv", file="t.csv"), folder=table)
    assert not plain.train.strata
    assert plain.digests["train.images"] == data.digests["train.images"]


def test_a_site_can_be_left_out_of_training(table, make_task):
    source = {"reader": "csv", "file": "t.csv", "subgroups": {"site": "clinic"}}
    data = load_task(make_task("binary", "ab", **source, leave_out={"site": "Jena"}), folder=table)
    assert set(data.tests["test-shift"].strata["site"].tolist()) == {"Jena"}
    assert len(data.tests["test-shift"]) == 20
    assert "Jena" not in {*data.train.strata["site"].tolist(), *data.tests["test"].strata["site"].tolist()}
    with pytest.raises(DataError, match="has no image of the site 'Yena', which leave_out names"):
        load_task(make_task("binary", "ab", **source, leave_out={"site": "Yena"}), folder=table)
    with pytest.raises(CardError, match="leave_out names 'sex', which 'subgroups' does not"):
        load_task(make_task("binary", "ab", **source, leave_out={"sex": "f"}), folder=table)


def test_a_planted_gap_is_found_and_one_that_is_not_there_is_not(tmp_path):
    """Phantoms of two modalities, those of the old scanner nothing but noise; sites are drawn by lot."""
    rng, rows = np.random.default_rng(0), []
    for name, n in (("train", 30), ("val", 12), ("test", 50)):
        for label in ("xray", "mri"):
            for i, image in enumerate(split_of(PhantomPlan(label, "diffuse", 0), name, n).images):
                scanner, site = ("new", "old")[rng.integers(2)], ("Jena", "Kiel")[rng.integers(2)]
                pixels = image[..., 0] if scanner == "new" else rng.integers(0, 256, image.shape[:2], dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / f"{name}-{label}-{i}.png")
                about = {"image": f"{name}-{label}-{i}.png", "label": label, "split": name}
                rows.append(about | {"site": site, "scanner": scanner})
    with open(tmp_path / "t.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    (tmp_path / "own.toml").write_text(
        'schema = 1\nname = "own"\ntitle = "Own"\nmodality = "mixed"\ntarget = "binary"\nlicence = "x"\ncorpus = "x"\n'
        'classes = ["xray", "mri"]\nsource = { reader = "csv", file = "t.csv", '
        'subgroups = { site = "site", scanner = "scanner" } }\n'
    )
    small = one_protocol(tmp_path, "own", "linear-v2")
    frame = bench.run("colour-histogram", small, tasks=tmp_path, out=tmp_path / "runs", say=lambda line: None).frame
    at_full = frame[(frame.budget == "100%") & frame.protocol.str.startswith("linear")].set_index("metric")
    planted, lot = at_full.loc["auroc[scanner gap]"], at_full.loc["auroc[site gap]"]
    assert planted["low"] > 0.2
    assert lot["low"] < 0 < lot["high"]
    assert at_full.loc["auroc[scanner=old]", "value"] < at_full.loc["auroc[scanner=new]", "value"]
    leak = at_full.loc["site_leakage"]
    assert leak["split"] == "train"
    assert leak["low"] < 0.1


def test_one_subgroup_in_several_spellings():
    found = traits_of({"site": ["Jena", "JENA ", "1", "01", "1.0", "Kiel"]})
    assert found["site"] == ["Jena", "Jena", "1", "1", "1", "Kiel"]
    assert traits_of({"age": ["47,5", "018M", "003W", "90+", ">89", "12 days"]})["age"] == [
        "40-59", "under 18", "under 18", "80 and over", "80 and over", "under 18",
    ]  # fmt: skip


@pytest.mark.parametrize("odd", ["adult", "-1", "999", "40-50"])
def test_ages_beside_what_is_none_are_refused(odd):
    with pytest.raises(DataError, match=f"t.csv: the age '{odd}' is no age in years"):
        traits_of({"age": ["47", odd]}, where="t.csv")


def test_a_site_in_another_spelling_is_left_out_too(table, make_task):
    text = (table / "t.csv").read_text()
    (table / "t.csv").write_text(text.replace("Jena", "JENA", 3))
    source = {"reader": "csv", "file": "t.csv", "subgroups": {"site": "clinic"}, "leave_out": {"site": "jena"}}
    assert len(load_task(make_task("binary", "ab", **source), folder=table).tests["test-shift"]) == 20
