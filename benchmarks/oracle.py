"""What a supervised model learns from a phantom task with more images than the task has: the upper row of headroom.

Global tasks: a logistic head over mean and maximum of every stage of a network pretrained on ImageNet, so that fine
and coarse structure are both seen. Dense tasks: a small U-shaped network trained from scratch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.nn import functional as f

from bench.data.dataset import Split
from bench.data.task import Task
from bench.encoders.base import Encoder

BATCH, PEAK_RATE, STRENGTH = 32, 4e-3, 1e-3
Predict = Callable[[np.ndarray], np.ndarray]
"""From images uint8 (n, h, w, c) to outputs as a protocol gives them (see `bench.protocols.base.Prediction`)."""


def global_oracle(task: Task, train: list[Split], encoder: Encoder) -> Predict:
    """A head fitted on all `train` splits; `encoder` is a timm EfficientNet."""
    head = LogisticRegression(C=STRENGTH, max_iter=500)
    model = make_pipeline(StandardScaler(), OneVsRestClassifier(head) if task.target == "multi-label" else head)
    model.fit(np.concatenate([_stages(encoder, s.images) for s in train]), np.concatenate([s.labels for s in train]))
    return lambda images: model.predict_proba(_stages(encoder, images)).astype(np.float32)


@torch.no_grad()
def _stages(encoder: Encoder, images: np.ndarray) -> np.ndarray:
    """Mean and maximum over the image of the output of every stage but the first, (n, d)."""
    network, card, rows = encoder.module.eval(), encoder.card.preprocessing, []
    for start in range(0, len(images), 64):
        x = torch.from_numpy(np.array(images[start : start + 64])).permute(0, 3, 1, 2).float() / 255
        x = network.bn1(network.conv_stem(((x - card.mean[0]) / card.std[0]).expand(-1, 3, -1, -1)))
        parts = []
        for stage in network.blocks:
            x = stage(x)
            parts += [x.mean((2, 3)), x.amax((2, 3))]
        rows.append(torch.cat(parts[2:], 1))
    return torch.cat(rows).numpy()


def _block(i: int, o: int, stride: int) -> nn.Sequential:
    separable = nn.Conv2d(o, o, 3, 1, 1, groups=o, bias=False), nn.Conv2d(o, o, 1, bias=False)
    first = nn.Conv2d(i, o, 3, stride, 1, bias=False)
    return nn.Sequential(first, nn.BatchNorm2d(o), nn.ReLU(), *separable, nn.BatchNorm2d(o), nn.ReLU())


class SmallUNet(nn.Module):
    """Four stages from half resolution down, and back with skip connections."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        widths = (16, 32, 64, 128)
        self.stem = nn.Sequential(nn.Conv2d(channels, 16, 5, 2, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.stages = nn.ModuleList(_block(widths[max(0, i - 1)], w, 1 + (i > 0)) for i, w in enumerate(widths))
        self.ups = nn.ModuleList(nn.Conv2d(widths[i] + widths[i - 1], widths[i - 1], 3, 1, 1) for i in (3, 2, 1))
        self.head = nn.Conv2d(16, classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, classes, h, w) of float32 (n, c, h, w)."""
        size, maps = x.shape[-2:], []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        for i, up in zip((2, 1, 0), self.ups, strict=True):
            x = f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = f.relu(up(torch.cat([x, maps[i]], 1)))
        return f.interpolate(self.head(x), size=size, mode="bilinear", align_corners=False)


def dense_oracle(task: Task, train: list[Split], epochs: int, seed: int = 0) -> Predict:
    """A network trained on all `train` splits together: AdamW, one-cycle rate, cross-entropy and soft Dice, flips."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    x = _tensor(np.concatenate([s.images for s in train]))
    y = torch.from_numpy(np.concatenate([s.labels for s in train]).astype(np.int64))
    model = SmallUNet(x.shape[1], len(task.classes)).to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), PEAK_RATE, weight_decay=0.02)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps, pct_start=0.2)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=rng)[: len(x) // BATCH * BATCH].split(BATCH):
            flip = bool(torch.rand((), generator=rng) < 0.5)
            images, masks = (x[rows].flip(3), y[rows].flip(2)) if flip else (x[rows], y[rows])
            optimiser.zero_grad()
            _loss(model(images), masks).backward()
            optimiser.step()
            schedule.step()
    model.eval()
    return lambda images: _masks(model, images)


@torch.no_grad()
def _masks(model: SmallUNet, images: np.ndarray) -> np.ndarray:
    return torch.cat([model(part).argmax(1).to(torch.uint8) for part in _tensor(images).split(64)]).numpy()


def _tensor(images: np.ndarray) -> Tensor:
    x = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float() / 255
    return ((x - 0.45) / 0.25).contiguous(memory_format=torch.channels_last)


def _loss(logits: Tensor, y: Tensor) -> Tensor:
    share = logits.softmax(1)[:, 1:]
    truth = torch.stack([y == k for k in range(1, logits.shape[1])], 1).float()
    overlap = (share * truth).sum((2, 3)) + 1
    return f.cross_entropy(logits, y) + 1 - (2 * overlap / (share.sum((2, 3)) + truth.sum((2, 3)) + 1)).mean()
