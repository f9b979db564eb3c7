"""Whole readers on small inputs: tables of findings, columns by name, folders of other files, deep pixels."""

import csv
import re

import numpy as np
import pytest
from PIL import Image

from bench.data.load import load_task
from bench.data.shares import group_name
from bench.errors import CardError, DataError

SPLITS = ("train", "train", "val", "test")


@pytest.fixture
def table(tmp_path):
    """Writes 16 pictures and a table of them: `cells(i)` are the cells of a line after its image."""

    def write(header, cells, separator=",", encoding="utf-8"):
        (tmp_path / "img").mkdir(exist_ok=True)
        for i in range(16):
            pixels = np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "img" / f"{i}.png")
        with open(tmp_path / "t.csv", "w", newline="", encoding=encoding) as file:
            csv.writer(file, delimiter=separator).writerows([header, *(cells(i) for i in range(16))])
        return tmp_path

    return write


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_as_they_are_saved(table, make_task, separator, encoding):
    folder = table(
        [" Image", "LABEL ", "split"],
        lambda i: [f"img\\{i}.png", f" {i // 4 % 3}.0", SPLITS[i % 4].upper()],
        separator,
        encoding,
    )
    data = load_task(make_task(reader="csv", file="t.csv"), folder=folder)
    assert data.train.ids[:2].tolist() == ["img/0.png", "img/1.png"]
    assert data.tests["test"].labels.tolist() == [0, 1, 2, 0]


def test_columns_named_on_the_card(table, make_task):
    folder = table(["Path", "dx", "pid", "fold"], lambda i: [f"img/{i}", "abc"[i // 4 % 3], f"{i}.0", SPLITS[i % 4]])
    columns = {"image": "path", "label": "dx", "patient": "pid", "split": "fold"}
    data = load_task(make_task(reader="csv", file="t.csv", columns=columns), folder=folder)
    assert data.val.groups.tolist() == ["2", "6", "10", "14"]
    with pytest.raises(DataError, match=r"has no column 'diagnosis'"):
        load_task(make_task(reader="csv", file="t.csv", columns=columns | {"label": "diagnosis"}), folder=folder)


def test_one_column_a_finding_under_each_policy(table, make_task):
    cells = [["1.0", "0.0"], ["-1.0", "1.0"], ["", "0.0"], ["0.0", "1.0"]]
    folder = table(["image", "Effusion", "Edema", "split"], lambda i: [f"img/{i}.png", *cells[i // 4], SPLITS[i % 4]])

    def read(**policy):
        task = make_task("multi-label", ["effusion", "edema"], reader="csv", file="t.csv", **policy)
        return load_task(task, folder=folder)

    with pytest.raises(DataError, match=r"line 6: 'effusion' is uncertain .*8 of 16 labels"):
        read()
    for policy, flags in (("zeros", [1, 0, 0, 0]), ("ones", [1, 1, 0, 0])):
        data = read(uncertain=policy, blank="zeros")
        assert data.val.labels[:, 0].tolist() == flags
        assert f"4 images: uncertain labels (-1), read as {'01'[policy == 'ones']}" in " ".join(data.notes)
    assert len(read(uncertain="drop", blank="drop").train) == 4


def test_one_hot_columns_of_a_task_with_one_class_an_image(table, make_task):
    folder = table(["image", "a", "b", "c", "split"], lambda i: [f"img/{i}.png", *np.eye(3)[i // 4 % 3], SPLITS[i % 4]])
    assert load_task(make_task(reader="csv", file="t.csv"), folder=folder).val.labels.tolist() == [0, 1, 2, 0]


def test_an_image_listed_twice_with_another_label(table, make_task):
    folder = table(["image", "label", "split"], lambda i: [f"img/{max(i, 1)}.png", "abc"[i % 3], "train"])
    with pytest.raises(DataError, match=r"line 3: lists 1\.png again, with other cells than line 2"):
        load_task(make_task(reader="csv", file="t.csv"), folder=folder)


def test_files_that_are_not_read_are_named(tmp_path, make_task):
    for split in ("train", "val", "test"):
        for name in "abc":
            folder = tmp_path / "set" / split / name
            folder.mkdir(parents=True)
            (folder / "IM01.mha").write_bytes(b"ObjectType = Image")
            (folder / "IM02").write_bytes(b"nothing known")
    task = make_task(reader="imagefolder", folder="set")
    with pytest.raises(DataError, match=r"\.mha: 9 files \(MetaImage\), no ending: 9 files.*window"):
        load_task(task, folder=tmp_path)


def test_masks_and_hidden_files_among_the_images_are_no_images(tmp_path, make_task):
    for k, split in enumerate(("train", "val", "test")):
        for i, name in enumerate("abc"):
            folder = tmp_path / "set" / split / name.upper()
            folder.mkdir(parents=True)
            for file in ("x.PNG", "x_mask.png", "x_mask_1.png", "._x.png"):
                pixels = np.random.default_rng(9 * k + i).integers(0, 256, (8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / file)
    data = load_task(make_task(reader="imagefolder", folder="set"), folder=tmp_path)
    assert [len(split) for split in data.splits.values()] == [3, 3, 3]
    assert "6 files: masks beside the images of 'A', left out" in data.notes


@pytest.mark.parametrize("dtype", [np.int64, np.uint16, np.int32])
def test_pixels_of_any_width_have_one_scale(tmp_path, make_task, tiny, dtype):
    arrays = {k: v.astype(dtype) if "images" in k else v for k, v in tiny().items()}
    np.savez(tmp_path / "t.npz", **arrays)
    task = make_task(reader="npz", file="t.npz")
    np.testing.assert_array_equal(load_task(task, folder=tmp_path).train.images[..., 0], arrays["train_images"])
    arrays["test_images"][3] += 100
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(DataError, match="more than 8 bits"):
        load_task(task, folder=tmp_path)
    data = load_task(make_task(reader="npz", file="t.npz", window=[0.0, 510.0]), folder=tmp_path)
    np.testing.assert_allclose(data.train.images[..., 0], arrays["train_images"] / 2, atol=0.5)


def test_patients_that_are_not_known_are_no_patient_together(table, make_task):
    unknown = ("", "unknown", "N/A", "?", "-", "NaN", "P7")
    folder = table(["image", "label", "patient"], lambda i: [f"img/{i}.png", "abc"[i % 3], unknown[i % 7]])
    data = load_task(make_task(reader="csv", file="t.csv"), folder=folder)
    groups = [name for split in data.splits.values() if split.groups is not None for name in split.groups.tolist()]
    assert [name for name in groups if name in unknown] == ["P7", "P7"]
    assert any("14 images: no patient given" in finding.message for finding in data.findings)


@pytest.mark.parametrize("name", ["1.23457E+11", "1E+11", "1,5e12"])
def test_a_patient_that_a_spreadsheet_has_shortened_is_refused(name):
    with pytest.raises(DataError, match=f"line 2: names the patient '{re.escape(name)}', a number that .* shortened"):
        group_name(name, "line 2")
    assert group_name("1e5") == "1e5"


def test_what_prints_nothing_and_zeros_behind_a_comma_make_no_other_patient():
    assert [group_name(name) for name in ("P7\u200b", "\ufeffP7", "7,0", "7.00", 7.0)] == ["P7", "P7", "7", "7", "7"]


def test_folders_of_one_name_are_told(tmp_path, make_task):
    for i in range(24):
        path = tmp_path / "ab"[i % 2] / f"P{i // 2 % 6}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    task = make_task("binary", "ab", reader="imagefolder", folder=".", groups="folder")
    told = [finding.message for finding in load_task(task, folder=tmp_path).findings]
    assert any("12 patients: folders of one name in several places" in message for message in told), told


def test_several_masks_in_a_cell_and_masks_that_are_shared(table, make_task):
    def cells(i):
        return [f"img/{i}.png", "m/0.png | m/1.png" if i else "m/2.png", SPLITS[i % 4]]

    folder = table(["image", "mask", "split"], cells)
    (folder / "m").mkdir()
    for i, size in enumerate((2, 3, 1)):
        Image.fromarray(np.pad(np.full((size, 2), 255, np.uint8), ((i * 2, 8 - size - i * 2), (0, 6)))).save(
            folder / "m" / f"{i}.png"
        )
    task = make_task("mask", ["background", "lesion"], reader="csv", file="t.csv")
    data = load_task(task, folder=folder)
    assert data.val.labels.sum((1, 2)).tolist() == [10] * 4
    assert any("15 images: their mask is that of another image too" in f.message for f in data.findings)
    folder = table(["image", "mask", "split"], lambda i: [f"img/{i}.png", f"img/{i}.png", SPLITS[i % 4]])
    task = make_task("mask", ["background", "lesion"], reader="csv", file="t.csv", mask="threshold")
    with pytest.raises(DataError, match=r"img/0\.png: is named as its own mask"):
        load_task(task, folder=folder)


def test_masks_that_belong_to_no_image_are_named(tmp_path, make_task):
    for split in ("train", "val", "test"):
        for i in range(2):
            for folder, name in (("images", f"{i}.png"), ("masks", f"mask_{i}.png")):
                (tmp_path / split / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / split / folder / name)
    task = make_task("mask", ["background", "lesion"], reader="imagefolder", folder=".")
    with pytest.raises(DataError, match=r"2 of 2 images have no mask .* 0\.png, and 2 masks no image, e\.g\. mask_0"):
        load_task(task, folder=tmp_path)


def test_an_image_beside_others_that_lacks_a_mask_is_not_its_own(tmp_path, make_task):
    for split in ("train", "val", "test"):
        (tmp_path / split).mkdir()
        for name in ("0.png", "0_mask.png", "1.png"):
            Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / split / name)
    task = make_task("mask", ["background", "lesion"], reader="imagefolder", folder=".")
    with pytest.raises(DataError, match=r"files are missing, the first is .*1_mask\.png"):
        load_task(task, folder=tmp_path)


def test_arrays_that_the_card_does_not_name_are_told(tmp_path, make_task, tiny):
    arrays = tiny() | {"train_patient": np.arange(12), "second_images": np.zeros((2, 8, 8), np.uint8)}
    np.savez(tmp_path / "t.npz", **arrays)
    told = [f.message for f in load_task(make_task(reader="npz", file="t.npz"), folder=tmp_path).findings]
    assert "2 arrays: not named by the card, left out: second_images, train_patient" in told
    arrays = tiny() | {f"{s}_p": np.full(n, np.nan) for s, n in (("train", 12), ("val", 6), ("test", 6))}
    np.savez(tmp_path / "t.npz", **arrays)
    task = make_task(reader="npz", file="t.npz", groups="{split}_p")
    told = [f.message for f in load_task(task, folder=tmp_path).findings]
    assert told == ["24 images: no patient given, each counted as a patient of its own"]


SPLIT_WORDS = [
    (["train", "train", "val", "holdout"], "splits in the column 'dataset', but also 'holdout'"),
    (["train", "train", "val", ""], "splits in the column 'dataset', but also ''"),
    (["train", "train", "val", "val"], "has no test images"),
]


@pytest.mark.parametrize(("words", "message"), SPLIT_WORDS, ids=["another word", "blank", "no test"])
def test_splits_that_are_half_said_are_not_passed_over(table, make_task, words, message):
    folder = table(["image", "label", "dataset"], lambda i: [f"img/{i}.png", "abc"[i // 4 % 3], words[i % 4]])
    with pytest.raises(DataError, match=message):
        load_task(make_task(reader="csv", file="t.csv"), folder=folder)


def test_columns_that_look_like_splits_or_patients_are_told(table, make_task):
    header = ["image", "label", "fold", "StudyID", "device id"]
    folder = table(header, lambda i: [f"img/{i}.png", "abc"[i % 3], i % 5, i // 3, i % 2])
    notes = " ".join(load_task(make_task(reader="csv", file="t.csv"), folder=folder).notes)
    assert "16 images: the column 'fold' names no splits that are read" in notes
    assert "several share the 'StudyID', which is not read; columns = { patient = \"StudyID\" }" in notes
    assert "device" not in notes
    named = {"columns": {"patient": "StudyID"}}
    assert "share" not in " ".join(load_task(make_task(reader="csv", file="t.csv", **named), folder=folder).notes)


def test_a_column_named_after_one_class(table, make_task):
    folder = table(["image", "sick", "split"], lambda i: [f"img/{i}.png", i // 4 % 2, SPLITS[i % 4]])
    with pytest.raises(DataError, match=r"has a column of sick, but none of well .*columns = \{ label = \"sick\" \}"):
        load_task(make_task("binary", ["well", "sick"], reader="csv", file="t.csv"), folder=folder)
    column = {"columns": {"label": "sick"}}
    data = load_task(make_task("binary", ["well", "sick"], reader="csv", file="t.csv", **column), folder=folder)
    assert data.val.labels.tolist() == [0, 1, 0, 1]
    with pytest.raises(DataError, match=r"1 in the column 'sick' would be the second class, 'well'"):
        load_task(make_task("binary", ["sick", "well"], reader="csv", file="t.csv", **column), folder=folder)


@pytest.mark.parametrize("folders", [("images", "annotations"), ("img", "seg")], ids="-".join)
def test_masks_in_a_folder_of_another_name_are_told(tmp_path, make_task, folders):
    for split in ("train", "val", "test"):
        for folder in folders:
            (tmp_path / split / folder).mkdir(parents=True)
            Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / split / folder / "0.png")
    with pytest.raises(DataError, match=f"holds images and no masks; .*{folders[1]} .*'masks'"):
        load_task(make_task("mask", ["ground", "lesion"], reader="imagefolder", folder="."), folder=tmp_path)


def test_arrays_in_hounsfield_windows_are_ct(tmp_path, make_task, tiny):
    np.savez(tmp_path / "t.npz", **{k: v.astype(np.int16) if "images" in k else v for k, v in tiny().items()})
    task = make_task(reader="npz", file="t.npz", window="lung")
    with pytest.raises(CardError, match="in Hounsfield units, the modality is"):
        load_task(task.model_copy(update={"modality": "mri"}), folder=tmp_path)
    assert load_task(task, folder=tmp_path).train.images.dtype == np.uint8


def test_volumes_whose_depth_seems_last_are_told(tmp_path, make_task):
    for shape, told in (((24, 24, 6), True), ((6, 24, 24), False), ((24, 24, 24), False)):
        splits = ("train", "val", "test")
        images = np.random.default_rng(0).integers(0, 256, (3, 6, *shape), dtype=np.uint8)
        arrays = {f"{s}_images": images[i] for i, s in enumerate(splits)}
        np.savez(tmp_path / "t.npz", **arrays, **{f"{s}_labels": np.arange(6) % 3 for s in splits})
        data = load_task(make_task(reader="npz", file="t.npz", volume=True, aggregation="mean"), folder=tmp_path)
        assert any("24 planes of 24 x 6 pixels: is the depth first" in note for note in data.notes) == told


@pytest.mark.parametrize("name", ["valid", "validation", "dev"])
def test_splits_of_arrays_under_their_other_names(tmp_path, make_task, tiny, name):
    arrays = {k.replace("val_", f"{name}_"): v for k, v in tiny().items()}
    shift = {f"test_shift_{key}": arrays[f"test_{key}"][::-1] for key in ("images", "labels")}
    patients = {k.replace("images", "patient"): np.arange(len(v)) for k, v in (arrays | shift).items() if "images" in k}
    np.savez(tmp_path / "t.npz", **arrays, **shift, **patients)
    data = load_task(make_task(reader="npz", file="t.npz", groups="{split}_patient"), folder=tmp_path)
    np.testing.assert_array_equal(data.val.images[..., 0].reshape(-1), arrays[f"{name}_images"].reshape(-1))
    np.testing.assert_array_equal(data.tests["test-shift"].labels, data.tests["test"].labels[::-1])
    assert data.val.groups.tolist() == [str(i) for i in range(len(data.val))]
    assert not any("left out" in note for note in data.notes)


def test_images_beside_the_folders_of_splits_are_told(tmp_path, make_task):
    for i in range(24):
        path = tmp_path / ("train", "val", "test", "extra")[i // 3 % 4] / "abc"[i % 3] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)).save(path)
    data = load_task(make_task(reader="imagefolder", folder="."), folder=tmp_path)
    assert any("6 images: beside the folders of splits, in 'extra', left out" in f.message for f in data.findings)
