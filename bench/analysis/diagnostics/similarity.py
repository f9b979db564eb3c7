"""Similarity of the representations of two encoders: debiased linear CKA."""

from collections.abc import Mapping

import numpy as np
import pandas as pd


def hsic1(k: np.ndarray, m: np.ndarray) -> float:
    """Unbiased HSIC of two kernel matrices (n, n), n > 3. Song et al. 2012, eq. 5 (JMLR 13:1393)."""
    n = len(k)
    k, m = k - np.diag(np.diag(k)), m - np.diag(np.diag(m))
    rows_k, rows_m = k.sum(1), m.sum(1)
    trace = (k * m).sum()
    middle = rows_k.sum() * rows_m.sum() / ((n - 1) * (n - 2))
    return float((trace + middle - 2 * rows_k @ rows_m / (n - 2)) / (n * (n - 3)))


def cka(x: np.ndarray, y: np.ndarray) -> float:
    """Debiased linear CKA of x (n, d) and y (n, e), features of the same n > 3 images; 1 is equal up to rotation.

    About 0 for independent features, whatever their width; may fall below 0. Kornblith et al. 2019
    (arXiv:1905.00414) with the unbiased HSIC.
    """
    x, y = (np.asarray(z, np.float64) - np.mean(z, axis=0) for z in (x, y))
    k, m = x @ x.T, y @ y.T
    scale = hsic1(k, k) * hsic1(m, m)
    return float(hsic1(k, m) / np.sqrt(scale)) if scale > 0 else 0.0


def cka_matrix(features: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Debiased linear CKA between every two encoders on one fixed set of images: a square table, diagonal 1."""
    names = list(features)
    table = pd.DataFrame(np.eye(len(names)), names, names)
    for i, a in enumerate(names):
        for b in names[:i]:
            table.loc[a, b] = table.loc[b, a] = cka(features[a], features[b])
    return table
