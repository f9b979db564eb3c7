"""A quick look at features on small phantom tasks: how well they rank cases, with the same replicates for each look."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.data.dataset import TaskData
from bench.metrics.ranking import auroc
from bench.metrics.resample import mean_defined, resample_counts, with_point

PHANTOMS = ("phantom-ultrasound-diffuse-mini", "phantom-xray-diffuse-mini")
REPLICATES = 500
NEIGHBOURS = 10


@dataclass(frozen=True)
class Probe:
    """Images and labels of one small task, and the bootstrap counts of its test cases."""

    name: str
    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray
    counts: np.ndarray


def phantom_probes(images: int) -> list[Probe]:
    """The phantom tasks the alarms look at, at most `images` of each split. Raises as `bench.data.load.load_task`."""
    from bench.data.load import load_task
    from bench.data.task import shipped_tasks

    tasks = shipped_tasks()
    return [probe_of(load_task(tasks[name]), images) for name in PHANTOMS]


def probe_of(data: TaskData, images: int) -> Probe:
    """The first `images` training and test cases of a global task with one label a case."""
    train, test = data.train, data.tests["test"]
    n = min(images, len(test))
    counts = resample_counts(data.task.name, "test", np.asarray(test.ids[:n]), None, replicates=REPLICATES)
    return Probe(
        data.task.name,
        np.asarray(train.images[:images]),
        np.asarray(train.labels[:images]),
        np.asarray(test.images[:n]),
        np.asarray(test.labels[:n]),
        with_point(counts, n),
    )


def ranked(probe: Probe, train: np.ndarray, test: np.ndarray) -> np.ndarray:
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
