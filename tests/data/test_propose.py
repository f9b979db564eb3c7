"""`data new` sees what lies in a folder and writes a card that loads; what can be meant two ways it says."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import main
from bench.data.decathlon import described
from bench.data.load import load_task
from bench.data.propose import propose, write_proposal
from bench.data.survey import survey
from bench.data.task import read_task
from bench.errors import CardError, DataError
from tests.data.clinical import radiological, write_coco, write_decathlon, write_dicom, write_nifti

RNG = np.random.default_rng(0)


def noise(*shape, top=256, dtype=np.uint8):
    return RNG.integers(0, top, shape).astype(dtype)


def png(path: Path, pixels) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def written(folder, **options):
    """The card of a folder, what was chosen for it, and its data."""
    seen = survey(folder)
    made = propose(seen, **options)
    task = read_task(write_proposal(made, seen, folder / "task.toml"))
    data = load_task(task, folder=folder)
    assert {name: len(split) for name, split in data.splits.items()} == made.splits
    return task, " ".join(made.chosen), data


def hospital(folder: Path, patients: int = 20) -> Path:
    """Exports as a hospital has them: class, patient, files without endings; deep, of two sizes, with a window."""
    for name, mean in (("pneumonia", 1300), ("normal", 900)):
        for p in range(patients):
            for i in range(2):
                pixels = RNG.normal(mean, 200, (32 + 8 * (p % 2), 32)).clip(0, 4095).astype(np.uint16)
                tags = {"PatientID": f"{name}{p}", "WindowCenter": 1000, "WindowWidth": 2000}
                write_dicom(folder / name / f"P{p:03d}" / f"IM{i}", pixels, modality="DX", bits=12, **tags)
    return folder


def test_a_hospital_folder(tmp_path):
    task, chosen, data = written(hospital(tmp_path / "chest"))
    assert (task.modality, task.target, task.classes) == ("xray", "binary", ["normal", "pneumonia"])
    assert task.source == {"reader": "imagefolder", "folder": ".", "size": 224, "window": "tags", "groups": "dicom"}
    assert "2 sizes" in chosen
    assert "chosen tags" in chosen
    assert sum(len(set(s.groups.tolist())) for s in data.splits.values()) == 40


def test_computed_tomography_gets_a_preset(tmp_path):
    tags = {"modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}
    for i in range(24):
        write_dicom(tmp_path / "ct" / "ab"[i % 2] / f"{i}.dcm", noise(8, 8, top=2000, dtype=np.uint16), **tags)
    task, chosen, _ = written(tmp_path / "ct")
    assert (task.modality, task.source["window"]) == ("ct", "soft-tissue")
    assert '"lung", "bone", "brain"' in chosen


@pytest.mark.parametrize(("top", "window"), [(256, None), (4096, [0, 4095]), (60000, [0, 65535])])
def test_deep_pictures_get_the_range_of_their_bits(tmp_path, top, window):
    for i in range(24):
        png(tmp_path / "x" / "ab"[i % 2] / f"{i}.png", noise(8, 8, top=top, dtype=np.uint16))
    task, chosen, _ = written(tmp_path / "x", modality="oct")
    assert task.source.get("window") == window
    assert "patients: not known" in chosen
    assert task.modality == "oct"


def test_volumes_of_classes_and_of_masks(tmp_path):
    for i in range(16):
        write_nifti(tmp_path / "v" / "ab"[i % 2] / f"{i}.nii.gz", *radiological(noise(3 + i % 3, 8, 8)))
    task, _, data = written(tmp_path / "v")
    assert task.source["volume"]
    assert task.source["depth"] == 3
    assert data.train.images.ndim == 5
    for i in range(8):
        write_nifti(tmp_path / "d" / "imagesTr" / f"{i}.nii.gz", *radiological(noise(3, 8, 8, top=900, dtype=np.int16)))
        write_nifti(tmp_path / "d" / "labelsTr" / f"{i}.nii.gz", *radiological(noise(3, 8, 8, top=3)))
    task, chosen, data = written(tmp_path / "d")
    assert task.classes == ["background", "class 1", "class 2"]
    assert (task.source["volume"], task.source["window"]) == (True, "percentile")
    assert "aggregation" not in task.source
    assert "give each its name" in chosen
    assert data.train.labels.shape[1:] == (3, 8, 8)


def test_volumes_acquired_across_get_their_plane(tmp_path):
    for i in range(16):
        write_nifti(tmp_path / "s" / "ab"[i % 2] / f"{i}.nii", noise(3, 8, 8), np.diag([6.0, 1, 1, 1]))
    task, chosen, data = written(tmp_path / "s")
    assert task.source["plane"] == "sagittal"
    assert "coarsest across sagittal slices" in chosen
    assert data.train.images.shape[1:4] == (3, 8, 8)


@pytest.mark.parametrize("patient", ["", "P{}/"])
def test_folders_of_splits_and_classes_are_no_patients(tmp_path, patient):
    for split in ("train", "val", "test"):
        for name in ("healthy", "ill"):
            for i in range(4):
                png(tmp_path / "x" / split / name / patient.format(f"{split}{i}") / f"{i}.png", noise(8, 8))
    task, _, data = written(tmp_path / "x")
    assert task.source.get("groups") == ("folder" if patient else None)
    assert data.train.groups is None or len(set(data.train.groups)) == 8


def test_masks_of_odd_values(tmp_path):
    for i in range(8):
        png(tmp_path / "m" / "images" / f"{i}.png", noise(8, 8))
        png(tmp_path / "m" / "masks" / f"{i}.png", noise(8, 8, top=3) * np.uint8(100))
    task, _, data = written(tmp_path / "m")
    assert task.source["mask"] == [0, 100, 200]
    assert data.train.labels.max() == 2


@pytest.mark.parametrize(("column", "cells", "target"), [("Age", range(20, 80), "number"), ("sex", "FM", "binary")])
def test_all_that_a_table_says_of_an_image_is_what_is_predicted(tmp_path, column, cells, target):
    for i in range(60):
        png(tmp_path / "img" / f"{i}.png", noise(8, 8))
    lines = [f"img/{i}.png,{i // 2},{cells[i % len(cells)]}" for i in range(60)]
    (tmp_path / "list.csv").write_text("\n".join([f"image,patient,{column}", *lines]))
    task, chosen, _ = written(tmp_path)
    assert (task.target, task.source["columns"]["label"]) == (target, column)
    assert "subgroups" not in task.source
    assert f"label: the column {column!r}, which is all that the table says" in chosen


def test_what_is_known_of_images_in_folders_of_classes_is_not_what_is_predicted(tmp_path):
    for i in range(12):
        png(tmp_path / ("benign", "malignant")[i % 2] / f"{i}.png", noise(8, 8))
    lines = [f"{('benign', 'malignant')[i % 2]}/{i}.png,{40 + i}" for i in range(12)]
    (tmp_path / "list.csv").write_text("\n".join(["image,age", *lines]))
    with pytest.raises(DataError, match="has no column of labels"):
        propose(survey(tmp_path))


def test_a_name_keeps_letters_with_accents(tmp_path):
    png(tmp_path / "Köln" / "a" / "1.png", noise(8, 8))
    png(tmp_path / "Köln" / "b" / "1.png", noise(8, 8))
    assert propose(survey(tmp_path / "Köln")).card["name"] == "koln"


def test_tables_and_outlines(tmp_path):
    names = [png(tmp_path / "t" / "img" / f"{i}.png", noise(8, 8)).name for i in range(24)]
    with open(tmp_path / "t" / "list.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["Path", "dx", "pid", "Gender"])
        cells = [[f"img/{name}", ("melanoma", "benign")[i % 2], i, "FM"[i % 3 % 2]] for i, name in enumerate(names)]
        writer.writerows(cells)
    task, chosen, _ = written(tmp_path / "t")
    assert task.source == {"reader": "csv", "file": "list.csv", "columns": {"image": "Path", "label": "dx"},
                           "subgroups": {"sex": "Gender"}}  # fmt: skip
    assert task.classes == ["benign", "melanoma"]
    assert "patients: the column 'pid'" in chosen
    (tmp_path / "c").mkdir()
    names = [png(tmp_path / "c" / "img" / f"{i}.png", noise(8, 8)).name for i in range(12)]
    write_coco(tmp_path / "c" / "a.json", noise(12, 8, 8, top=2), names, ["background", "cell"])
    task, _, _ = written(tmp_path / "c")
    assert task.source == {"reader": "coco", "root": "img", "file": "a.json"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["P001/a.png", "P002/a.png", "P003/a.png"], r"called P001, P002, P003, \.\.\.: patients or folds rather than"),
        (["a.png", "b.png"], "says neither classes nor masks .*one folder a class"),
        (["one/a.png"], "images in one folder alone, one"),
        (["BraTS_001/a.png", "BraTS_002/a.png"], "patients or folds rather than classes"),
        (["fold 1/a.png", "fold 2/a.png"], "patients or folds rather than classes"),
        (["train_set/a/1.png", "test_set/a/1.png"], "called test_set, train_set: splits rather than classes"),
        (["train/a/1.png", "train/b/2.png", "external/a/3.png"], "beside those of its splits, in external"),
        (["Original/a.png", "GroundTruth/a.png"], "'GroundTruth': of masks rather than of a class"),
        (["a/1.png", "b/1.png", "logo.png"], "logo.png lies in no folder of a class"),
    ],
)
def test_folders_that_do_not_say_what_to_learn_are_refused(tmp_path, names, message):
    for name in names:
        png(tmp_path / "x" / name, noise(8, 8))
    with pytest.raises(DataError, match=message):
        propose(survey(tmp_path / "x"))
    assert not (tmp_path / "x" / "task.toml").exists()


def test_a_folder_without_images_names_what_is_there(tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "scan.mha").write_bytes(b"1")
    with pytest.raises(DataError, match=r"holds no images: \.mha: 1 files \(MetaImage\)"):
        survey(tmp_path / "x")


def test_a_card_that_is_there_is_not_written_over(tmp_path):
    folder = hospital(tmp_path / "chest", 5)
    written(folder)
    seen = survey(folder)
    with pytest.raises(CardError, match="is there already"):
        write_proposal(propose(seen), seen, folder / "task.toml")


@pytest.mark.timeout(900)
def test_from_a_hospital_folder_to_a_board_in_three_commands(tmp_path):
    hospital(tmp_path / "chest", 12)
    environment = os.environ | {"MEDSSL_HOME": str(tmp_path / "home"), "PYTHONPATH": str(Path(__file__).parents[2])}

    def medssl(*words):
        command = [sys.executable, "-c", "from bench.cli import main; main()", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = medssl("data", "new", "chest")
    assert "files     48 DICOM" in said
    assert "patients  24, by PatientID" in said
    assert "Wrote chest/task.toml" in said
    medssl("run", "colour-histogram", "--tasks", "chest")
    board = medssl("leaderboard", "--suite", "chest")
    assert "chest: Global" in board
    assert "colour-histogram" in board


def test_a_folder_of_the_decathlon_is_a_task_of_volumes_with_its_names(tmp_path):
    task, chosen, data = written(write_decathlon(tmp_path / "Task09_Spleen"))
    assert (task.modality, task.target, task.classes) == ("ct", "mask", ["background", "spleen"])
    assert task.source == {"reader": "imagefolder", "folder": ".", "volume": True, "depth": 4, "window": "soft-tissue"}
    assert "scored volume by volume" in chosen
    assert "4 to 6; 4 of each are taken, evenly" in chosen  # imagesTs has 9
    assert data.train.labels.shape[1:] == (4, 32, 24)
    assert sum(len(split) for split in data.splits.values()) == 16  # imagesTs has no masks


def test_a_byte_order_mark_before_what_the_decathlon_says_changes_nothing(tmp_path):
    folder = write_decathlon(tmp_path / "Task09_Spleen", n=4)
    before = described(folder)
    (folder / "dataset.json").write_text((folder / "dataset.json").read_text(), encoding="utf-8-sig")
    assert described(folder) == before is not None


def test_pixels_that_nobody_has_labelled_are_no_class(tmp_path):
    folder = write_decathlon(tmp_path / "t", labels={"background": 0, "spleen": 1, "ignore": 2})
    with pytest.raises(DataError, match=r"pixels that nobody has labelled \('ignore', 2\)"):
        propose(survey(folder))


def test_masks_of_the_decathlon_keep_their_values(tmp_path):
    folder = write_decathlon(tmp_path / "t", labels={"background": 0, "spleen": 1, "tumour": 2}, modality="MR-T2w")
    task, _, _ = written(folder)
    assert (task.modality, task.classes) == ("mri", ["background", "spleen", "tumour"])
    write_decathlon(tmp_path / "u", labels={"0": "background", "2": "spleen"})
    task, _, _ = written(tmp_path / "u")  # the file is wrong: the masks hold 1
    assert task.classes == ["background", "foreground"]


def test_of_volumes_of_several_channels_the_first_is_taken_and_said(tmp_path):
    for i in range(4):
        channels = np.stack([noise(8, 8, 3), noise(8, 8, 3, top=9)], -1).astype(np.int16)
        write_nifti(tmp_path / "imagesTr" / f"{i}.nii.gz", channels)
        write_nifti(tmp_path / "labelsTr" / f"{i}.nii.gz", noise(8, 8, 3, top=2))
    task, chosen, data = written(tmp_path)
    assert task.source["channel"] == 0
    assert "channel: there are 2: 0, 1; an encoder sees one" in chosen
    assert data.train.images.shape[1:] == (3, 8, 8, 1)


@pytest.mark.parametrize("channels", [1, 2])
def test_a_folder_of_nnunet_inside_another(tmp_path, channels):
    root = tmp_path / "nnUNet_raw" / "Dataset001_X"
    for i in range(8):
        for c in range(channels):
            write_nifti(root / "imagesTr" / f"case_{i:03d}_{c:04d}.nii.gz", noise(8, 8, 3).astype(np.int16) + 1000 * c)
        write_nifti(root / "labelsTr" / f"case_{i:03d}.nii.gz", noise(8, 8, 3, top=2))
    write_nifti(root / "imagesTs" / "case_900_0000.nii.gz", noise(9, 9, 9).astype(np.int16))
    names = {str(c): name for c, name in zip(range(channels), ("CT", "PET"), strict=False)}
    (root / "dataset.json").write_text(json.dumps({"channel_names": names, "labels": {"background": 0, "tumour": 1}}))
    task, chosen, data = written(tmp_path)
    assert task.classes == ["background", "tumour"]
    assert task.source["folder"] == "nnUNet_raw/Dataset001_X"
    assert ("0 (CT), 1 (PET); an encoder sees one" in chosen) == (channels == 2)
    assert sum(len(split) for split in data.splits.values()) == 8


def test_masks_do_not_decide_how_images_are_read(tmp_path):
    for i in range(8):
        png(tmp_path / "images" / f"{i}.png", noise(8, 8))
        png(tmp_path / "masks" / f"{i}.png", noise(8, 8, top=2).astype(np.uint16) * 65535)
    task, _, data = written(tmp_path)
    assert "window" not in task.source
    assert data.train.images.max() > 128


def test_floats_from_0_to_1_get_that_window(tmp_path):
    for i in range(8):
        path = tmp_path / "t" / "ab"[i % 2] / f"{i}.tif"
        path.parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(RNG.random((8, 8)).astype(np.float32)).save(path)
    task, _, data = written(tmp_path / "t")
    assert task.source["window"] == [0, 1]
    assert data.train.images.max() > 200
    path = tmp_path / "t" / "a" / "8.tif"
    Image.fromarray(np.full((8, 8), np.nan, np.float32)).save(path)
    (tmp_path / "t" / "task.toml").unlink()
    with pytest.raises(DataError, match=r"8.tif: images hold NaN"):
        written(tmp_path / "t")


def test_masks_in_colours_and_lossy_ones_get_their_rule(tmp_path):
    square = np.zeros((16, 16), np.uint8)
    square[4:12, 4:12] = 1
    for i in range(8):
        for name in "uv":
            png(tmp_path / name / "images" / f"{i}.png", noise(16, 16))
        png(tmp_path / "u/masks" / f"{i}.png", np.array([[0, 0, 0], [255, 0, 0]], np.uint8)[square])
        png(tmp_path / "v/masks" / f"{i}.jpg", square * 255)
    task, chosen, data = written(tmp_path / "u")
    assert (task.source["mask"], task.classes) == (["#000000", "#ff0000"], ["background", "#ff0000"])
    assert "black is taken for background" in chosen
    np.testing.assert_array_equal(data.train.labels[0], square)
    task, chosen, data = written(tmp_path / "v")
    assert task.source["mask"] == "threshold"
    np.testing.assert_array_equal(data.train.labels[0], square)


def test_masks_beside_their_images(tmp_path):
    for i in range(8):
        png(tmp_path / f"{i}.png", noise(8, 8))
        png(tmp_path / f"{i}_mask.png", noise(8, 8, top=2))
    assert written(tmp_path)[0].target == "mask"


def test_of_train_and_test_alone_val_is_set_aside(tmp_path):
    for split in ("train", "test"):
        for i in range(16):
            png(tmp_path / split / "ab"[i % 2] / f"{i}.png", noise(8, 8))
    task, chosen, data = written(tmp_path)
    assert task.source["val"] == 0.15
    assert "15% of train are set aside" in chosen
    assert [len(data.splits[name]) for name in ("train", "val", "test")] == [14, 2, 16]


def test_volumes_and_flat_images_are_not_mixed(tmp_path):
    for i in range(4):
        write_nifti(tmp_path / "ab"[i % 2] / f"{i}.nii.gz", np.zeros((8, 8, 3), np.int16))
    png(tmp_path / "a" / "z.png", noise(8, 8))
    with pytest.raises(DataError, match=r"holds volumes, and flat images beside them, e.g. a.z.png"):
        written(tmp_path)


def test_from_a_folder_of_the_decathlon_to_a_board_in_three_commands(tmp_path, monkeypatch, capfd):
    write_decathlon(tmp_path / "spleens", 12)
    monkeypatch.chdir(tmp_path)

    def medssl(*words):
        with pytest.raises(SystemExit) as stop:
            main(list(words))
        printed = capfd.readouterr()
        assert not stop.value.code, printed.err
        return printed.out

    assert "Wrote spleens/task.toml" in medssl("data", "new", "spleens")
    medssl("run", "raw-pixels", "--tasks", "spleens", "--device", "cpu")
    board = medssl("leaderboard", "--suite", "spleens")
    assert "spleens: Volumes" in board
    assert "slices" in next(line for line in board.splitlines() if " raw-pixels " in line and "reference" in line)


def arrays(labels, images=(12, 8, 8), **more):
    """Arrays of three splits, as people call them."""
    found = {f"{s}_images": noise(*images) for s in ("train", "val", "test")}
    return found | {f"{s}_labels": labels for s in ("train", "val", "test")} | more


@pytest.mark.parametrize(
    ("labels", "card", "source"),
    [
        (np.arange(12) % 2, {"target": "binary", "classes": ["0", "1"]}, {}),
        (np.arange(12)[:, None] % 3 + 1, {"target": "multi-class", "classes": ["1", "2", "3"]}, {"numbers": "name"}),
        (np.array(["normal", "ill"] * 6), {"target": "binary", "classes": ["normal", "ill"]}, {}),
        (np.arange(12) % 3 - 1, {"target": "binary", "classes": ["0", "1"]}, {"blank": "drop"}),
        (np.arange(12) % 2 * 2 - 1, {"target": "binary", "classes": ["-1", "1"]}, {"numbers": "name"}),
        (np.array([[1, -1], [0, 1]] * 6), {"target": "multi-label"}, {"uncertain": "zeros"}),
        (np.arange(12) / 4, {"target": "number", "classes": ["number"]}, {}),
        (np.array([[1, 1], [0, 1]] * 6), {"target": "multi-label", "classes": ["class 0", "class 1"]}, {}),
        (np.eye(2)[np.arange(12) % 2], {"target": "binary", "classes": ["class 0", "class 1"]}, {}),
        (noise(12, 8, 8, top=2), {"target": "mask", "classes": ["background", "foreground"]}, {}),
    ],
    ids=["numbers", "from 1", "names", "unknown", "signs", "flags of signs", "quantity", "flags", "one-hot", "masks"],
)
def test_an_npz_of_whatever_labels(tmp_path, labels, card, source):
    np.savez(tmp_path / "own.npz", **arrays(labels, train_patient=np.arange(12)))
    task, chosen, _ = written(tmp_path)
    assert {key: getattr(task, key) for key in card} == card
    keys = {"reader": "npz", "file": "own.npz", "images": "{split}_images", "labels": "{split}_labels"}
    assert task.source == keys | source
    assert "{split}_images are the images, {split}_labels what is predicted" in chosen


def test_an_npz_of_deep_volumes_under_other_names(tmp_path):
    volumes, labels = noise(6, 5, 8, 8, top=4000, dtype=np.int16), np.arange(6) % 2
    kinds = {"X": volumes, "y": labels, "patients": np.arange(6)}
    found = {f"{kind}_{s}": values for s in ("train", "val", "test") for kind, values in kinds.items()}
    np.savez(tmp_path / "own.npz", **found)
    task, _, data = written(tmp_path)
    assert task.source["window"] == [0.0, 4095.0]
    assert task.source["groups"] == "patients_{split}"
    assert data.train.images.shape == (6, 5, 8, 8, 1)


def two_tables(folder):
    """Two tables of the same images."""
    png(folder / "a.png", noise(8, 8))
    for name in "pq":
        (folder / f"{name}.csv").write_text("image,label\na.png,1\n")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda d: np.savez(d / "a.npz", x=noise(4, 8, 8)), r"holds the arrays x: which are images and labels\?"),
        (lambda d: np.savez(d / "a.npz", **arrays(np.arange(4) % 2, (4, 3, 8, 8))), r"3 x 8 x 8: channels first, or"),
        (lambda d: [np.savez(d / f"{n}.npz", x=1) for n in "ab"], r"holds 2 npz files: a\.npz, b\.npz"),
        (lambda d: np.save(d / "x.npy", noise(4)), r"\.npy: 1 files .*into one npz file"),
        (lambda d: (d / "train.parquet").write_bytes(b"PAR1"), r'reader = "huggingface", path = "\."'),
        (lambda d: [png(d / f"sub-0{i}/anat/x.png", noise(8, 8)) for i in (1, 2)], r"laid out as BIDS \(sub-01"),
        (two_tables, r"holds 2 tables of images: p\.csv, q\.csv .*column \"split\""),
        (lambda d: [png(d / "img/a.png", noise(8, 8)), (d / "m.jsonl").write_text("{}")], r"m\.jsonl is not read"),
        (lambda d: (png(d / "img/a.png", noise(8, 8)), np.savez(d / "a.npz", x=1)), r"a\.npz lies beside images"),
    ],
    ids=["keys", "channels first", "two npz", "npy", "parquet", "bids", "two tables", "jsonl", "npz beside images"],
)  # fmt: skip
def test_what_is_no_folder_of_images_says_what_to_do(tmp_path, write, message):
    write(tmp_path)
    with pytest.raises(DataError, match=message):
        propose(survey(tmp_path))


def test_what_a_table_does_not_use_is_said(tmp_path):
    for i in range(30):
        png(tmp_path / f"{i}.png", noise(8, 8))
    lines = [f"{i}.png,{'ab'[i % 2]},{i % 5}\n" for i in range(24)]
    (tmp_path / "t.csv").write_text("".join(["image,label,fold\n", *lines]))
    chosen = written(tmp_path)[1]
    assert "images: 6 of 30 stand in no line of the column 'image'" in chosen
    assert "columns: not used: fold" in chosen
