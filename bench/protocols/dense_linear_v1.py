"""dense-linear-v1: as dense-linear-v2, with C up to 0.1, chosen on images with foreground alone."""

from __future__ import annotations

from bench.protocols.dense_linear import DenseLinear

PROTOCOL = DenseLinear("dense-linear-v1", [1e-4, 1e-3, 1e-2, 1e-1], empty=False)
