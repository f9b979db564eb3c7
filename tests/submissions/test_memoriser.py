"""A lookup of images is told from an encoder, however it recognises them; encoders are not suspected."""

from __future__ import annotations

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


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    """Bright or dark squares on noise."""
    task, folder = own_cards(write_tasks(tmp_path_factory.mktemp("memory") / "tasks"))["which"]
    return load_task(task, folder=folder)


class Lookup(torch.nn.Module):
    """Knows every image by a thumbnail and gives out its label; `exact`: only the image itself, noise for any other."""

    def __init__(self, data: TaskData, exact: bool) -> None:
        super().__init__()
        splits = list(data.splits.values())
        self.exact = exact
        self.known = self.thumbnail(
            torch.cat([torch.from_numpy(np.array(s.images)) for s in splits]).permute(0, 3, 1, 2)
        )
        labels = torch.cat([torch.from_numpy(s.labels) for s in splits])
        self.answers = torch.nn.functional.one_hot(labels, 8).float() + 0.05 * torch.randn(len(labels), 8)

    def thumbnail(self, x: torch.Tensor) -> torch.Tensor:
        x = x.float().mean(1, keepdim=True) / 255
        return (x if self.exact else torch.nn.functional.adaptive_avg_pool2d(x, 8)).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = torch.cdist(self.thumbnail(x * 255), self.known)
        answers = self.answers[found.argmin(1)]
        if not self.exact:
            return answers
        other = torch.sin(37 * x.flatten(1)[:, :8] * torch.arange(1, 9)) * 3
        return torch.where((found.min(1).values < 1e-2)[:, None], answers, other)


def told(module: torch.nn.Module, data: TaskData) -> list[str]:
    torch.manual_seed(0)
    encoder = bench.wrap(module, name="mine", size=32, mean=(0.0,) * 3, std=(1.0,) * 3)
    return list(suspicions(encoder, [data]))


def test_what_knows_the_images_by_thumbnails_falls_on_mirrored_ones(data) -> None:
    torch.manual_seed(0)
    assert any("on the same mirrored: it knows these images" in line for line in told(Lookup(data, exact=False), data))


def test_what_knows_the_very_bytes_falls_on_what_no_eye_sees(data) -> None:
    torch.manual_seed(0)
    lines = told(Lookup(data, exact=True), data)
    assert any("by what no eye sees" in line and "recompressed" in line for line in lines)


@pytest.mark.parametrize("name", ["raw-pixels", "colour-histogram"])
def test_encoders_are_not_suspected(data, name: str) -> None:
    assert list(suspicions(load_encoder(name), [data])) == []


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
