"""CSV, image folder and Hugging Face sources, from files on disk to the contract."""

import csv

import numpy as np
import pytest
from PIL import Image

from bench.data.load import load_task
from bench.errors import CardError, DataError


def picture(path, value=0, size=(8, 8), channels=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(value)
    shape = size if channels is None else (*size, channels)
    pixels = rng.integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def table(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)


def global_rows(folder, n=24, splits=("train", "train", "val", "test")):
    rows = []
    for i in range(n):
        picture(folder / f"i{i}.png", i)
        rows.append({"image": f"i{i}.png", "label": "abc"[i // 4 % 3], "split": splits[i % 4], "patient": f"p{i}"})
    return rows


def test_csv_with_every_column(tmp_path, make_task):
    table(tmp_path / "t.csv", global_rows(tmp_path))
    data = load_task(make_task(reader="csv", file="t.csv"), folder=tmp_path)
    assert [len(s) for s in data.splits.values()] == [12, 6, 6]
    assert data.train.ids[:3].tolist() == ["i0.png", "i1.png", "i4.png"]
    assert data.train.labels[:3].tolist() == [0, 0, 1]
    assert data.train.groups[0] == "p0"
    np.testing.assert_array_equal(data.train.images[2, ..., 0], np.asarray(Image.open(tmp_path / "i4.png")))
    assert data.notes == ()


def test_csv_without_splits_sets_whole_patients_aside(tmp_path, make_task):
    rows = global_rows(tmp_path, 60)
    for i, row in enumerate(rows):
        del row["split"]
        row["patient"] = f"p{i // 2}"
    table(tmp_path / "t.csv", rows)
    usual = load_task(make_task(reader="csv", file="t.csv"), folder=tmp_path)
    assert [len(set(s.groups.tolist())) for s in usual.splits.values()] == [20, 4, 6]
    assert "60 images: no splits given, so split by patient: val 15%, test 20%" in usual.notes
    task = make_task(reader="csv", file="t.csv", val=0.2, test=0.2)
    data = load_task(task, folder=tmp_path)
    patients = [set(s.groups.tolist()) for s in data.splits.values()]
    assert len(set.union(*patients)) == sum(map(len, patients)), "no patient is in two splits"
    assert [len(p) for p in patients] == [18, 6, 6]
    table(tmp_path / "t.csv", rows[::-1])
    again = load_task(task, folder=tmp_path)
    assert set(again.train.ids) == set(data.train.ids), "the choice does not depend on the order of rows"


@pytest.mark.parametrize("column", ["patient_id", "PatientID", "Subject ID", "subject", "MRN", "lesion_id"])
def test_a_column_of_patients_is_found_under_its_usual_names(tmp_path, make_task, column):
    rows = [{**row, column: f"p{i // 2}"} for i, row in enumerate(global_rows(tmp_path, 60))]
    table(tmp_path / "t.csv", [{k: v for k, v in row.items() if k not in ("split", "patient")} for row in rows])
    data = load_task(make_task(reader="csv", file="t.csv"), folder=tmp_path)
    patients = [set(s.groups.tolist()) for s in data.splits.values()]
    assert [len(p) for p in patients] == [20, 4, 6]
    assert len(set.union(*patients)) == 30, "no patient is in two splits"


def test_fewer_than_three_patients_cannot_be_split(tmp_path, make_task):
    table(
        tmp_path / "t.csv", [row | {"split": "", "patient": f"p{i % 2}"} for i, row in enumerate(global_rows(tmp_path))]
    )
    with pytest.raises(DataError, match=r"cannot be split by patient: .* there are 2"):
        load_task(make_task(reader="csv", file="t.csv"), folder=tmp_path)


def test_shares_without_patients_keep_every_class(tmp_path, make_task):
    rows = [{"image": r["image"], "label": r["label"]} for r in global_rows(tmp_path, 60)]
    table(tmp_path / "t.csv", rows)
    data = load_task(make_task(reader="csv", file="t.csv", val=0.2, test=0.2), folder=tmp_path)
    assert np.bincount(data.tests["test"].labels).tolist() == [4, 4, 4]
    assert np.bincount(data.val.labels).tolist() == [4, 4, 4]


def test_csv_masks_of_any_value(tmp_path, make_task):
    rows = []
    for i, split in enumerate(["train"] * 3 + ["val", "test"]):
        picture(tmp_path / f"{i}.png", i, channels=3)
        mask = np.zeros((8, 8), np.uint8)
        mask[2:4, i:] = 255
        Image.fromarray(mask).save(tmp_path / f"{i}m.png")
        rows.append({"image": f"{i}.png", "mask": f"{i}m.png", "split": split})
    table(tmp_path / "t.csv", rows)
    data = load_task(make_task("mask", ["background", "x"], reader="csv", file="t.csv"), folder=tmp_path)
    assert data.train.labels.dtype == np.uint8
    assert data.train.labels[1].sum() == 14
    assert data.train.images.shape == (3, 8, 8, 3)
    Image.fromarray(np.full((8, 8), 3, np.uint8)).save(tmp_path / "0m.png")
    with pytest.raises(DataError, match=r"0m\.png: masks hold the values 3; expected 0 to 1.*nonzero"):
        load_task(make_task("mask", ["background", "x"], reader="csv", file="t.csv"), folder=tmp_path)
    Image.fromarray(np.zeros((8, 9), np.uint8)).save(tmp_path / "0m.png")
    with pytest.raises(DataError, match=r"0m\.png: is 9 x 8 pixels, its image 8 x 8"):
        load_task(make_task("mask", ["background", "x"], reader="csv", file="t.csv"), folder=tmp_path)


def test_csv_multi_label(tmp_path, make_task):
    rows = global_rows(tmp_path)
    for row, label in zip(rows, ["a|c", "", "b"] * 8, strict=True):
        row["label"] = label
    table(tmp_path / "t.csv", rows)
    data = load_task(make_task("multi-label", reader="csv", file="t.csv"), folder=tmp_path)
    assert data.train.labels[0].tolist() == [1, 0, 1]
    assert data.train.labels[1].tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "d"}, "line 2: unknown class 'd'; 1 of 24 labels"),
        ({"split": "trian"}, "line 2: unknown split 'trian'"),
        ({"image": ""}, "line 2: has no image"),
        ({"image": "gone.png"}, "1 of 24 files are missing, the first is .*gone.png"),
        ({"image": "i1.png"}, "line 3: lists i1.png again, with other cells than line 2"),
    ],
)
def test_csv_mistakes_are_named(tmp_path, make_task, change, message):
    rows = global_rows(tmp_path)
    rows[0] |= change
    table(tmp_path / "t.csv", rows)
    with pytest.raises(DataError, match=message):
        load_task(make_task(reader="csv", file="t.csv"), folder=tmp_path)


def test_csv_wrong_columns(tmp_path, make_task):
    table(tmp_path / "t.csv", [{"images": "x.png", "label": "a"}])
    with pytest.raises(DataError, match=r"has no column 'image' .*columns = \{ image = \"images\" \}"):
        load_task(make_task(reader="csv", file="t.csv"), folder=tmp_path)


def test_different_sizes_need_size(tmp_path, make_task):
    rows = global_rows(tmp_path)
    picture(tmp_path / "i3.png", 3, size=(10, 12), channels=3)
    table(tmp_path / "t.csv", rows)
    with pytest.raises(DataError, match=r"2 different sizes \(8 x 8, 12 x 10\).*size = 224"):
        load_task(make_task(reader="csv", file="t.csv"), folder=tmp_path)
    data = load_task(make_task(reader="csv", file="t.csv", size=16), folder=tmp_path)
    assert data.train.images.shape == (12, 16, 16, 3)


def test_image_folder_by_class(tmp_path, make_task):
    for split in ("train", "valid", "test"):
        for i, name in enumerate("aBc"):
            for j in range(4):
                picture(tmp_path / "set" / split / name / f"P{j}_{i}.png", i * 4 + j)
    task = make_task(reader="imagefolder", folder="set", patient="^(P[0-9]+)_")
    data = load_task(task, folder=tmp_path)
    assert [len(s) for s in data.splits.values()] == [12, 12, 12]
    assert data.val.labels.tolist() == [1] * 4 + [0] * 4 + [2] * 4
    assert data.train.groups[0] == "P0"
    assert "4 patients are in train and test: scores are too high" in data.notes
    picture(tmp_path / "set" / "train" / "d" / "P0_9.png", 9)
    with pytest.raises(DataError, match="unknown class 'd'"):
        load_task(task, folder=tmp_path)
    with pytest.raises(CardError, match="one pair of parentheses"):
        load_task(make_task(reader="imagefolder", folder="set", patient="P"), folder=tmp_path)


def test_image_folder_with_masks_and_no_splits(tmp_path, make_task):
    for i in range(20):
        picture(tmp_path / "images" / f"{i}.jpg", i)
        path = tmp_path / "masks" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.eye(8, dtype=np.uint8)).save(path)
    task = make_task("mask", ["background", "x"], reader="imagefolder", folder=".", val=0.2, test=0.25)
    data = load_task(task, folder=tmp_path)
    assert [len(s) for s in data.splits.values()] == [11, 4, 5]
    assert data.train.labels[0].sum() == 8
    (tmp_path / "masks" / "7.png").unlink()
    with pytest.raises(DataError, match=r"1 of 40 files are missing, the first is .*7\.png"):
        load_task(task, folder=tmp_path)


@pytest.fixture
def parquet(tmp_path, monkeypatch):
    """Writes parquet files of a split, with the library itself."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")

    def write(split, n, features=None, **columns):
        pixels = [np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8) for i in range(n)]
        rows = {"image": [Image.fromarray(p) for p in pixels], **columns}
        types = datasets.Features({"image": datasets.Image(), **(features or {})})
        datasets.Dataset.from_dict(rows, features=types).to_parquet(tmp_path / f"{split}.parquet")
        return np.stack(pixels)

    return write


def test_local_parquet_maps_class_labels_by_name(tmp_path, make_task, parquet):
    import datasets

    kinds = {"label": datasets.ClassLabel(names=["c", "a", "b"]), "pid": datasets.Value("string")}
    for split, n in (("train", 70), ("test", 9)):
        pixels = parquet(split, n, kinds, label=[i % 3 for i in range(n)], pid=[f"{split}{i // 2}" for i in range(n)])
    with pytest.raises(DataError, match="no validation split"):
        load_task(make_task(reader="huggingface", path="."), folder=tmp_path)
    data = load_task(make_task(reader="huggingface", path=".", val=0.2, patient="pid"), folder=tmp_path)
    assert data.tests["test"].labels[:3].tolist() == [2, 0, 1]
    np.testing.assert_array_equal(data.tests["test"].images[..., 0], pixels)
    assert len(data.train) + len(data.val) == 70
    assert not set(data.train.groups) & set(data.val.groups)
    with pytest.raises(DataError, match=r"has no column 'lab'.*it has image, label, pid"):
        load_task(make_task(reader="huggingface", path=".", val=0.2, label="lab"), folder=tmp_path)
    with pytest.raises(DataError, match=r"has no column 'patient'.*as patient = "):
        load_task(make_task(reader="huggingface", path=".", val=0.2, patient="patient"), folder=tmp_path)


def test_minus_one_of_the_hub_is_no_label_and_no_class(tmp_path, make_task, parquet):
    import datasets

    kinds = {"label": datasets.ClassLabel(names=["c", "a", "b"])}
    for split in ("train", "validation", "test"):
        parquet(split, 8, kinds, label=[-1, 0, 1, 2, -1, 0, 1, 2])
    with pytest.raises(DataError, match=r"has no label .*; 2 of 8 labels cannot be read.*blank = \"drop\""):
        load_task(make_task(reader="huggingface", path="."), folder=tmp_path)
    data = load_task(make_task(reader="huggingface", path=".", blank="drop"), folder=tmp_path)
    assert [s.labels.tolist() for s in data.splits.values()] == [[2, 0, 1, 2, 0, 1]] * 3


def test_parquet_in_shards_and_mapped_splits(tmp_path, make_task, parquet):
    import datasets

    for name in ("train-00000-of-00002", "train-00001-of-00002", "dev_set", "test"):
        parquet(name, 6, {"label": datasets.Value("string")}, label=["a", "b", "c"] * 2)
    splits = {"train": "train", "val": "dev_set", "test": "test"}
    data = load_task(make_task(reader="huggingface", path=".", splits=splits), folder=tmp_path)
    assert [len(s) for s in data.splits.values()] == [12, 6, 6]
    with pytest.raises(DataError, match="has no split 'dev'"):
        load_task(make_task(reader="huggingface", path=".", splits=splits | {"val": "dev"}), folder=tmp_path)


def test_local_parquet_masks(tmp_path, make_task, parquet):
    import datasets

    mask = Image.fromarray(np.eye(8, dtype=np.uint8) * 255)
    for split in ("train", "validation", "test"):
        parquet(split, 3, {"mask": datasets.Image()}, mask=[mask] * 3)
    data = load_task(make_task("mask", ["background", "x"], reader="huggingface", path="."), folder=tmp_path)
    np.testing.assert_array_equal(data.val.labels[0], np.eye(8))


def test_hub_imagefolder_layout(tmp_path, make_task, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for split in ("train", "validation", "test"):
        for i, name in enumerate("abc"):
            picture(tmp_path / "set" / split / name / "x.png", i)
    data = load_task(make_task(reader="huggingface", path="set", format="imagefolder"), folder=tmp_path)
    assert sorted(data.train.labels.tolist()) == [0, 1, 2]


def test_hub_ids_are_pinned(make_task):
    with pytest.raises(CardError, match="full commit hash"):
        load_task(make_task(reader="huggingface", id="org/set"))
    with pytest.raises(CardError, match="either 'id'"):
        load_task(make_task(reader="huggingface"))


@pytest.mark.parametrize(("name", "noted"), [("split", False), ("set", True), ("Partition", True)])
def test_a_column_of_nothing_but_splits_is_that_of_the_splits(tmp_path, make_task, name, noted):
    for i in range(12):
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    splits = ["TRAIN", "valid", "test"]
    rows = [[f"{i}.png", "ab"[i % 2], splits[i // 2 % 3], splits[i // 2 % 3]] for i in range(12)]
    for header in (["image", "label", name], ["image", "label", name, "fold"]):
        (tmp_path / "t.csv").write_text("\n".join(",".join(row[: len(header)]) for row in [header, *rows]))
        task = make_task("binary", "ab", reader="csv", file="t.csv")
        if len(header) == 4 and noted:
            with pytest.raises(DataError, match=f"has names of splits in the columns '{name}' and 'fold'"):
                load_task(task, folder=tmp_path)
            continue
        data = load_task(task, folder=tmp_path)
        assert data.val.ids.tolist() == ["2.png", "3.png", "8.png", "9.png"]
        assert any(f"splits are those of the column '{name}'" in f.message for f in data.findings) == noted


@pytest.mark.parametrize("layout", ["{split}/{kind}", "{kind}/{split}"])
@pytest.mark.parametrize("kinds", [("a", "b"), ("images", "masks")])
def test_the_folder_of_a_split_may_lie_above_or_below(tmp_path, make_task, layout, kinds):
    for split, start in (("train", 0), ("val", 8), ("test", 16)):
        for kind in kinds:
            folder = tmp_path / "set" / layout.format(split=split, kind=kind)
            folder.mkdir(parents=True)
            for i in range(start, start + 4):
                Image.fromarray(np.random.default_rng(i).integers(0, 2, (8, 8), dtype=np.uint8)).save(
                    folder / f"{i}.png"
                )
    (tmp_path / "set" / "results").mkdir()  # no images, so no class
    task = make_task("binary" if kinds == ("a", "b") else "mask", kinds, reader="imagefolder", folder="set")
    data = load_task(task, folder=tmp_path)
    assert {name.rsplit("/", 1)[1][:-4] for name in data.val.ids.tolist()} == {"8", "9", "10", "11"}


def test_links_to_nowhere_are_missing_files(tmp_path, make_task):
    for i in range(8):
        folder = tmp_path / "set" / "ab"[i % 2]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((8, 8), i * 30, np.uint8)).save(folder / f"{i}.png")
    (tmp_path / "set/a/annexed.png").symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataError, match=r"1 of 9 files are missing, the first is .*annexed\.png"):
        load_task(make_task("binary", "ab", reader="imagefolder", folder="set"), folder=tmp_path)
