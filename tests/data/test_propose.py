"""`data new` sees what lies in a folder and writes a card that loads; what can be meant two ways it says."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.cli import main
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
    assert "no column of them" in chosen
    (tmp_path / "c").mkdir()
    names = [png(tmp_path / "c" / "img" / f"{i}.png", noise(8, 8)).name for i in range(12)]
    write_coco(tmp_path / "c" / "a.json", noise(12, 8, 8, top=2), names, ["background", "cell"])
    task, _, _ = written(tmp_path / "c")
    assert task.source == {"reader": "coco", "root": "img", "file": "a.json"}


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["P001/a.png", "P002/a.png", "P003/a.png"], r"called P001, P002, P003, \.\.\.: patients rather than classes"),
        (["a.png", "b.png"], "says neither classes nor masks .*one folder a class"),
        (["one/a.png"], "has one class alone: one"),
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
    assert "4 to 9; 4 of each are taken, evenly" in chosen
    assert data.train.labels.shape[1:] == (4, 32, 24)
    assert sum(len(split) for split in data.splits.values()) == 16  # imagesTs has no masks


def test_masks_of_the_decathlon_keep_their_values(tmp_path):
    folder = write_decathlon(tmp_path / "t", labels={"background": 0, "spleen": 1, "tumour": 2}, modality="MR-T2w")
    task, _, _ = written(folder)
    assert (task.modality, task.classes) == ("mri", ["background", "spleen", "tumour"])
    write_decathlon(tmp_path / "u", labels={"0": "background", "2": "spleen"})
    task, _, _ = written(tmp_path / "u")  # the file is wrong: the masks hold 1
    assert task.classes == ["background", "foreground"]


def test_volumes_of_several_channels_are_refused_by_name(tmp_path):
    for i in range(4):
        write_nifti(tmp_path / "imagesTr" / f"{i}.nii.gz", np.zeros((8, 8, 3, 2), np.int16))
        write_nifti(tmp_path / "labelsTr" / f"{i}.nii.gz", np.ones((8, 8, 3), np.uint8))
    with pytest.raises(DataError, match=r"has 4 dimensions"):
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
