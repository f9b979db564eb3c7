"""Diagnostics of the patch grid: locality, high-norm outliers, dense structure, contrast of lesions."""

from __future__ import annotations

import numpy as np
from scipy import ndimage
from scipy.stats import rankdata
from sklearn.cluster import KMeans

from bench.metrics.lesions import SIZES, size_bin
from bench.protocols._arrays import unit_length


def token_locality(grid: np.ndarray) -> float:
    """Mean over images of Spearman's correlation, over pairs of patches, of their cosine similarity with nearness.

    grid: float (n, gh, gw, c). The image's mean token is removed first. In [-1, 1]: 1 when similarity falls with
    distance, 0 when it does not depend on it. Needs no attention maps, so it fits any network with a grid.
    """
    n, gh, gw, _ = grid.shape
    i, j = np.triu_indices(gh * gw, 1)
    position = np.stack(np.meshgrid(np.arange(gh), np.arange(gw), indexing="ij"), -1).reshape(-1, 2)
    near = rankdata(-np.linalg.norm(position[i] - position[j], axis=1))
    near = (near - near.mean()) / near.std()
    found = []
    for tokens in np.asarray(grid, np.float64).reshape(n, gh * gw, -1):
        z = unit_length(tokens - tokens.mean(0))
        alike = rankdata((z @ z.T)[i, j])
        found.append(float(((alike - alike.mean()) * near).mean() / max(alike.std(), 1e-12)))
    return float(np.mean(found))


def high_norm_share(grid: np.ndarray, times: float = 4.0) -> float:
    """Share of patches whose norm exceeds the median by more than `times` scaled absolute deviations, in [0, 1].

    The artefact tokens of Darcet et al. 2024 (arXiv:2309.16588). grid: float (n, gh, gw, c).
    """
    norm = np.linalg.norm(np.asarray(grid, np.float64), axis=-1).ravel()
    deviation = 1.4826 * np.median(np.abs(norm - np.median(norm)))
    return float((norm > np.median(norm) + times * max(deviation, 1e-9 * np.median(norm))).mean())


def dense_structure(grid: np.ndarray, *, clusters: int = 8, weight: float = 1.0, max_tokens: int = 8192) -> float:
    """Dense structure estimate: distance between k-means clusters, less the spread inside, plus effective dimension.

    After DSE (arXiv:2510.17299), DSE = M_inter - M_intra + weight * M_dim, on unit tokens: M_inter is the mean distance
    of a token to its nearest other centre, M_intra its mean distance to its own, M_dim the effective rank as a share
    of the width. grid: float (n, gh, gw, c). Deterministic.
    """
    tokens = unit_length(np.asarray(grid, np.float64).reshape(-1, grid.shape[-1]))
    tokens = tokens[:: max(1, -(-len(tokens) // max_tokens))]
    model = KMeans(min(clusters, len(tokens) - 1), n_init=3, random_state=0).fit(tokens)
    distance = np.sort(model.transform(tokens), axis=1)
    s = np.linalg.svd(tokens - tokens.mean(0), compute_uv=False)
    p = s[s > 0] / s.sum() if s.sum() > 0 else np.ones(1)
    dimension = np.exp(-(p * np.log(p)).sum()) / min(tokens.shape)
    return float((distance[:, 1] - distance[:, 0]).mean() + weight * dimension)


FEWEST = 4
"""Images of a size bin whose mean says anything about an encoder."""


def pathology_contrast(grid: np.ndarray, masks: np.ndarray) -> dict[str, float | None]:
    """Size bin of the lesions -> mean cosine of lesion patches with each other less with the ring around them.

    grid: float (n, gh, gw, c); masks: (n, h, w), nonzero is lesion. A patch is a lesion patch when at least half of it
    is lesion (or it is the most covered one); the ring is the patches within two of a lesion patch that hold none.
    Above 0 when the encoder tells the lesion from its surroundings. A lesion of a single patch has no pair and is left
    out, and so is a bin of fewer than `FEWEST` images: on a coarse grid the smallest bin may be None.
    """
    found: dict[str, list[float]] = {name: [] for name in SIZES}
    names = list(SIZES)
    for tokens, mask in zip(np.asarray(grid, np.float64), masks, strict=True):
        cover = _cover(np.asarray(mask) > 0, grid.shape[1:3])
        if cover.max() == 0:
            continue
        lesion = cover >= min(0.5, cover.max())
        ring = ndimage.binary_dilation(lesion, np.ones((3, 3)), iterations=2) & (cover == 0)
        if not ring.any() or lesion.sum() < 2:
            continue
        z = unit_length(tokens - tokens.mean((0, 1)))
        inside, outside = z[lesion], z[ring]
        bin_name = names[int(size_bin(np.array([(np.asarray(mask) > 0).mean()]))[0])]
        found[bin_name].append(_mean_cosine(inside) - float((inside @ outside.T).mean()))
    return {name: float(np.mean(values)) if len(values) >= FEWEST else None for name, values in found.items()}


def _mean_cosine(z: np.ndarray) -> float:
    """Mean over pairs of different rows of z (m, c), unit vectors, m > 1."""
    m, total = len(z), z.sum(0)
    return float((total @ total - m) / (m * (m - 1)))


def _cover(mask: np.ndarray, grid: tuple[int, int]) -> np.ndarray:
    """Share of lesion in each patch of an even division of the mask, float64 grid."""
    rows, cols = (np.arange(size) * g // size for size, g in zip(mask.shape, grid, strict=True))
    index = rows[:, None] * grid[1] + cols
    pixels = np.bincount(index.ravel(), minlength=grid[0] * grid[1])
    return (np.bincount(index.ravel(), mask.ravel(), grid[0] * grid[1]) / np.maximum(1, pixels)).reshape(grid)
