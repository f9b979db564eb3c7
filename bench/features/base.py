"""Deprecated: `Features` lies in `bench.encoders.features`. This place of it goes with 0.3."""

from __future__ import annotations

import warnings

from bench.encoders.features import Features

__all__ = ["Features"]
warnings.warn(
    "bench.features.base goes with 0.3: import Features from bench.encoders.features", FutureWarning, stacklevel=2
)
