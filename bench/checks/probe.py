"""A quick look at features on small phantom tasks: how well they rank cases, with the same replicates for each look."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from bench.data.dataset import Split
from bench.metrics.products import Weights
from bench.metrics.ranking import auroc
from bench.metrics.resample import mean_defined, resample_counts, with_point
from bench.phantoms.base import Aim

PHANTOMS: tuple[tuple[str, Aim], ...] = (("ultrasound", "diffuse"), ("xray", "diffuse"))
"""Modality and aim. Whole-image cues, so that a sound encoder of any kind is above chance with few cases."""
REPLICATES = 500
NEIGHBOURS = 10


@dataclass(frozen=True)
class ProbeTask:
    """Images and labels of one small task, and the bootstrap counts of its test cases."""

    name: str
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    counts: Weights


def phantom_probes(images: int) -> Iterator[ProbeTask]:
    """Small phantom tasks for the alarms: `images` training and test cases each, drawn as each is asked for."""
    for modality, aim in PHANTOMS:
        yield probe_of(f"{modality} {aim}", *(_drawn(modality, aim, split, images) for split in ("train", "test")))


def phantom_images(images: int) -> list[np.ndarray]:
    """The training images of each of these tasks: uint8 (n, h, w, c)."""
    return [_drawn(modality, aim, "train", images).images for modality, aim in PHANTOMS]


@cache
def _drawn(modality: str, aim: Aim, split: str, images: int) -> Split:
    from bench.phantoms.generate import PhantomPlan, split_of

    return Split(**vars(split_of(PhantomPlan(modality, aim, seed=1), split, images, jobs=1)))


def probe_of(name: str, train: Split, test: Split) -> ProbeTask:
    """A probe from two splits with one class index a case."""
    counts = with_point(resample_counts(name, "test", np.asarray(test.ids), None, replicates=REPLICATES), len(test))
    return ProbeTask(name, train.images, np.asarray(train.labels), test.images, np.asarray(test.labels), counts)


def ranked(probe: ProbeTask, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Macro one-versus-rest AUROC, mean of a nearest-neighbour and a ridge probe: float64 (1 + replicates,).

    train, test: float32 features (n, d). The first value is the estimate, the rest are its replicates.
    """
    classes = np.unique(probe.train_labels)
    wanted = probe.train_labels[:, None] == classes
    truth = probe.test_labels[:, None] == classes
    scores = (_neighbours(train, wanted, test), _ridge(train, wanted, test))
    return np.mean([mean_defined(auroc(truth, s, probe.counts)) for s in scores], axis=0)


def _neighbours(train: np.ndarray, wanted: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Cosine-weighted votes of the nearest training cases, after centring."""
    centre = train.mean(0)
    a, b = (_unit(f.astype(np.float64) - centre) for f in (train, test))
    similar = b @ a.T
    near = np.argsort(-similar, axis=1, kind="stable")[:, :NEIGHBOURS]
    votes = np.exp(np.take_along_axis(similar, near, 1) / 0.07)
    return np.einsum("nk,nkc->nc", votes, wanted[near].astype(np.float64))


def _ridge(train: np.ndarray, wanted: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Ridge regression on one-hot labels in its dual form, features standardised, penalty = number of features."""
    mean, std = train.mean(0, dtype=np.float64), train.std(0, dtype=np.float64)
    a, b = ((f - mean) / np.where(std > 1e-8, std, np.inf) for f in (train, test))
    kernel = a @ a.T / a.shape[1] + np.eye(len(a))
    return b @ a.T / a.shape[1] @ np.linalg.solve(kernel, wanted - wanted.mean(0))


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
