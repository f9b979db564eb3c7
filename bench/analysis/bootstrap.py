"""Which rows a bootstrap draws: within groups, or whole clusters."""

import numpy as np


def counts(labels: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """How often each row is drawn, float64 (resamples, n): rows are drawn with replacement within equal labels."""
    labels = np.asarray(labels)
    out = np.zeros((resamples, len(labels)))
    for name in np.unique(labels):
        rows = np.flatnonzero(labels == name)
        drawn = rng.integers(len(rows), size=(resamples, len(rows)))
        np.add.at(out, (np.arange(resamples)[:, None], rows[drawn]), 1.0)
    return out


def cluster_counts(clusters: np.ndarray, labels: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """As `counts`, but whole clusters are drawn; a cluster's label is that of its first row."""
    _, first, member = np.unique(clusters, return_index=True, return_inverse=True)
    return counts(np.asarray(labels)[first], resamples, rng)[:, member.reshape(-1)]
