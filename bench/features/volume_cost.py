"""What encoding one volume takes: seconds, and memory beyond what the process holds before."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from bench.allocator import freed_memory_returned
from bench.memory import highest, highest_from_now
from bench.strict import Strict

if TYPE_CHECKING:  # torch is slow to import, and this is read with every record
    import torch

    from bench.encoders.base import Encoder

REPEATS = 2
"""Timed passes, after one that loads what is loaded once and maps files; the fastest counts, and the highest memory."""


class VolumeCost(Strict):
    """Of one volume, alone in its batch; slices of a volume are encoded together, in batches of 64 (256 on a GPU)."""

    inputs: Annotated[int, Field(ge=1, le=100_000)]
    """Inputs of the network a volume makes: 1 where it is taken whole, else its slices."""
    seconds: Annotated[float, Field(ge=0, le=1e8)]
    """Reading excluded, resizing included."""
    memory_mb: Annotated[float, Field(ge=0, le=1e8)] | None = None
    """MiB at the highest point above the start, features counted, weights and the mapped file of the volume not: of the
    GPU where it computes there, else of the process; None where the system does not tell."""


def volume_cost(
    encoder: Encoder,
    volume: np.ndarray,
    *,
    aggregation: Literal["mean", "max"] = "mean",
    spacing: np.ndarray | None = None,
    dense: bool = False,
) -> VolumeCost:
    """Encode one volume, uint8 (1, depth, h, w, c), three times. spacing: float64 (1, 3), mm. dense: with its grid.

    Raises as `extract`.
    """
    from bench.features.extract import extract

    def once() -> None:
        extract(encoder, volume, dense=dense, aggregation=aggregation, spacing=spacing)

    before, seconds = _start(encoder.device), []
    once()
    for _ in range(REPEATS):
        started = time.perf_counter()
        once()  # features come back to the CPU, so that a GPU has finished
        seconds.append(time.perf_counter() - started)
    most = _highest(encoder.device)
    memory = None if before is None or most is None else max(0, most - before) / (1 << 20)
    inputs = 1 if encoder.card.volumetric else volume.shape[1]
    return VolumeCost(inputs=inputs, seconds=min(seconds), memory_mb=memory)


def _start(device: torch.device) -> int | None:
    """Bytes in use now, from which on the highest is kept; None where that is not to be had."""
    if device.type == "cuda":
        import torch

        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    freed_memory_returned()
    return highest_from_now() if device.type == "cpu" else None


def _highest(device: torch.device) -> int | None:
    if device.type != "cuda":
        return highest()
    import torch

    return torch.cuda.max_memory_allocated(device)
