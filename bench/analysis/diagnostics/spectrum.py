"""Diagnostics of the global vectors: effective rank, spectral decay, alignment and uniformity."""

import numpy as np
from scipy.spatial.distance import pdist

EPS = 1e-7


def rankme(z: np.ndarray) -> float:
    """Effective rank of z (n, d), from 1 to min(n, d): exp of the entropy of its normalised singular values.

    Garrido et al. 2023 (arXiv:2210.02885), eq. 2; meant for comparing runs of one method. 25,600 samples suffice.

    >>> round(rankme(np.eye(4)), 3)
    4.0
    """
    s = np.linalg.svd(np.asarray(z, np.float64), compute_uv=False)
    p = s / s.sum() + EPS if s.sum() > 0 else np.ones(1)
    return float(np.exp(-(p * np.log(p)).sum()))


def alpha_req(z: np.ndarray) -> float:
    """Decay exponent of the covariance spectrum of z (n, d): minus the slope of log eigenvalue over log index.

    Agrawal et al. 2022 (arXiv:2202.05808); values near 1 go with good joint-embedding representations. Least squares
    over the eigenvalues above 1e-10 of the largest. 0 when fewer than two are.
    """
    z = np.asarray(z, np.float64)
    s = np.linalg.svd(z - z.mean(0), compute_uv=False) ** 2
    s = s[s > 1e-10 * s[0]] if s[0] > 0 else s[:0]
    if len(s) < 2:
        return 0.0
    return float(-np.polyfit(np.log(np.arange(1, len(s) + 1)), np.log(s), 1)[0])


def alignment(z: np.ndarray, views: np.ndarray) -> float:
    """Mean squared distance between two views (n, d) of the same images on the unit sphere, in [0, 4]; 0 is aligned.

    Wang and Isola 2020 (arXiv:2005.10242), eq. 2 with exponent 2.
    """
    return float(((_unit(z) - _unit(views)) ** 2).sum(1).mean())


def uniformity(z: np.ndarray) -> float:
    """log of the mean Gaussian potential of all pairs of z (n, d) on the unit sphere, in [-8, 0]; lower is more even.

    Wang and Isola 2020 (arXiv:2005.10242), eq. 3, at temperature 2. At most 4,096 rows are used (evenly spaced).
    """
    z = _unit(z[:: max(1, -(-len(z) // 4096))])
    return float(np.log(np.exp(-2 * pdist(z, "sqeuclidean")).mean()))


def _unit(z: np.ndarray) -> np.ndarray:
    z = np.asarray(z, np.float64)
    return z / np.maximum(np.linalg.norm(z, axis=-1, keepdims=True), 1e-12)
