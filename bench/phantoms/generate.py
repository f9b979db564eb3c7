"""From the numbers of a phantom task to its splits: every image is a pure function of its own keys."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed
from numpy.random import RandomState

from bench.discover import members
from bench.phantoms._fields import N, to_uint8
from bench.phantoms._random import balanced, stream
from bench.phantoms._ties import as_drawn
from bench.phantoms.base import SIZE_BINS, Aim, Drawn, Lesion, Modality, Scene

CHUNK = 25
"""Images drawn by one call of a worker process, at most; processes are started from twice as many on."""
CALLS = 8
"""Calls for each process, at least, so that all of them end at about the same time."""


@dataclass(frozen=True)
class PhantomPlan:
    """One phantom task: which modality, what it asks for, and the seed of the suite."""

    modality: str
    aim: Aim
    seed: int


@dataclass(frozen=True)
class PhantomSample:
    """n images of a plan; every array has n rows.

    images: uint8 (n, 128, 128, c). labels: what the aim asks for. ids, groups: str (n,); groups None where every
    image is a patient of its own. strata: name -> float64 (n,), see `split_of`.
    """

    images: np.ndarray
    labels: np.ndarray
    ids: np.ndarray
    groups: np.ndarray | None
    strata: dict[str, np.ndarray]


def modalities() -> dict[str, Modality]:
    """Name -> modality, one from each module of this folder."""
    return members("bench.phantoms", "MODALITY")


def split_of(plan: PhantomPlan, split: str, n: int, *, jobs: int | None = None) -> PhantomSample:
    """The first `n` images of a split ("train", "val", "test", "test-shift") with labels, groups and strata.

    The same whatever `jobs` (processes; None: all cores). strata: "lesion_area" (fraction of the image covered by
    the lesion or finding), "contrast" in [0, 1] (NaN where no lesion is graded), "site" 0 or 1, "diffuse", "focal".
    """
    rows = mapped(one, [(plan, split, i) for i in range(n)], jobs)
    images, labels, patients, strata = zip(*rows, strict=True)
    groups = np.array([f"{split}/p{p}" for p in patients])
    return PhantomSample(
        images=np.stack(images),
        labels=np.stack(labels),
        ids=np.array([f"{split}/{i}" for i in range(n)]),
        groups=groups if _modality(plan).images_per_patient > 1 and plan.aim == "focal" else None,
        strata={name: np.array([s[name] for s in strata]) for name in strata[0]},
    )


def one(plan: PhantomPlan, split: str, index: int) -> tuple[np.ndarray, np.ndarray, int, dict[str, float]]:
    """Image uint8 (128, 128, c), label, patient number and strata of one image."""
    modality = _modality(plan)
    keys = ("task", plan.seed, plan.modality, plan.aim, split)
    patient = index // (modality.images_per_patient if plan.aim == "focal" else 1)
    rng = stream(*keys, "image", index)
    scene = _scene(plan, modality, keys, patient, rng, site=int(split == "test-shift"))
    with as_drawn(plan.modality, plan.aim, plan.seed, split, index):
        drawn = modality.draw(stream(*keys, "patient", patient), rng, scene)
    return to_uint8(drawn.image), _label(plan.aim, modality, scene, drawn), patient, describe(scene, drawn)


def describe(scene: Scene, drawn: Drawn) -> dict[str, float]:
    """The strata of one image (see `split_of`)."""
    shown = drawn.mask if scene.lesion else drawn.finding
    return {
        "lesion_area": np.count_nonzero(shown) / N**2,
        "contrast": scene.lesion.contrast if scene.lesion else float("nan"),
        "site": scene.site,
        "diffuse": scene.diffuse,
        "focal": scene.focal,
    }


def random_lesion(modality: Modality, rng: RandomState, size: int) -> Lesion:
    """A lesion of size bin `size` with random area, contrast and kind."""
    return Lesion(rng.uniform(*SIZE_BINS[size]), rng.uniform(0, 1), rng.randint(1, len(modality.dense)))


def mapped(function: Callable[..., Any], calls: Iterable[tuple], jobs: int | None = None) -> list[Any]:
    """[function(*call) for call in calls], in order, over `jobs` processes (None: all cores)."""
    calls = list(calls)
    jobs = jobs or cpu_count()
    if jobs == 1 or len(calls) < 2 * CHUNK:
        return [function(*call) for call in calls]
    chunk = max(1, min(CHUNK, len(calls) // (CALLS * jobs)))
    chunks = [calls[i : i + chunk] for i in range(0, len(calls), chunk)]
    done = Parallel(n_jobs=jobs, backend="loky")(delayed(_chunk)(function, chunk) for chunk in chunks)
    return [row for chunk in done for row in chunk]


def _chunk(function: Callable[..., Any], calls: list[tuple]) -> list[Any]:
    return [function(*call) for call in calls]


def _modality(plan: PhantomPlan) -> Modality:
    return modalities()[plan.modality]


def _scene(plan: PhantomPlan, modality: Modality, keys: tuple, patient: int, rng: RandomState, site: int) -> Scene:
    """The task's own cue in balanced order; the other cue at random, so that it is no shortcut."""
    diffuse, focal = rng.randint(len(modality.diffuse)), rng.randint(modality.focal_count)
    if plan.aim == "diffuse":
        return Scene(balanced(patient, len(modality.diffuse), *keys), focal, site=site)
    if plan.aim == "focal":
        return Scene(diffuse, balanced(patient, modality.focal_count, *keys), site=site)
    size = balanced(patient, len(SIZE_BINS), *keys)
    return Scene(diffuse, 0, random_lesion(modality, rng, size), site)


def _label(aim: Aim, modality: Modality, scene: Scene, drawn: Drawn) -> np.ndarray:
    if aim == "dense":
        return drawn.mask
    if aim == "focal" and modality.multi_label:
        return np.array([scene.focal >> k & 1 for k in range(len(modality.focal))], np.uint8)
    return np.array(scene.diffuse if aim == "diffuse" else scene.focal, np.int64)
