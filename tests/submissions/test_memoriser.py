"""A lookup of images is told from an encoder, however it recognises them; encoders are not suspected."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

import bench
from bench.data.dataset import TaskData
from bench.data.load import load_task
from bench.encoders.load import load_encoder
from bench.runs.plan import own_cards
from bench.submissions.memoriser import UNSEEN, suspicions
from benchmarks.hostile.base import write_tasks

LOT = "drawn"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    """Bright or dark squares on noise."""
    task, folder = own_cards(write_tasks(tmp_path_factory.mktemp("memory") / "tasks"))["which"]
    return load_task(task, folder=folder)


def whole(grey: torch.Tensor) -> torch.Tensor:
    return grey


def thumbnail(grey: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.adaptive_avg_pool2d(grey, 8)


def histogram(grey: torch.Tensor) -> torch.Tensor:
    """The same for an image and its mirror image."""
    return grey.flatten(1).sort(1).values


def spectrum(grey: torch.Tensor) -> torch.Tensor:
    """What a shift leaves; even in both directions, so that a mirror leaves it too."""
    found = torch.fft.fft2(grey).abs()
    return found + found.flip(-1).roll(1, -1)


class Lookup(torch.nn.Module):
    """Knows every image by a `key` and gives out its label; `exact`: only the image itself, noise for any other."""

    def __init__(self, data: TaskData, key: Callable[[torch.Tensor], torch.Tensor], *, exact: bool = False) -> None:
        super().__init__()
        splits = list(data.splits.values())
        self.key, self.exact = key, exact
        self.known = self.keys(torch.cat([torch.from_numpy(np.array(s.images)) for s in splits]).permute(0, 3, 1, 2))
        labels = torch.cat([torch.from_numpy(s.labels) for s in splits])
        self.answers = torch.nn.functional.one_hot(labels, 8).float() + 0.05 * torch.randn(len(labels), 8)

    def keys(self, x: torch.Tensor) -> torch.Tensor:
        return self.key(x.float().mean(1, keepdim=True) / 255).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = torch.cdist(self.keys(x * 255), self.known)
        answers = self.answers[found.argmin(1)]
        if not self.exact:
            return answers
        other = torch.sin(37 * x.flatten(1)[:, :8] * torch.arange(1, 9)) * 3
        return torch.where((found.min(1).values < 1e-2)[:, None], answers, other)


def told(module: torch.nn.Module, data: TaskData) -> list[str]:
    torch.manual_seed(0)
    encoder = bench.wrap(module, name="mine", size=32, mean=(0.0,) * 3, std=(1.0,) * 3)
    return list(suspicions(encoder, [data], LOT))


def test_what_knows_the_images_by_thumbnails_falls_on_mirrored_ones(data) -> None:
    torch.manual_seed(0)
    assert any("on the same mirrored: it knows these images" in line for line in told(Lookup(data, thumbnail), data))


def test_what_knows_the_very_bytes_falls_on_what_no_eye_sees(data) -> None:
    torch.manual_seed(0)
    lines = told(Lookup(data, whole, exact=True), data)
    assert any("by what no eye sees" in line and "recompressed" in line for line in lines)


@pytest.mark.parametrize("key", [histogram, spectrum])
def test_what_knows_the_images_by_what_a_mirror_leaves_falls_on_new_views(data, key) -> None:
    (line,) = told(Lookup(data, key), data)
    assert "when all images are cropped" in line


@pytest.mark.parametrize("name", ["raw-pixels", "colour-histogram"])
def test_encoders_are_not_suspected(data, name: str) -> None:
    assert list(suspicions(load_encoder(name), [data], LOT)) == []


def test_a_random_network_is_not_suspected(data) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 5, 2), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 3, 2))
    assert told(network, data) == []


def test_changes_are_small_and_keep_shape_and_type(data) -> None:
    images = np.asarray(data.tests["test"].images[:4])
    for altered in UNSEEN.values():
        after = altered(images)
        assert (after.shape, after.dtype) == (images.shape, np.uint8)
        assert not np.array_equal(after, images)
