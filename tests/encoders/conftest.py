"""Known weights: one tiny transformer and one tiny ConvNet, and cards that carry them through each adapter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from bench.encoders.architectures import build
from bench.encoders.card import EncoderCard
from bench.encoders.load import load_card
from bench.encoders.source import Place

VIT = {"patch_size": 8, "embed_dim": 32, "depth": 2, "num_heads": 2, "img_size": 32}


def make_card(source: dict[str, Any], **changes: Any) -> EncoderCard:
    """A card with sensible values around `source`; `changes` replace whole keys."""
    values = {
        "schema": 1,
        "name": "known",
        "version": "1",
        "title": "Known weights",
        "authors": ["A. Author"],
        "licence": "CC0-1.0",
        "paradigm": "predictive",
        "objective": "self-distillation",
        "method": "test",
        "architecture": "vit",
        "source": source,
        "preprocessing": {"size": 32, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.25, 0.3]},
        "features": {"pooling": "mean"},
    }
    return EncoderCard.parse({**values, **changes}, where="test")


def load(source: dict[str, Any], folder: Path, *, trust_code: bool = False, **changes: Any):
    """The encoder of `make_card(source, **changes)` in `folder`."""
    return load_card(make_card(source, **changes), Place(folder, trust_code))


@pytest.fixture(name="make_card", scope="session")
def _make_card():
    """`make_card(source, **changes) -> EncoderCard`."""
    return make_card


@pytest.fixture(name="load", scope="session")
def _load():
    """`load(source, folder, *, trust_code=False, **changes) -> Encoder`."""
    return load


@pytest.fixture(scope="session")
def vit_source() -> dict[str, Any]:
    """The `[source]` table of the tiny transformer, less its weights."""
    return {"adapter": "timm", "model": "vit_tiny_patch16_224", "options": VIT}


@pytest.fixture(scope="session")
def vit() -> torch.nn.Module:
    """A transformer of two blocks, 4 x 4 patches of 8 pixels, one class token; weights far from their initial ones."""
    network = build(make_card({}), "vit_tiny_patch16_224", options=VIT, seed=3)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for p in network.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.05)
    return network


@pytest.fixture(scope="session")
def images() -> torch.Tensor:
    """Ten colour images, uint8 (10, 40, 40, 3), each with its own gradient and noise."""
    generator = torch.Generator().manual_seed(1)
    ramp = torch.linspace(0, 200, 40)[None, :, None, None] * torch.rand((10, 1, 1, 3), generator=generator)
    noise = torch.randint(0, 56, (10, 40, 40, 3), generator=generator)
    return (ramp + noise).clamp(0, 255).to(torch.uint8)
