"""A lookup of images is told from an encoder, however it recognises them; encoders are not suspected."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

import bench
from bench.data.dataset import TaskData
from bench.data.load import load_task
from bench.encoders.load import load_encoder
from bench.runs.plan import own_cards
from bench.submissions.memoriser import UNSEEN, Looked, looks, viewed
from benchmarks.hostile.base import write_tasks
from benchmarks.hostile.lookups import Lookup, histogram, spectrum, standardised, thumbnail, whole

LOT = ["drawn"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> TaskData:
    """Bright or dark squares on noise."""
    task, folder = own_cards(write_tasks(tmp_path_factory.mktemp("memory") / "tasks"))["which"]
    return load_task(task, folder=folder)


def looked(module: torch.nn.Module, data: TaskData) -> Looked:
    torch.manual_seed(0)
    encoder = bench.wrap(module, name="mine", size=32, mean=(0.0,) * 3, std=(1.0,) * 3)
    return next(looks(encoder, [data], LOT))


def test_what_knows_the_images_by_thumbnails_falls_on_mirrored_ones(data) -> None:
    torch.manual_seed(0)
    lines = looked(Lookup(data, thumbnail), data).problems()
    assert any("on the same mirrored: it knows these images" in line for line in lines)


def test_what_knows_the_very_bytes_falls_on_what_no_eye_sees(data) -> None:
    torch.manual_seed(0)
    lines = looked(Lookup(data, whole, exact=True), data).problems()
    assert any("by what no eye sees" in line and "recompressed" in line for line in lines)


@pytest.mark.parametrize("key", [histogram, standardised, spectrum])
def test_what_knows_the_images_by_what_a_mirror_leaves_falls_on_new_views(data, key) -> None:
    """Also by a histogram that no change of brightness and contrast moves; a person is asked, nothing is refused."""
    look = looked(Lookup(data, key), data)
    (line,) = look.alarms()
    assert "where each image is cut out" in line
    assert list(look.problems()) == []


@pytest.mark.parametrize("name", ["raw-pixels", "colour-histogram"])
def test_encoders_are_not_suspected(data, name: str) -> None:
    look = next(looks(load_encoder(name), [data], LOT))
    assert [*look.problems(), *look.alarms()] == []


def test_a_random_network_is_not_suspected(data) -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 5, 2), torch.nn.ReLU(), torch.nn.Conv2d(16, 32, 3, 2))
    look = looked(network, data)
    assert [*look.problems(), *look.alarms()] == []


def test_a_view_is_of_each_image_its_own_and_the_lot_draws_it(data) -> None:
    images = np.repeat(np.asarray(data.tests["test"].images[:1]), 3, axis=0)
    views = viewed(images, random.Random("a"))
    assert (views.shape, views.dtype) == (images.shape, np.uint8)
    assert len({view.tobytes() for view in views}) == 3
    assert np.array_equal(views, viewed(images, random.Random("a")))
    assert not np.array_equal(views, viewed(images, random.Random("b")))


def test_changes_are_small_and_keep_shape_and_type(data) -> None:
    images = np.asarray(data.tests["test"].images[:4])
    for altered in UNSEEN.values():
        after = altered(images)
        assert (after.shape, after.dtype) == (images.shape, np.uint8)
        assert not np.array_equal(after, images)
