"""`data check` finds each kind of mistake once it is planted, and nothing in clean data."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.ndimage import gaussian_filter

from bench.cli.data import COMMAND
from bench.data.check import check_task
from bench.data.dataset import Split
from bench.data.duplicates import pairs_across


def texture(seed, size=48):
    """A smooth random picture, uint8 (size, size)."""
    noise = gaussian_filter(np.random.default_rng(seed).normal(size=(size, size)), 3)
    return ((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)


@pytest.fixture
def folder(tmp_path):
    """36 clean pictures in a CSV table, for a test to spoil."""
    rows = []
    for i in range(36):
        split = ("train", "train", "val", "test")[i % 4]
        Image.fromarray(texture(i)).save(tmp_path / f"{i}.png")
        rows.append({"image": f"{i}.png", "label": "abc"[i // 4 % 3], "split": split, "patient": f"p{i}"})
    return tmp_path, rows


def report_on(tmp_path, rows, task):
    with open(tmp_path / "t.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    report = check_task(task, folder=tmp_path)
    return report, {finding.kind: finding for finding in report.findings}


def test_clean_data(folder, make_task):
    report, found = report_on(*folder, make_task(reader="csv", file="t.csv"))
    assert report.ok
    assert not found
    assert report.images == {"train": 18, "val": 9, "test": 9}
    assert report.classes["test"] == {"a": 3, "b": 3, "c": 3}


def test_bad_files_are_listed_together(folder, make_task):
    tmp_path, rows = folder
    (tmp_path / "0.png").unlink()
    (tmp_path / "1.png").unlink()
    (tmp_path / "2.png").write_bytes(b"no image")
    report, found = report_on(tmp_path, rows, make_task(reader="csv", file="t.csv"))
    assert not report.ok
    assert found["missing"].message == "2 of 36 files are missing"
    assert [e.rsplit("/", 1)[-1] for e in found["missing"].examples] == ["0.png", "1.png"]
    assert "2.png" in found["unreadable"].examples[0]
    rows[3]["label"] = rows[7]["label"] = "d"
    _, found = report_on(tmp_path, rows, make_task(reader="csv", file="t.csv"))
    assert "t.csv, line 5: unknown class 'd'; 2 of 36 labels cannot be read" in found["unusable"].message


def test_leaks_and_absent_classes(folder, make_task):
    tmp_path, rows = folder
    rows[3]["patient"] = "p0"
    for row in rows:
        if row["split"] == "test" and row["label"] == "c":
            row["label"] = "a"
    report, found = report_on(tmp_path, rows, make_task(reader="csv", file="t.csv"))
    assert not report.ok
    assert found["shared-patient"].examples == ["p0"]
    assert found["absent-class"].message == "test has no image of 1 class: c"


def test_exact_and_near_duplicates_across_splits(folder, make_task):
    tmp_path, rows = folder
    Image.fromarray(texture(0)).save(tmp_path / "3.png")
    brighter = np.clip(texture(1) * 0.9 + 10, 0, 255).astype(np.uint8)
    Image.fromarray(brighter).save(tmp_path / "7.png")
    Image.fromarray(texture(4)).save(tmp_path / "5.png")
    report, found = report_on(tmp_path, rows, make_task(reader="csv", file="t.csv"))
    assert found["exact-duplicate"].examples == ["0.png = 3.png"]
    assert found["near-duplicate"].examples == ["1.png = 7.png"]
    assert found["near-duplicate"].message == "1 near duplicates across splits, 1 of them with different labels"
    assert found["repeated"].message == "1 train images repeat another one of train"
    assert not report.ok


def test_drawn_images_that_look_alike_are_no_leak(folder, make_task):
    tmp_path, rows = folder
    Image.fromarray(np.clip(texture(1) * 0.9 + 10, 0, 255).astype(np.uint8)).save(tmp_path / "7.png")
    Image.fromarray(texture(0)).save(tmp_path / "3.png")
    _, found = report_on(tmp_path, rows, make_task(reader="csv", file="t.csv").model_copy(update={"synthetic": True}))
    assert "exact-duplicate" in found
    assert "near-duplicate" not in found


def test_conversions_are_told(folder, make_task):
    tmp_path, rows = folder
    Image.fromarray(texture(0)).convert("RGB").quantize(64).save(tmp_path / "0.png")
    alpha = np.dstack([texture(1)] * 3 + [np.full((48, 48), 128, np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "1.png")
    report, _ = report_on(tmp_path, rows, make_task(reader="csv", file="t.csv"))
    assert report.ok
    told = " ".join(f.message for f in report.findings if f.kind == "conversion")
    assert "1 images: palette, CMYK or other colours, made RGB" in told
    assert "1 images: transparency laid on black" in told


def test_masks_of_another_size_and_value(tmp_path, make_task):
    rows = []
    for i, split in enumerate(["train"] * 4 + ["val", "test"]):
        Image.fromarray(texture(i)).save(tmp_path / f"{i}.png")
        mask = np.zeros((48, 48), np.uint8)
        mask[:5] = 0 if i == 3 else 1
        Image.fromarray(mask).save(tmp_path / f"m{i}.png")
        rows.append({"image": f"{i}.png", "mask": f"m{i}.png", "split": split})
    task = make_task("mask", ["background", "x"], reader="csv", file="t.csv")
    report, found = report_on(tmp_path, rows, task)
    assert report.ok
    assert found["empty-mask"].message == "1 train images have no foreground"
    assert "no-background" not in found
    for i in range(4):
        Image.fromarray(np.full((48, 48), 1, np.uint8)).save(tmp_path / f"m{i}.png")
    _, found = report_on(tmp_path, rows, task)
    assert found["no-background"].message == "no training mask has a pixel of 'background': do the classes start at 1?"
    Image.fromarray(np.zeros((48, 40), np.uint8)).save(tmp_path / "m0.png")
    Image.fromarray(np.full((48, 48), 9, np.uint8)).save(tmp_path / "m1.png")
    _, found = report_on(tmp_path, rows, task)
    assert found["mask"].message == "2 of 6 masks cannot be read"
    assert "m0.png: is 40 x 48 pixels, its image 48 x 48" in found["mask"].examples[0]
    assert "m1.png: masks hold the values 9" in found["mask"].examples[1]


def test_unrelated_and_flat_pictures_are_no_duplicates():
    def split(name, images):
        n = len(images)
        return Split(np.stack(images)[..., None], np.zeros(n, np.int64), np.array([f"{name}/{i}" for i in range(n)]))

    a = [texture(i) for i in range(60)] + [np.full((48, 48), 7, np.uint8)]
    b = [texture(i + 100) for i in range(60)] + [np.full((48, 48), 9, np.uint8)]
    assert pairs_across({"train": split("train", a), "test": split("test", b)}) == []
    noisy = [np.clip(t + np.random.default_rng(1).normal(0, 3, t.shape), 0, 255).astype(np.uint8) for t in a[:60]]
    found = pairs_across({"train": split("train", a), "test": split("test", noisy)})
    assert {(p.first, p.second) for p in found} >= {(f"train/{i}", f"test/{i}") for i in range(60)}


def test_images_that_use_next_to_nothing_of_their_range_are_a_problem(tmp_path, make_task, tiny):
    np.savez(tmp_path / "d.npz", **{k: v / 255.0 if "images" in k else v for k, v in tiny().items()})
    found = {}
    for high in (1.0, 255.0):
        task = make_task(reader="npz", file="d.npz", window=[0.0, high])
        found[high] = [f.message for f in check_task(task, folder=tmp_path).findings if f.kind == "unused-range"]
    assert found == {1.0: [], 255.0: ["all images lie between 0 and 1 of 0 to 255: are they as deep as 'window' in "
                                      "[source] says?"]}  # fmt: skip


@pytest.mark.parametrize("shape", [(3, 9), (1, 1), (16, 4)])
def test_images_thinner_than_a_hash_are_compared_too(shape):
    images = np.random.default_rng(0).integers(0, 256, (4, *shape, 1), dtype=np.uint8)
    parts = {
        name: Split(part, np.zeros(len(part), np.int64), np.array([f"{name}{i}" for i in range(len(part))]))
        for name, part in (("train", images[:3]), ("test", images[[0, 3]]))
    }
    assert [(p.first, p.second) for p in pairs_across(parts) if p.exact] == [("train0", "test0")]


def test_the_command_prints_and_exits(tmp_path, tiny):
    np.savez(tmp_path / "t.npz", **tiny(size=32))
    card = tmp_path / "own.toml"
    card.write_text(
        'schema = 1\nname = "own"\ntitle = "Own"\nmodality = "mri"\ntarget = "multi-class"\nclasses = ["a", "b", "c"]\n'
        'licence = "CC0"\ncorpus = "own"\nsource = { reader = "npz", file = "t.npz" }\n'
    )
    run = CliRunner().invoke(COMMAND, ["check", str(card), "--json"])
    assert run.exit_code == 0, run.output
    (report,) = json.loads(run.output)
    assert report["ok"]
    assert report["images"] == {"train": 12, "val": 6, "test": 6}
    arrays = tiny(size=32)
    arrays["test_images"][0] = arrays["train_images"][5]
    np.savez(tmp_path / "t.npz", **arrays)
    run = CliRunner().invoke(COMMAND, ["check", str(tmp_path)])
    assert run.exit_code == 1
    assert "1 exact duplicates across splits, 1 of them with different labels" in run.output
    assert "train/5 = test/0" in run.output
    (tmp_path / "t.npz").unlink()
    run = CliRunner().invoke(COMMAND, ["check", str(card)])
    assert run.exit_code == 1
    assert "no such file" in run.output


def test_the_known_duplicates_of_real_breast_ultrasound_are_found(real_data, make_task):
    task = make_task(classes=["normal", "benign", "malignant"], reader="npz", file="breastus.npz")
    report = check_task(task, folder=real_data)
    near = next(f for f in report.findings if f.kind == "near-duplicate")
    assert int(near.message.split()[0]) >= 50
    assert not any(f.kind == "exact-duplicate" for f in report.findings), "they were dropped when the file was made"


@pytest.mark.parametrize(("first", "second"), [("1", "01"), ("X-7", "x 7"), ("Case 3", "case_03"), ("P70_L", "P070-R")])
def test_one_patient_in_two_spellings_is_named(folder, make_task, first, second):
    tmp_path, rows = folder
    rows[0]["patient"], rows[3]["patient"] = first, second
    _, found = report_on(tmp_path, rows, make_task(reader="csv", file="t.csv"))
    assert found["alike-patient"].severity == "problem"
    assert found["alike-patient"].examples == [f"{first!r} (train) = {second!r} (test)"]
    rows[3]["patient"], rows[1]["patient"] = "p99", second
    assert report_on(tmp_path, rows, make_task(reader="csv", file="t.csv"))[1]["alike-patient"].severity == "note"


def test_tests_of_few_cases_are_told(folder, make_task):
    tmp_path, rows = folder
    kinds = {}
    for patients in (2, 1):
        for row in rows[3::4]:
            row["patient"] = f"t{int(row['image'].split('.')[0]) // 4 % patients}"
        kinds[patients] = report_on(tmp_path, rows, make_task(reader="csv", file="t.csv"))
    report, found = kinds[2]
    assert report.ok
    assert (
        found["few-cases"].message
        == "test is of 2 patients: scores say little, and intervals over so few are too narrow"
    )
    assert not kinds[1][0].ok
    assert "one-patient" in kinds[1][1]
    few = [{**row, "patient": ""} for i, row in enumerate(rows) if i % 4 < 3 or i < 12]
    assert (
        "test is of 3 images" in report_on(tmp_path, few, make_task(reader="csv", file="t.csv"))[1]["few-cases"].message
    )
