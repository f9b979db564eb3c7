"""The images of bags as the protocols see them."""

from __future__ import annotations

import numpy as np

from bench.errors import NotForThisEncoderError
from bench.protocols.base import Labelled, Unlabelled


def members(part: Labelled | Unlabelled) -> np.ndarray:
    """float32 (n, m, d): the vector of each image. Raises NotForThisEncoderError for features of whole bags alone."""
    if part.features.members is None:
        raise NotForThisEncoderError("has features of whole bags, not of their images")
    return part.features.members


def shown(part: Labelled | Unlabelled) -> np.ndarray:
    """bool (n, m): which of the places of a bag hold an image."""
    assert part.sizes is not None, "a task of bags says how large they are"
    return np.arange(members(part).shape[1]) < np.asarray(part.sizes)[:, None]
