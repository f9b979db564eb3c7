"""Small parts of the protocols that train by gradient descent."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.task import Task
from bench.protocols._select import entropy, link


def cosine_steps(
    n: int, batch: int, epochs: int, rate: float, generator: torch.Generator, warm_up: float = 0.0
) -> Iterator[tuple[Tensor, float]]:
    """Rows and learning rate of each step: shuffled epochs, linear warm-up over a share of them, cosine to zero."""
    per_epoch = math.ceil(n / batch)
    total, done = per_epoch * epochs, 0
    warm = round(total * warm_up)
    for _ in range(epochs):
        for rows in torch.randperm(n, generator=generator).split(batch):
            if done < warm:
                now = (done + 1) / warm
            else:
                now = 0.5 * (1 + math.cos(math.pi * (done - warm) / max(1, total - warm)))
            done += 1
            yield rows, rate * now


def torch_seed(task: Task, seed: int) -> int:
    """Seed of torch's generators, from task and seed, the same for every encoder."""
    return int(np.random.SeedSequence(entropy(task, seed)).generate_state(1)[0])


def loss_of(task: Task, logits: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy: softmax over classes, or one logistic loss a column."""
    if link(task) == "softmax":
        return F.cross_entropy(logits, y)
    return F.binary_cross_entropy_with_logits(logits, y)


def train_head(
    task: Task,
    head: nn.Module,
    inputs: Callable[[Tensor], tuple[Tensor, ...]],
    y: Tensor,
    p: Mapping[str, Any],
    generator: torch.Generator,
) -> None:
    """Train a head by AdamW on targets `y`, on its device; inputs: what its call takes of some rows, int (b,).

    p: lr, weight_decay, batch, and the epochs and steps of which the longer counts.
    """
    y = y.to(next(head.parameters()).device)
    optimiser = torch.optim.AdamW(head.parameters(), lr=p["lr"], weight_decay=p["weight_decay"])
    per_epoch = math.ceil(len(y) / p["batch"])
    epochs = math.ceil(max(p["epochs"] * per_epoch, p["steps"]) / per_epoch)
    for rows, rate in cosine_steps(len(y), p["batch"], epochs, p["lr"], generator):
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.zero_grad()
        loss_of(task, head(*inputs(rows)), y[rows]).backward()
        optimiser.step()


def layer_groups(model: nn.Module, rate: float, decay: float, weight_decay: float) -> list[dict[str, Any]]:
    """AdamW groups with `peak` = rate * decay^(layers above); vectors (norms, biases) have no weight decay.

    A layer is what shares a name up to its first number ("network.blocks.3"), in the order of the parameters, which is
    that of the network; what has no number joins the layer before it.
    """
    layers: list[str] = []
    depth = {}
    for name, _ in model.named_parameters():
        numbered = re.match(r"^.*?\.\d+", name)
        layer = numbered.group() if numbered else name.rpartition(".")[0]
        if not layers or (numbered and layer not in layers) or name.startswith("head."):
            layers = layers if layer in layers else [*layers, layer]
        depth[name] = layers.index(layer) if layer in layers else len(layers) - 1
    top = len(layers) - 1
    return [
        {
            "params": [parameter],
            "lr": rate,
            "peak": rate * decay ** (top - depth[name]),
            "weight_decay": weight_decay if parameter.ndim > 1 else 0.0,
        }
        for name, parameter in model.named_parameters()
    ]


def with_drop_path(network: nn.Module, rate: float) -> None:
    """Drop residual branches in training (Huang et al. 2016), with a rate that grows from 0 to `rate` over the blocks.

    rate: share of images in [0, 1) whose branch is dropped in the last block. Blocks are those of timm, which keep a
    place for it (`drop_path`, `drop_path1`, `drop_path2`); other networks stay as they are.
    """
    from timm.layers import DropPath  # slow to import, and only fine-tuning needs it

    names, empty = ("drop_path", "drop_path1", "drop_path2"), (nn.Identity, DropPath, type(None))
    places = {block: [n for n in names if hasattr(block, n) and isinstance(getattr(block, n), empty)]
              for block in network.modules()}  # fmt: skip
    blocks = [block for block, found in places.items() if found]
    for i, block in enumerate(blocks):
        for name in places[block]:
            setattr(block, name, DropPath(rate * i / max(1, len(blocks) - 1)))
