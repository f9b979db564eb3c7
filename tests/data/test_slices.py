"""Folders and tables of clinical files: slices, whole volumes, patients."""

import csv

import numpy as np
import pytest

from bench.data.check import check_task
from bench.data.images import read_header
from bench.data.load import load_task
from bench.errors import CardError, DataError
from tests.data.clinical import dicom, radiological, write_dicom, write_nifti, write_series

RNG = np.random.default_rng(0)
SPLITS = ("train", "train", "val", "test")


def noise():
    return RNG.integers(0, 256, (8, 8), dtype=np.uint8)


def volumes(depth=4):
    return {f"{split}/{c}/v{i}": RNG.integers(0, 256, (depth, 8, 8)).astype(np.uint8)
            for i, split in enumerate(SPLITS) for c in "ab"}  # fmt: skip


@pytest.fixture(params=["series", "nifti"])
def folder(request, tmp_path):
    """Eight volumes of two classes as series or NIfTI, and what they hold."""
    made = volumes()
    for name, slices in made.items():
        if request.param == "series":
            write_series(tmp_path / "set" / name, slices)
        else:
            write_nifti(tmp_path / "set" / f"{name}.nii.gz", *radiological(slices))
    return tmp_path, made


def load(make_task, folder, classes="ab", **source):
    return load_task(make_task(classes=list(classes), reader="imagefolder", folder="set", **source), folder=folder)


def test_all_slices_are_images_of_one_patient(folder, make_task):
    path, made = folder
    data = load(make_task, path, slices="all")
    assert [len(s) for s in data.splits.values()] == [16, 8, 8]
    expected = np.concatenate([made["test/a/v3"], made["test/b/v3"]])
    np.testing.assert_array_equal(data.tests["test"].images[..., 0], expected)
    assert data.tests["test"].ids[1].endswith("#slice=1")
    assert len(set(data.train.groups.tolist())) == 4
    np.testing.assert_array_equal(load(make_task, path, slices="middle").tests["test"].images[..., 0], expected[[2, 6]])


def test_whole_volumes(folder, make_task):
    path, made = folder
    data = load(make_task, path, volume=True, aggregation="mean")
    np.testing.assert_array_equal(data.val.images[1, ..., 0], made["val/b/v2"])
    fewer = load(make_task, path, volume=True, aggregation="mean", depth=2, size=16)
    assert fewer.val.images.shape == (2, 2, 16, 16, 1)
    np.testing.assert_array_equal(
        load(make_task, path, volume=True, aggregation="max", depth=2).val.images[1, ..., 0], made["val/b/v2"][[1, 3]]
    )
    assert check_task(
        make_task(classes=["a", "b"], reader="imagefolder", folder="set", slices="all"), folder=path
    ).images


def test_volumes_without_a_word_about_slices_are_refused(folder, make_task):
    path, _ = folder
    if any(path.rglob("*.nii.gz")):
        with pytest.raises(DataError, match=r'v0\.nii\.gz: holds 4 slices or frames: which\?.*slices = "middle"'):
            load(make_task, path)


def test_volumes_of_other_depths_want_a_depth(tmp_path, make_task):
    for i, (name, slices) in enumerate(volumes().items()):
        write_nifti(tmp_path / "set" / f"{name}.nii", *radiological(slices[: 3 + i % 2]))
    with pytest.raises(DataError, match=r"the volumes have 3 to 4 slices.*depth = 32"):
        load(make_task, tmp_path, volume=True, aggregation="mean")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"volume": True}, "volume = true and aggregation"),
        ({"volume": True, "aggregation": "mean", "slices": "all"}, "leave one"),
        ({"depth": 3}, "'depth' is for volume = true"),
        ({"window": "lugn"}, "did you mean 'lung'"),
        ({"window": [3, 1]}, "the first value of a window is below the second"),
        ({"window": ["lung", "bone"]}, "three of these for three channels"),
    ],
)
def test_keys_that_do_not_go_together_are_refused(make_task, tmp_path, keys, message):
    with pytest.raises(CardError, match=message):
        load(make_task, tmp_path, **keys)


def test_presets_are_for_ct(make_task, tmp_path):
    for split in ("train", "test"):
        write_nifti(tmp_path / f"set/{split}/a/x.nii", np.zeros((4, 4, 1), np.int16))
    task = make_task(reader="imagefolder", folder="set", window="lung", val=0.2)
    load_of = task.model_copy(update={"modality": "mri"})
    with pytest.raises((CardError, DataError), match="Hounsfield units, the modality is 'mri'"):
        load_task(load_of, folder=tmp_path)


def test_patients_come_from_the_tags_hashed(tmp_path, make_task):
    for i in range(24):
        write_dicom(tmp_path / f"set/{'ab'[i // 2 % 2]}/{i:02d}.dcm", noise(), PatientID=f"MRN{i // 2}")
    data = load(make_task, tmp_path, groups="dicom")
    groups = np.concatenate([s.groups for s in data.splits.values()])
    assert len(set(groups.tolist())) == 12
    assert not any("MRN" in g for g in groups)
    assert sum(len(set(s.groups.tolist())) for s in data.splits.values()) == 12, "no patient is in two splits"
    store = next(p for p in (tmp_path / "home" / "store").iterdir() if p.is_dir())
    assert not any(b"Doe" in f.read_bytes() or b"19700101" in f.read_bytes() for f in store.iterdir())


def test_patients_that_tags_know_and_nobody_asks_for_are_told(tmp_path, make_task):
    for i in range(24):
        write_dicom(tmp_path / f"set/{'ab'[i // 2 % 2]}/{i:02d}.dcm", noise(), PatientID=f"MRN{max(i // 2, 1)}")
    told = "24 files: their PatientID is that of another too"
    notes = load(make_task, tmp_path).notes
    assert any(note.startswith(told) for note in notes)
    assert not any("MRN" in note for note in notes)
    for keys in ({"groups": "dicom"}, {"patient": "(..)[.]dcm"}):
        assert not any(note.startswith(told) for note in load(make_task, tmp_path, **keys).notes)


def test_patients_from_folders_and_what_has_no_tags(tmp_path, make_task):
    for i in range(24):
        write_dicom(tmp_path / f"set/{'ab'[i // 2 % 2]}/p{i // 2}/{i}.dcm", noise())
    data = load(make_task, tmp_path, groups="folder")
    assert sum(len(set(s.groups.tolist())) for s in data.splits.values()) == 12
    from PIL import Image

    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "set/a/p0/x.png")
    with pytest.raises(DataError, match=r'x\.png: is no DICOM file, and groups = "dicom"'):
        load(make_task, tmp_path, groups="dicom")


def test_a_table_names_slices_and_masks_of_volumes(tmp_path, make_task):
    slices = RNG.integers(0, 256, (6, 8, 8)).astype(np.uint8)
    write_nifti(tmp_path / "v.nii.gz", *radiological(slices))
    write_nifti(tmp_path / "m.nii.gz", *radiological((slices > 99).astype(np.uint8)))
    rows = [{"image": f"v.nii.gz#slice={i}", "mask": f"m.nii.gz#slice={i}", "split": s} for i, s in enumerate(SPLITS)]

    def read():
        with open(tmp_path / "t.csv", "w", newline="") as file:
            writer = csv.DictWriter(file, rows[0].keys())
            writer.writeheader()
            writer.writerows(rows)
        return load_task(make_task("mask", ["no", "yes"], reader="csv", file="t.csv"), folder=tmp_path)

    data = read()
    np.testing.assert_array_equal(data.tests["test"].images[0, ..., 0], slices[3])
    np.testing.assert_array_equal(data.tests["test"].labels[0], slices[3] > 99)
    rows[3]["mask"] = "m.nii.gz#slice=2"
    with pytest.raises(DataError, match="line 5: names slice 2 of the mask for slice 3 of the image"):
        read()
    rows[3] |= {"mask": "m.nii.gz", "image": "v.nii.gz#slice=9"}
    with pytest.raises(DataError, match=r"v\.nii\.gz: has no slice 9: it has 6"):
        read()
    rows[3]["image"] = "v.nii.gz#slice=2"
    with pytest.raises(DataError, match=r"line 5: lists v\.nii\.gz#slice=2 again"):
        read()


def test_a_slice_of_what_has_none_is_refused(tmp_path, make_task):
    from PIL import Image

    for i in range(8):
        Image.fromarray(noise()).save(tmp_path / f"{i}.png")
    rows = "".join(f"{i}.png#slice=1,{'ab'[i % 2]},{split}\n" for i, split in enumerate(sorted(SPLITS * 2)))
    (tmp_path / "t.csv").write_text("image,label,split\n" + rows)
    with pytest.raises(DataError, match=r"png: is one picture, of which there is no slice 1"):
        load_task(make_task(classes=["a", "b"], reader="csv", file="t.csv"), folder=tmp_path)
    (tmp_path / "t.csv").write_text("image,label,split\n" + rows.replace("#slice=1", ""))
    task = make_task(classes=["a", "b"], reader="csv", file="t.csv", volume=True, aggregation="mean")
    with pytest.raises(DataError, match=r"png: is one picture, and the card says volume = true"):
        load_task(task, folder=tmp_path)


def test_a_folder_of_the_decathlon(tmp_path, make_task):
    for i in range(6):
        slices = RNG.integers(0, 256, (3, 8, 8)).astype(np.uint8)
        write_nifti(tmp_path / f"set/imagesTr/la_{i}.nii.gz", *radiological(slices))
        write_nifti(tmp_path / f"set/labelsTr/la_{i}.nii.gz", *radiological((slices > 128).astype(np.uint8)))
    task = make_task("mask", ["background", "atrium"], reader="imagefolder", folder="set", slices="all")
    data = load_task(task, folder=tmp_path)
    for split in data.splits.values():
        np.testing.assert_array_equal(split.labels, split.images[..., 0] > 128)
    assert sum(map(len, data.splits.values())) == 18


def test_several_windows_are_the_three_channels(tmp_path, make_task):
    for i, split in enumerate(SPLITS):
        for c in "ab":
            pixels = RNG.integers(0, 2000, (8, 8)).astype(np.uint16)
            tags = {"modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}
            write_dicom(tmp_path / f"set/{split}/{c}/{i}.dcm", pixels, **tags)
    data = load(make_task, tmp_path, window=["lung", "soft-tissue", "bone"])
    assert data.train.images.shape == (4, 8, 8, 3)
    one = load(make_task, tmp_path, window="soft-tissue")
    np.testing.assert_array_equal(data.train.images[..., 1], one.train.images[..., 0])
    assert one.notes[0] == "8 images: deeper than 8 bits, scaled by the card's window"


def test_an_older_card_keeps_its_prepared_copy(tmp_path, make_task):
    """What is said by none of the new keys leaves the name of the copy as it was before there were these keys."""
    from bench.data.load import read_source
    from bench.data.store import key_of

    task = make_task(reader="csv", file="t.csv", size=64)
    assert key_of(task, read_source(task), "x").startswith("ece03c55c9b84182"), "of version 5 of the reader"


def test_volumes_keep_their_spacing_through_resizing(tmp_path, make_task):
    """6 planes of 3 mm taken as 3, rows and columns of 1.5 mm shrunk from 24 to 12."""
    import nibabel

    for split in ("train", "val", "test"):
        for name in "ab":
            (tmp_path / split / name).mkdir(parents=True)
            voxels = np.random.default_rng(0).integers(0, 200, (24, 24, 6)).astype(np.int16)
            image = nibabel.Nifti1Image(voxels, np.diag([-1.5, -1.5, 3.0, 1.0]))
            nibabel.save(image, tmp_path / split / name / f"{split}{name}.nii.gz")
    options = {"volume": True, "aggregation": "mean", "window": [0, 255]}
    whole = load_task(make_task(classes=("a", "b"), reader="imagefolder", folder=".", **options), folder=tmp_path)
    assert whole.train.spacing.tolist() == [[3.0, 1.5, 1.5]] * 2
    options |= {"depth": 3, "size": 12}
    fewer = load_task(make_task(classes=("a", "b"), reader="imagefolder", folder=".", **options), folder=tmp_path)
    assert fewer.train.spacing.tolist() == [[6.0, 3.0, 3.0]] * 2


def test_files_of_several_frames_are_no_series_and_indices_no_images(make_task, tmp_path):
    for i in range(8):
        write_dicom(tmp_path / f"set/{'ab'[i % 2]}/{i}.dcm", np.stack([noise(), noise(), noise()]).astype(np.uint8))
    write_dicom(tmp_path / "set/a/DICOMDIR", noise())
    data = load(make_task, tmp_path, volume=True, aggregation="mean")
    assert sum(map(len, data.splits.values())) == 8
    assert data.train.images.shape[1] == 3


def test_a_report_in_a_series_is_named(make_task, tmp_path):
    folder = write_series(tmp_path / "set/a/s", np.stack([noise(), noise()]))
    report = dicom(noise(), modality="SR")
    for key in ("PixelData", "Rows", "Columns", "PhotometricInterpretation"):
        delattr(report, key)
    report.save_as(folder / "sr.dcm", enforce_file_format=True)
    with pytest.raises(DataError, match=r"sr\.dcm: is a DICOM file without a picture.*it is a report"):
        read_header(folder)
