"""The phantom source of task cards: splits, checks, checksum, null variant, suites."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.data.dataset import arrays_of
from bench.data.load import load_task, read_source
from bench.data.sources.phantom import shuffled
from bench.data.task import read_suite, shipped_tasks
from bench.errors import CardError, DataError
from bench.files import sha256_arrays
from bench.phantoms.generate import modalities

TASKS = {name: task for name, task in shipped_tasks().items() if task.source.get("reader") == "phantom"}
HERE = Path()


def small(name, **changes):
    """A shipped card with few images."""
    task = TASKS[name]
    table = {k: v for k, v in task.source.items() if k != "sha256"}
    source = table | {"train": 8, "val": 4, "test": 4, "shift": 4} | changes
    return task.model_copy(update={"source": source})


def loaded(task):
    return read_source(task).load(task, HERE)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_every_card_agrees_with_its_phantom(name):
    task = TASKS[name]
    source = read_source(task)
    assert task.synthetic
    assert task.corpus == "phantom-v1"
    assert task.classes == list(modalities()[task.modality].classes(source.aim))
    assert (task.kind == "dense") == (source.aim == "dense")
    assert task.extent == ("unknown" if source.aim == "dense" else source.aim)
    assert source.sha256
    assert source.null is None
    patient = modalities()[task.modality].images_per_patient if source.aim == "focal" else 1
    counts = (source.train, source.val, source.test, source.shift)
    assert not any(n % patient for n in counts), "patients stay whole"


def test_the_suite_has_every_modality_and_kind_of_target():
    tasks = [TASKS[name] for name in read_suite("phantom-v1").tasks]
    cells = {(t.modality, t.source["aim"]) for t in tasks}
    assert cells == {(m, a) for m in modalities() for a in ("diffuse", "focal", "dense")}
    assert {t.target for t in tasks} == {"binary", "multi-class", "multi-label", "ordinal", "mask"}
    assert max(len(t.classes) for t in tasks if t.kind == "dense") > 2
    assert all(t.source["shift"] for t in tasks if t.kind == "global")


def test_the_demonstration_is_two_modalities_global_and_dense():
    tasks = [TASKS[name] for name in read_suite("phantom-mini").tasks]
    assert sorted((t.modality, t.kind) for t in tasks) == [
        (m, k) for m in ("ultrasound", "xray") for k in ("dense", "global")
    ]


def test_loads_through_the_store(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    data = load_task(small("phantom-oct-dense"))
    assert {n: len(s) for n, s in data.splits.items()} == {"train": 8, "val": 4, "test": 4, "test-shift": 4}
    assert data.tests["test-shift"].strata["site"].tolist() == [1] * 4
    assert data.sha256 == sha256_arrays(arrays_of(loaded(small("phantom-oct-dense"))))


def test_another_checksum_is_refused_and_the_right_one_is_not():
    task = small("phantom-oct-diffuse")
    right = sha256_arrays(arrays_of(loaded(task)))
    loaded(small("phantom-oct-diffuse", sha256=right))
    with pytest.raises(DataError, match="checksum"):
        loaded(small("phantom-oct-diffuse", sha256="0" * 64))


def test_wrong_cards_are_refused():
    task = small("phantom-oct-diffuse")
    with pytest.raises(CardError, match="classes"):
        loaded(task.model_copy(update={"classes": ["a", "b", "c"]}))
    with pytest.raises(CardError, match="synthetic"):
        loaded(task.model_copy(update={"synthetic": False}))
    with pytest.raises(CardError, match="no phantom"):
        loaded(task.model_copy(update={"modality": "pet"}))
    with pytest.raises(CardError, match="aim"):
        read_source(small("phantom-oct-diffuse", aim="difuse"))


def test_null_variant_shuffles_labels_and_nothing_else():
    plain, null = loaded(small("phantom-oct-diffuse", train=30)), loaded(small("phantom-oct-diffuse", train=30, null=7))
    assert np.array_equal(plain["train"].images, null["train"].images)
    assert sorted(plain["train"].labels) == sorted(null["train"].labels)
    assert not np.array_equal(plain["train"].labels, null["train"].labels)
    again = loaded(small("phantom-oct-diffuse", train=30, null=7))
    assert np.array_equal(null["train"].labels, again["train"].labels)


def test_null_variant_moves_masks_with_their_strata():
    null = loaded(small("phantom-oct-dense", null=3))["train"]
    assert np.array_equal((null.labels > 0).mean((1, 2)), null.strata["lesion_area"])


def test_null_variant_keeps_patients_together():
    split = loaded(small("phantom-mri-focal", train=40))["train"]
    null = shuffled(split, 5, "train")
    assert all(len(set(null.labels[null.groups == g])) == 1 for g in set(null.groups))
    assert not np.array_equal(null.labels, split.labels)
    lone = shuffled(replace(split, groups=None), 5, "train")
    assert sorted(lone.labels) == sorted(split.labels)
