"""Networks that know every image of a task by a key and give out its label."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from bench.data.dataset import TaskData

Key = Callable[[torch.Tensor], torch.Tensor]
"""Of grey images float32 (n, 1, h, w) in [0, 1], as the network gets them."""


def whole(grey: torch.Tensor) -> torch.Tensor:
    return grey


def thumbnail(grey: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.adaptive_avg_pool2d(grey, 8)


def histogram(grey: torch.Tensor) -> torch.Tensor:
    """The same for an image and its mirror image."""
    return grey.flatten(1).sort(1).values


def standardised(grey: torch.Tensor) -> torch.Tensor:
    """The histogram less its mean and over its spread."""
    found = histogram(grey)
    return (found - found.mean(1, keepdim=True)) / found.std(1, keepdim=True)


def spectrum(grey: torch.Tensor) -> torch.Tensor:
    """What a shift leaves; even in both directions, so that a mirror leaves it too."""
    found = torch.fft.fft2(grey).abs()
    return found + found.flip(-1).roll(1, -1)


KEYS: tuple[Key, ...] = (thumbnail, histogram, standardised, spectrum)


class Lookup(torch.nn.Module):
    """Knows every image by a `key` and gives out its label; `exact`: only the image itself, noise for any other."""

    def __init__(self, data: TaskData, key: Key, *, side: int = 32, exact: bool = False) -> None:
        super().__init__()
        splits = list(data.splits.values())
        self.key, self.exact = key, exact
        self.known = torch.cat([self.keys(_resized(np.asarray(s.images), side)) for s in splits])
        labels = torch.from_numpy(np.concatenate([s.labels for s in splits]))
        width = max(8, len(data.task.classes))
        self.answers = torch.nn.functional.one_hot(labels, width).float() + 0.05 * torch.randn(len(labels), width)

    def keys(self, x: torch.Tensor) -> torch.Tensor:
        return self.key(x.float().mean(1, keepdim=True) / 255).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = torch.cdist(self.keys(x * 255), self.known)
        answers = self.answers[found.argmin(1)]
        if not self.exact:
            return answers
        other = torch.sin(37 * x.flatten(1)[:, :8] * torch.arange(1, 9)) * 3
        return torch.where((found.min(1).values < 1e-2)[:, None], answers, other)


def _resized(images: np.ndarray, side: int) -> torch.Tensor:
    """uint8 (n, h, w, c) -> float32 (n, c, side, side) in 0-255, as `bench.encoders` resizes."""
    batch = torch.from_numpy(np.array(images)).permute(0, 3, 1, 2).float()
    return torch.nn.functional.interpolate(batch, (side, side), mode="bilinear", antialias=True)
