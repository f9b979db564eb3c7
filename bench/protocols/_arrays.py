"""One code for arrays of the CPU and tensors of a device: numpy and torch agree on most names."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from bench.features.resident import Array

A = TypeVar("A", bound=Array)
"""What goes in comes out: an array, or a tensor."""


def library(x: Array) -> Any:
    """The module, numpy or torch, whose functions take `x`."""
    return torch if isinstance(x, Tensor) else np


def wide(x: Array) -> Array:
    """A copy in float64."""
    return x.to(torch.float64, copy=True) if isinstance(x, Tensor) else x.astype(np.float64)


def narrow(x: A) -> A:
    """In float32, the same where it is that already."""
    found: Any = x.float() if isinstance(x, Tensor) else x.astype(np.float32, copy=False)
    return found


def beside(values: np.ndarray, x: Array) -> Array:
    """An array where `x` lies."""
    return torch.as_tensor(values, device=x.device) if isinstance(x, Tensor) else values


def host(x: Array) -> np.ndarray:
    """As an array of the CPU."""
    return x.cpu().numpy() if isinstance(x, Tensor) else x


def unit_length(x: A, *, out: A | None = None) -> A:
    """Rows scaled to Euclidean length one; a zero row stays zero. out: where they are put, `x` itself if need be."""
    of = library(x)
    found: Any = of.divide(x, of.clip(of.linalg.norm(x, axis=-1, keepdims=True), 1e-12, None), out=out)
    return found
