"""Images are prepared on a GPU as on a CPU, and encoders keep the contract there."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch

from bench.checks.contract import contract
from bench.encoders.card import Preprocessing
from bench.encoders.load import load_encoder
from bench.encoders.preprocess import prepare

MADE = torch.Generator().manual_seed(0)
FLAT = [
    {"interpolation": interpolation, **more}
    for interpolation, more in product(
        ("bilinear", "bicubic", "nearest"),
        ({}, {"pad_to_square": True}, {"shorter_side": 40}, {"channels": 1}, {"dense_size": 48}),
    )
]
UNITS = {"channels": 1, "mean": [0.0], "std": [500.0], "input": "hu", "window": [-100, 300]}
VOLUMES = [{"depth": 4, "channels": 1}, {"depth": 4, "channels": 1, "spacing": [2.0, 1.0, 1.0]}]


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("said", [*FLAT, UNITS, *VOLUMES], ids=str)
def test_images_are_prepared_as_on_a_cpu(said: dict[str, Any], dense: bool) -> None:
    preprocessing = Preprocessing.model_validate({"size": 32, "mean": [0.5], "std": [0.25], **said})
    shape = (2, 9, 20, 24, 1) if preprocessing.depth else (3, 50, 70, 1 if preprocessing.input else 3)
    images = torch.randint(0, 256, shape, generator=MADE, dtype=torch.uint8)
    images = images.float() - 100 if preprocessing.input else images
    spacing = torch.tensor([[3.0, 1.0, 1.0], [2.0, 0.7, 0.7]], dtype=torch.float64) if preprocessing.depth else None
    expected = prepare(images, preprocessing, dense=dense, spacing=spacing)
    found = prepare(images.to("cuda"), preprocessing, dense=dense, spacing=spacing)
    assert found.device.type == "cuda"
    torch.testing.assert_close(found.cpu(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", ["random-init-vit", "random-init-cnn", "raw-pixels", "colour-histogram"])
def test_the_contract_is_kept_alike(name: str) -> None:
    here, there = ([(f.check, f.level) for f in contract(load_encoder(name).to(device))] for device in ("cpu", "cuda"))
    assert there == here
