"""The sets of open-v1: their indices, and where sources and arrays are at hand, their pixels."""

import csv
import io
import os
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.data.load import read_source
from bench.data.task import read_suite, shipped_tasks
from bench.locate import shipped
from tests.data.conftest import REAL

TASKS = {name: shipped_tasks()[name] for name in read_suite("open-v1").tasks}
GIVEN = [name for name in TASKS if name not in ("brainmri", "breastus", "footulcer", "nuclei")]


def index(name):
    with open(shipped("tasks") / "open" / f"{name}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", TASKS)
def test_no_group_and_no_picture_is_in_two_splits(name):
    rows = index(name)
    for column in ("group", "id", "image"):
        splits = {}
        for row in rows:
            if row[column]:
                splits.setdefault(row[column], set()).add(row["split"])
        assert all(len(found) == 1 for found in splits.values()), column
    assert len({row["id"] for row in rows}) == len(rows)
    assert {row["split"] for row in rows} == {"train", "val", "test"}


@pytest.mark.parametrize("name", [n for n, task in TASKS.items() if task.kind == "global"])
def test_each_class_is_in_each_split(name):
    counts = Counter((row["split"], row["label"]) for row in index(name))
    assert {label for _, label in counts} == set(TASKS[name].classes)
    assert len(counts) == 3 * len(TASKS[name].classes)


def test_the_suite_spans_ten_modalities_and_counts_shared_pictures_once():
    assert len({task.modality for task in TASKS.values()}) >= 10
    assert TASKS["busiseg"].origin == TASKS["breastus"].origin == "busi"


@pytest.mark.parametrize("name", GIVEN)
def test_pixels_are_those_of_the_arrays_made_elsewhere(name, monkeypatch):
    """The first rows of each split at 128 px, against arrays that another program made from the same sources."""
    given = REAL.parent / "open" / f"{name}.zip"
    sources = os.environ.get("MEDSSL_REPOSITORIES")
    if not given.is_file() or not sources:
        pytest.skip("needs MEDSSL_REPOSITORIES (clones of the sources) and the arrays beside MEDSSL_REAL_DATA")
    monkeypatch.setenv("MEDSSL_HOME", str(Path.home() / ".cache" / "medssl"))
    task = TASKS[name].model_copy(update={"source": TASKS[name].source | {"size": 128}})
    source = read_source(task)
    first = {row["id"]: row for split in ("train", "val", "test") for row in _first(index(name), split)}
    monkeypatch.setattr(type(source), "rows", lambda *_: list(first.values()))
    with zipfile.ZipFile(given) as archive:
        rest = dict(np.load(io.BytesIO(archive.read("rest.npz")), allow_pickle=False))
        for split, built in source.load(task, Path(".")).items():
            names = [n for n in sorted(archive.namelist()) if n.startswith(f"{split}/") and n.endswith(".webp")]
            for row, image_id in enumerate(built.ids):
                at = rest[f"{split}_ids"].tolist().index(image_id)
                picture = np.asarray(Image.open(io.BytesIO(archive.read(names[at]))))
                channels = built.images.shape[-1]
                assert np.array_equal(built.images[row], picture[..., :channels])
                if task.kind == "dense":
                    mask = archive.read(names[at].replace(".webp", ".mask.png"))
                    assert np.array_equal(built.labels[row], np.asarray(Image.open(io.BytesIO(mask))))
                else:
                    assert built.labels[row] == rest[f"{split}_labels"][at, 0]


def _first(rows, split):
    return [row for row in rows if row["split"] == split][:3]
