"""Splits: deterministic whatever the number of processes, balanced, grouped, disjoint from the corpus."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys

import numpy as np
import pytest
from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__

import bench.phantoms
from bench.files import sha256_arrays
from bench.phantoms.base import SIZE_BINS
from bench.phantoms.corpus import attribute_classes, pretraining_corpus
from bench.phantoms.generate import PhantomPlan, mapped, modalities, one, split_of

EVERY = sorted(modalities())
EIGHT = ["ct", "dermoscopy", "fundus", "histology", "mri", "oct", "ultrasound", "xray"]


def digest(split):
    return sha256_arrays({"x": split.images, "y": split.labels, **split.strata})


def test_all_eight_modalities_are_there():
    assert EVERY == EIGHT


@pytest.mark.parametrize("name", EIGHT)
@pytest.mark.parametrize("aim", ["diffuse", "focal", "dense"])
def test_an_image_is_a_function_of_its_keys(name, aim):
    plan = PhantomPlan(name, aim, 3)
    first, label, _, strata = one(plan, "test", 5)
    again, label_again, _, _ = one(plan, "test", 5)
    other, *_ = one(plan, "test", 6)
    assert np.array_equal(first, again)
    assert np.array_equal(label, label_again)
    assert not np.array_equal(first, other)
    assert first.shape == (128, 128, modalities()[name].channels)
    assert first.dtype == np.uint8
    assert first.std() > 10
    assert strata["site"] == 0


def test_same_bytes_whatever_the_number_of_processes():
    plan = PhantomPlan("oct", "dense", 1)
    assert digest(split_of(plan, "val", 60, jobs=1)) == digest(split_of(plan, "val", 60, jobs=2))


@pytest.mark.parametrize(("images", "jobs"), [(60, 16), (200, 16), (300, 2), (7000, 16)])
def test_work_is_shared_out_evenly(images: int, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks taken in order by whoever is free keep all processes busy nine tenths of the time."""
    chunks = []

    def parallel(n_jobs: int, backend: str) -> object:
        assert n_jobs == jobs
        return lambda calls: [chunks.append(len(chunk)) or [n for (n,) in chunk] for _, (_, chunk), _ in calls]

    monkeypatch.setattr("bench.phantoms.generate.Parallel", parallel)
    assert mapped(int, [(n,) for n in range(images)], jobs) == list(range(images))
    busy = [0] * jobs
    for chunk in chunks:
        busy[busy.index(min(busy))] += chunk
    assert images / jobs / max(busy) > 0.9


def test_a_shorter_split_is_a_prefix_of_a_longer_one():
    plan = PhantomPlan("oct", "diffuse", 1)
    short, long = split_of(plan, "test", 5, jobs=1), split_of(plan, "test", 9, jobs=1)
    assert np.array_equal(short.images, long.images[:5])
    assert np.array_equal(short.labels, long.labels[:5])


@pytest.mark.parametrize("split", ["train", "val", "test", "test-shift"])
def test_seeds_and_splits_draw_other_images(split):
    base = one(PhantomPlan("mri", "diffuse", 1), split, 0)[0]
    assert not np.array_equal(base, one(PhantomPlan("mri", "diffuse", 2), split, 0)[0])
    assert not np.array_equal(base, one(PhantomPlan("mri", "focal", 1), split, 0)[0])


def test_classes_are_balanced():
    labels = split_of(PhantomPlan("oct", "focal", 1), "train", 40, jobs=1).labels
    assert np.bincount(labels).tolist() == [10, 10, 10, 10]


def test_multi_label_findings_are_balanced_and_independent():
    labels = split_of(PhantomPlan("xray", "focal", 1), "train", 32, jobs=1).labels
    assert labels.shape == (32, 4)
    assert labels.dtype == np.uint8
    assert (labels.T.astype(int) @ labels == 8 + 8 * np.eye(4)).all()


def test_patients_share_anatomy_and_label():
    split = split_of(PhantomPlan("mri", "focal", 1), "train", 12, jobs=1)
    assert np.unique(split.groups, return_counts=True)[1].tolist() == [4, 4, 4]
    assert all(len(set(split.labels[split.groups == g])) == 1 for g in set(split.groups))
    x = split.images[..., 0].reshape(12, -1).astype(float)
    alike = np.corrcoef(x)
    same = split.groups[:, None] == split.groups[None]
    assert alike[same & ~np.eye(12, dtype=bool)].mean() > alike[~same].mean()


def test_patients_are_not_shared_between_splits():
    groups = [
        set(split_of(PhantomPlan("mri", "focal", 1), name, 8, jobs=1).groups) for name in ("train", "val", "test")
    ]
    assert not groups[0] & groups[1]
    assert not groups[1] & groups[2]


@pytest.mark.parametrize("name", EIGHT)
def test_lesion_sizes_fall_in_their_strata(name):
    split = split_of(PhantomPlan(name, "dense", 1), "train", 8, jobs=1)
    edges = [0.0, 0.005, 0.02, 0.1, 1.0]
    areas = (split.labels > 0).mean((1, 2))
    assert np.array_equal(areas, split.strata["lesion_area"])
    assert np.histogram(areas, edges)[0].tolist() == [2, 2, 2, 2]
    assert len(SIZE_BINS) == 4
    assert ((split.strata["contrast"] >= 0) & (split.strata["contrast"] <= 1)).all()
    assert split.labels.max() < len(modalities()[name].dense)


def test_every_dense_class_occurs():
    for name in ("mri", "fundus", "oct"):
        found = np.unique(split_of(PhantomPlan(name, "dense", 1), "train", 16, jobs=1).labels)
        assert found.tolist() == list(range(len(modalities()[name].dense)))


def test_mapped_keeps_order_and_handles_nothing():
    assert mapped(divmod, [(7, 2), (9, 4)], 1) == [(3, 1), (2, 1)]
    assert mapped(divmod, [], 2) == []


def test_corpus_is_deterministic_and_mixes_everything():
    images, attributes = pretraining_corpus(16, 64, 5, jobs=1)
    again, same = pretraining_corpus(20, 64, 5, jobs=1)
    assert images.shape == (16, 64, 64, 3)
    assert np.array_equal(images, again[:16])
    assert all(np.array_equal(attributes[k], same[k][:16]) for k in attributes)
    assert np.bincount(attributes["modality"]).tolist() == [2] * 8
    limits = attribute_classes()
    assert attributes.keys() == limits.keys()
    assert all(v.min() >= 0 and v.max() < limits[k] for k, v in attributes.items())


def test_corpus_and_evaluation_images_are_disjoint_for_any_seed():
    corpus = {image.tobytes() for seed in (0, 1) for image in pretraining_corpus(8, 128, seed, jobs=1)[0]}
    evaluation = set()
    for name in ("ct", "oct", "ultrasound"):
        for image in split_of(PhantomPlan(name, "diffuse", 1), "train", 6, jobs=1).images:
            evaluation.add(np.repeat(image, 3, 2).tobytes())
    assert len(corpus) == 16
    assert not corpus & evaluation


def test_empty_corpus():
    images, attributes = pretraining_corpus(0, 32, 1)
    assert images.shape == (0, 32, 32, 3)
    assert all(len(v) == 0 for v in attributes.values())


AIMS = ["diffuse", "focal", "dense"]
FUNCTIONS = {"exp", "log", "cos", "sin", "arctan2", "hypot", "tan", "tanh", "power"}
"""Functions of numpy whose last bit is another on another processor (a root and a sum are the same everywhere)."""


class NudgedNumpy:
    """numpy on another processor: each value of `FUNCTIONS` may be one bit off."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)

    def __getattr__(self, name: str):
        found = getattr(np, name)
        return (lambda *args: self.nudged(found(*args))) if name in FUNCTIONS else found

    def nudged(self, value):
        return value * (1 + self.rng.integers(-1, 2, np.shape(value)) * np.finfo(float).eps)


def of_every_task(n: int) -> dict[str, str]:
    """Hash of the first images, labels and strata of every task."""
    plans = [PhantomPlan(name, aim, 1) for name in EIGHT for aim in AIMS]
    return {f"{plan.modality} {plan.aim}": digest(split_of(plan, "test-shift", n, jobs=1)) for plan in plans}


def test_the_last_bit_of_a_function_changes_no_image(monkeypatch):
    before = of_every_task(4)
    for info in pkgutil.iter_modules(bench.phantoms.__path__):
        module = importlib.import_module(f"bench.phantoms.{info.name}")
        if hasattr(module, "np"):
            monkeypatch.setattr(module, "np", NudgedNumpy(1))
    assert of_every_task(4) == before


def test_a_processor_without_vector_instructions_draws_the_same():
    used = [name for name in __cpu_dispatch__ if __cpu_features__[name]]
    if not used:
        pytest.skip("numpy uses no vector instructions here")
    code = "import json; from tests.phantoms.test_generate import of_every_task; print(json.dumps(of_every_task(4)))"
    plain = os.environ | {"NPY_DISABLE_CPU_FEATURES": " ".join(used)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=plain, check=True)
    assert json.loads(done.stdout) == of_every_task(4)
