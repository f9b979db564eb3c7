"""Where and how an encoder computes: device, precision, memory layout, compilation, determinism."""

from __future__ import annotations

import os

import torch

from bench.encoders.base import Encoder
from bench.errors import RunError

PRECISIONS = ("auto", "fp32", "bf16")


def place(
    encoder: Encoder,
    device: str = "auto",
    *,
    precision: str = "auto",
    compiled: bool = False,
    deterministic: bool = False,
) -> Encoder:
    """Put an encoder on a device and fix how it computes; returns it.

    precision: "auto" is bfloat16 autocast on a GPU that computes in it, else float32. Features are float32 either way.
    compiled: through torch.compile. deterministic: only algorithms that give the same bits every time; one without
    such a form raises. On CUDA a convolutional network runs in channels-last layout, and float32 is float32, not TF32.
    Raises RunError for a device or precision this machine has not.
    """
    where = pick_device(device)
    if precision not in PRECISIONS:
        raise RunError(f"unknown precision {precision!r}", fix=f"one of: {', '.join(PRECISIONS)}")
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        torch.backends.cudnn.benchmark = False
    encoder.to(where)
    encoder.autocast = pick_dtype(where, precision)
    if where.type == "cuda":
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
        encoder.use_channels_last()
    if compiled:
        encoder.compile()
    return encoder


def pick_device(name: str) -> torch.device:
    """`auto` is CUDA, then Apple's MPS, then CPU. Raises RunError for an unknown or missing device."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise RunError(f"unknown device {name!r}", fix="auto, cpu, cuda, cuda:1, mps") from None
    missing = {
        "cuda": not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count(),
        "mps": not torch.backends.mps.is_available(),
    }
    if missing.get(device.type):
        raise RunError(f"there is no device {name!r} here", fix="--device auto takes the best there is")
    return device


def pick_dtype(device: torch.device, precision: str) -> torch.dtype | None:
    """Type the network computes in under autocast; None for plain float32."""
    if precision == "auto":
        precision = (
            "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
        )
    return torch.bfloat16 if precision == "bf16" else None
