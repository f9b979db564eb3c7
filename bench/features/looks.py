"""What of a split an encoder looks at."""

from __future__ import annotations

import numpy as np

from bench.data.dataset import Split
from bench.encoders.base import Encoder
from bench.errors import NotForThisEncoderError

CURE = 'say intensities = "hu" in [source] of a task whose files hold them'


def looked_at(encoder: Encoder, split: Split) -> np.ndarray:
    """Its images, uint8; for an encoder that asks for Hounsfield units these, float32, beside them.

    Raises NotForThisEncoderError where the task keeps 8 bits alone.
    """
    if encoder.card.preprocessing.input is None:
        return split.images
    if split.intensities is None:
        what = f"asks for Hounsfield units, and the task keeps 8 bits: {CURE}"
        raise NotForThisEncoderError(what, where=encoder.card.name)
    return split.intensities


def refuse_units(encoder: Encoder) -> None:
    """Raise NotForThisEncoderError for an encoder of Hounsfield units, where images are changed as 8 bits."""
    if encoder.card.preprocessing.input is not None:
        raise NotForThisEncoderError("takes Hounsfield units, and images are changed here as 8 bits")
