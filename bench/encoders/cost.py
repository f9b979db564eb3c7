"""What an encoder costs: forward FLOPs of one image."""

from __future__ import annotations

import torch
from torch.utils.flop_counter import FlopCounterMode

from bench.encoders.base import Encoder


def flops_per_image(encoder: Encoder) -> int | None:
    """Forward FLOPs (multiply-adds times two) of one image at the card's global input size; None without a network."""
    if encoder.module is None:
        return None
    p = encoder.card.preprocessing
    x = torch.zeros(1, p.channels, p.size, p.size, device=encoder.device)
    # Not in inference mode: the counter needs the dispatcher to see composite operations.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        encoder.forward(x, False)
    return int(counter.get_total_flops())
