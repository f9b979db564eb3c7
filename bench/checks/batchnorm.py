"""A network with batch normalisation remembers the scale of its training inputs; a wrong mean or std shows there.

The variance that reaches the first such layer is compared with its running variance. The median over channels of
|log(variance / running variance)| is near 0 for the right normalisation and above 1 for a wrong one: ImageNet's std
against 0.5 changes variances by a factor of 4 to 5, a forgotten division by 255 by 65,025 (log 11).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from bench.checks.finding import Finding, Level
from bench.encoders.base import Encoder
from bench.encoders.card import Preprocessing

MARGIN = 0.5
"""A neighbour must fit better by this much (a factor of 1.6 in variance)."""
FAR = 3.0
"""A misfit that no change of images explains: a factor of 20 in variance."""
IMAGES = 24


def batch_norm(encoder: Encoder, images: Sequence[np.ndarray], others: Mapping[str, Preprocessing]) -> Finding:
    """Whether the first batch-norm layer of a network that has one knows inputs of this scale.

    images: uint8 (n, h, w, c) arrays of different tasks, each judged alone and averaged. others: name -> preprocessing
    to compare with.
    """
    choices = {"card": encoder.card.preprocessing, **others}
    fits = {name: float(np.mean([misfit(encoder, i, p) for i in images])) for name, p in choices.items()}
    spoken = ", ".join(f"{name} {value:.2f}" for name, value in fits.items())
    best = min(fits, key=lambda name: fits[name])
    if fits["card"] > fits[best] + MARGIN:
        level: Level = "problem" if fits["card"] > FAR else "warning"
        message = f"its first layer was trained on inputs scaled as by {best} (misfit {spoken}): is the card right?"
        return Finding("batch norm", level, message, fits)
    return Finding("batch norm", "ok", f"inputs have the scale its first layer was trained on (misfit {spoken})", fits)


def has_batch_norm(encoder: Encoder) -> bool:
    """Whether a layer of the network remembers the scale of its training inputs."""
    return encoder.module is not None and any(isinstance(m, nn.BatchNorm2d) for m in encoder.module.modules())


class _LayerReached(Exception):
    """The first batch-norm layer has been reached."""


def misfit(encoder: Encoder, images: np.ndarray, preprocessing: Preprocessing) -> float:
    """Median over channels of |log(variance / running variance)| at the first batch-norm layer that runs."""
    seen: list[float] = []

    def look(layer: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        if not seen and layer.running_var is not None:
            variance = inputs[0].float().var((0, 2, 3)).clamp_min(1e-12)
            seen.append(float((variance / layer.running_var.float().clamp_min(1e-12)).log().abs().median()))
            raise _LayerReached  # what comes after this layer would be computed for nothing

    modules = encoder.module.modules() if encoder.module is not None else ()
    layers = [m for m in modules if isinstance(m, nn.BatchNorm2d)]
    hooks = [layer.register_forward_pre_hook(look) for layer in layers]
    try:
        encoder.encode(torch.from_numpy(np.array(images[:IMAGES])), preprocessing=preprocessing)
    except _LayerReached:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return seen[0] if seen else 0.0
