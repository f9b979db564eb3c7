"""linear-fine-v2: linear-v2 with C from 45 points of 10^[-6, 5], the grid of DINOv2 `eval/log_regression.py`."""

from __future__ import annotations

import numpy as np

from bench.protocols.linear import Linear

PROTOCOL = Linear(
    "linear-fine-v2", "Linear probe, fine grid", [float(c) for c in 10.0 ** np.linspace(-6, 5, 45)], "diagnostic"
)
