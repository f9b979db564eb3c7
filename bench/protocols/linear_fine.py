"""linear-fine-v2: linear-v2 with C from 45 points of 10^[-6, 5], the grid of DINOv2 `eval/log_regression.py`."""

from __future__ import annotations

from bench.protocols.linear import Linear

# Twelve digits: powers differ in the last one between processors, and the protocol's hash must not.
STRENGTHS = [float(f"{10 ** (-6 + k / 4):.12g}") for k in range(45)]
PROTOCOL = Linear("linear-fine-v2", "Linear probe, fine grid", STRENGTHS, "diagnostic")
