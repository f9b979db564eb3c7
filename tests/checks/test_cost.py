"""FLOPs against a hand count, and the forecast of a suite."""

from __future__ import annotations

import pytest

from bench.checks.cost import Speed, flops_per_image, forecast, measure
from bench.data.task import Suite, Task
from bench.encoders.architectures import build
from bench.encoders.load import load_encoder
from bench.encoders.networks import TimmEncoder


def test_flops_of_a_transformer_by_hand(make_card, vit):
    """Two blocks of width 32 and 2 heads on 16 patches of 8 x 8 x 3 and a class token."""
    encoder = TimmEncoder(make_card({}), vit)
    tokens, width = 17, 32
    embed = 16 * (8 * 8 * 3) * width
    block = tokens * (3 * width**2 + width**2 + 2 * 4 * width**2) + 2 * tokens**2 * width
    assert flops_per_image(encoder) == 2 * (embed + 2 * block)


def test_flops_of_a_convnet_against_its_published_count(make_card):
    card = make_card({}, preprocessing={"size": 224, "mean": [0.5], "std": [0.5]})
    flops = flops_per_image(TimmEncoder(card, build(card, "resnet18")))
    assert flops == pytest.approx(2 * 1.81e9, rel=0.01)  # 1.8 G multiply-adds (He et al., 2016)


def test_flops_where_there_is_nothing_to_count():
    assert flops_per_image(load_encoder("raw-pixels")) == 0


def test_counting_leaves_the_features_alone(make_card, vit, images):
    encoder = TimmEncoder(make_card({}), vit)
    before = encoder.encode(images).pooled
    flops_per_image(encoder, dense=True)
    assert (encoder.encode(images).pooled == before).all()


def task(name: str, kind: str, **source) -> Task:
    target = "mask" if kind == "dense" else "binary"
    return Task.parse(
        {"schema": 1, "name": name, "title": name, "kind": kind, "modality": "ct", "target": target,
         "classes": ["a", "b"],
         "metric": "dice" if kind == "dense" else "auroc", "licence": "x", "corpus": "x", "source": source},
        where="test",
    )  # fmt: skip


def test_forecast_by_hand():
    tasks = {
        "a": task("a", "global", reader="npz", rows={"train": 100, "val": 10, "test": 40}),
        "b": task("b", "dense", reader="phantom", train=20, val=10, test=20),
        "c": task("c", "global", reader="folder"),
    }
    suite = Suite.parse(
        {"schema": 1, "name": "s", "title": "s", "tasks": ["a", "b", "c"],
         "protocols": [{"name": "knn-v1", "budgets": ["100%"]}]},
        where="test",
    )  # fmt: skip
    need = forecast(load_encoder("raw-pixels"), Speed(0.5, 2.0), suite, tasks)
    assert (need.images, need.seconds, need.unknown) == (200, 150 * 0.5 + 50 * 2.0, ("c",))
    # 28 x 28 x 3 pooled for the global task; for the dense one, 64 x 64 x 3 pooled and as much again in the grid.
    assert need.disk_bytes in (150 * 4 * 2352 + 50 * 4 * (12288 + 12288), 200 * 4 * 12288 + 50 * 4 * 12288)


def test_a_card_states_the_images_of_every_split():
    shifted = task("a", "global", reader="npz", rows={"train": 1, "val": 2, "test": 3, "test-shift": 4})
    assert sum(shifted.stated_counts.values()) == 10
    made = task("a", "global", reader="phantom", train=1, val=2, test=3, shift=4)
    assert made.stated_counts == {"train": 1, "val": 2, "test": 3, "test-shift": 4}
    assert task("a", "global", reader="npz", rows={"train": 1}).stated_counts == {}
    assert task("a", "global", reader="csv", train="a.csv", val=0.1, test=0.2).stated_counts == {}


def test_measured_speed_is_positive():
    speed = measure(load_encoder("raw-pixels"))
    assert 0 < speed.seconds < 1
    assert speed.seconds_dense > 0
