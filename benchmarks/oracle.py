"""A small network trained on a phantom task with more images than the task has: what can be learnt from the pixels."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as f

from bench.data.dataset import Split
from bench.data.task import Task

BATCH, PEAK_RATE = 32, 4e-3


def _block(i: int, o: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(i, o, 3, stride, 1, bias=False),
        nn.BatchNorm2d(o),
        nn.ReLU(),
        nn.Conv2d(o, o, 3, 1, 1, groups=o, bias=False),
        nn.Conv2d(o, o, 1, bias=False),
        nn.BatchNorm2d(o),
        nn.ReLU(),
    )


class Oracle(nn.Module):
    """Four stages; global: mean and maximum of the last map; dense: a light U-shaped decoder to half resolution."""

    def __init__(self, channels: int, outputs: int, dense: bool) -> None:
        super().__init__()
        self.dense = dense
        self.stem = nn.Sequential(nn.Conv2d(channels, 16, 5, 2, 2, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        widths = (16, 32, 64, 128)
        self.stages = nn.ModuleList(_block(widths[max(0, i - 1)], w, 1 + (i > 0)) for i, w in enumerate(widths))
        self.ups = nn.ModuleList(nn.Conv2d(widths[i] + widths[i - 1], widths[i - 1], 3, 1, 1) for i in (3, 2, 1))
        self.head = nn.Conv2d(16, outputs, 1) if dense else nn.Linear(256, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (n, outputs), or (n, outputs, h, w) for a dense task."""
        size, maps = x.shape[-2:], []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        if not self.dense:
            return self.head(torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1))
        for i, up in zip((2, 1, 0), self.ups, strict=True):
            x = f.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = f.relu(up(torch.cat([x, maps[i]], 1)))
        return f.interpolate(self.head(x), size=size, mode="bilinear", align_corners=False)


def _tensor(images: np.ndarray) -> Tensor:
    x = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 255
    return ((x - 0.45) / 0.25).contiguous(memory_format=torch.channels_last)


def _loss(task: Task, logits: Tensor, y: Tensor) -> Tensor:
    if task.target == "multi-label":
        return f.binary_cross_entropy_with_logits(logits, y.float())
    if task.kind == "global":
        return f.cross_entropy(logits, y, label_smoothing=0.05)
    share = logits.softmax(1)[:, 1:]
    truth = torch.stack([y == k for k in range(1, logits.shape[1])], 1).float()
    overlap = (share * truth).sum((2, 3)) + 1
    return f.cross_entropy(logits, y) + 1 - (2 * overlap / (share.sum((2, 3)) + truth.sum((2, 3)) + 1)).mean()


def _flipped(task: Task, x: Tensor, y: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Left-right at random, and up-down where the modality has no up."""
    turns = [3, 2] if task.modality in ("histology", "dermoscopy") else [3]
    for axis in turns:
        if torch.rand((), generator=rng) < 0.5:
            x, y = x.flip(axis), y.flip(axis - 1) if task.kind == "dense" else y
    gain, shift = (
        1 + 0.1 * torch.randn(len(x), 1, 1, 1, generator=rng),
        0.1 * torch.randn(len(x), 1, 1, 1, generator=rng),
    )
    return x * gain + shift, y


def train_oracle(task: Task, train: list[Split], epochs: int, seed: int = 0) -> Oracle:
    """An oracle trained on all `train` splits together with AdamW and a one-cycle rate."""
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    x = _tensor(np.concatenate([s.images for s in train]))
    y = torch.from_numpy(np.concatenate([s.labels for s in train]).astype(np.int64))
    model = Oracle(x.shape[1], len(task.classes), task.kind == "dense").to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(model.parameters(), PEAK_RATE, weight_decay=0.02)
    steps = epochs * (len(x) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_RATE, total_steps=steps, pct_start=0.2)
    for _ in range(epochs):
        for rows in torch.randperm(len(x), generator=rng).split(BATCH):
            if len(rows) < BATCH:
                continue
            optimiser.zero_grad()
            images, labels = _flipped(task, x[rows], y[rows], rng)
            _loss(task, model(images), labels).backward()
            optimiser.step()
            schedule.step()
    return model.eval()


@torch.no_grad()
def predict(task: Task, model: Oracle, images: np.ndarray) -> np.ndarray:
    """Outputs as a protocol gives them (see `bench.protocols.base.Prediction`)."""
    logits = torch.cat([model(part) for part in _tensor(images).split(64)])
    if task.kind == "dense":
        return logits.argmax(1).to(torch.uint8).numpy()
    return (logits.sigmoid() if task.target == "multi-label" else logits.softmax(1)).numpy()
