"""Diagnostics that need no labels (pathology contrast needs masks): what a representation looks like from inside."""

from collections.abc import Mapping

import numpy as np

from bench.analysis.diagnostics.spectrum import alignment, alpha_req, rankme, uniformity
from bench.analysis.diagnostics.tokens import dense_structure, high_norm_share, pathology_contrast, token_locality


def diagnose(
    pooled: np.ndarray,
    grid: np.ndarray | None = None,
    *,
    views: np.ndarray | None = None,
    masks: np.ndarray | None = None,
) -> Mapping[str, float | None]:
    """Every diagnostic the given features allow, by name; None where they do not.

    pooled: float (n, d) global vectors of n images, n > 1. grid: float (n, gh, gw, c) patch grids.
    views: float (n, d) global vectors of a second view of the same images (for alignment).
    masks: bool or int (n, h, w), lesion masks of the images behind `grid` (for pathology contrast).
    """
    found: dict[str, float | None] = {
        "rankme": rankme(pooled), "alpha_req": alpha_req(pooled), "uniformity": uniformity(pooled),
        "alignment": None if views is None else alignment(pooled, views),
        "token_locality": None, "high_norm_share": None, "dse": None,
    }  # fmt: skip
    if grid is not None and grid.shape[1] * grid.shape[2] >= 4:
        found["token_locality"] = token_locality(grid)
        found["high_norm_share"] = high_norm_share(grid)
        found["dse"] = dense_structure(grid)
    if grid is not None and masks is not None:
        for stratum, value in pathology_contrast(grid, masks).items():
            found[f"pathology_contrast[{stratum}]"] = value
    return found
