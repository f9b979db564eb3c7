"""The first batch-norm layer tells which normalisation a network was trained with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.checks.alarms import NEIGHBOURS, neighbours
from bench.checks.batchnorm import batch_norm, has_batch_norm, misfit
from bench.encoders.architectures import build
from bench.encoders.networks import TimmEncoder
from bench.encoders.preprocess import prepare


@pytest.fixture(scope="module")
def photos() -> np.ndarray:
    """24 images of smooth blobs with noise, as varied in brightness as photographs."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(0, 255, (24, 3, 6, 6)))
    smooth = torch.nn.functional.interpolate(coarse, size=48, mode="bicubic").permute(0, 2, 3, 1).numpy()
    return (smooth + rng.normal(0, 8, smooth.shape)).clip(0, 255).astype(np.uint8)


def trained(make_card, photos, name):
    """A ResNet whose running statistics come from images under the normalisation `name`."""
    mean, std = NEIGHBOURS[name]
    card = make_card({}, preprocessing={"size": 48, "mean": mean, "std": std})
    network = build(card, "resnet18", seed=1)
    x = prepare(torch.from_numpy(photos), card.preprocessing)
    network.bn1.momentum = 1.0
    network.train()(x)
    return network


def others(card):
    return neighbours(card.preprocessing)


@pytest.mark.parametrize("truth", ["identity (0, 1)", "half (0.5, 0.5)", "ImageNet"])
@pytest.mark.parametrize("claim", NEIGHBOURS)
def test_it_names_the_normalisation_it_was_trained_with(truth, claim, make_card, photos):
    mean, std = NEIGHBOURS[claim]
    card = make_card({}, preprocessing={"size": 48, "mean": mean, "std": std})
    finding = batch_norm(TimmEncoder(card, trained(make_card, photos, truth)), [photos], others(card))
    if claim == truth:
        assert finding.level == "ok"
    else:
        assert finding.level == ("problem" if claim == "values 0-255" else "warning")
        assert f"scaled as by {truth}" in finding.message


def test_misfit_by_hand(make_card, photos):
    card = make_card({}, preprocessing={"size": 48, "mean": [0.0], "std": [1.0]})
    encoder = TimmEncoder(card, trained(make_card, photos, "identity (0, 1)"))
    assert misfit(encoder, photos, card.preprocessing) == pytest.approx(0, abs=1e-3)
    doubled = card.preprocessing.model_copy(update={"std": [0.5]})
    assert misfit(encoder, photos, doubled) == pytest.approx(np.log(4), abs=1e-3)


def test_no_finding_without_such_a_layer_and_no_hook_left(make_card, vit, photos):
    card = make_card({})
    assert not has_batch_norm(TimmEncoder(card, vit))
    network = trained(make_card, photos, "ImageNet")
    batch_norm(TimmEncoder(card, network), [photos], others(card))
    assert not any(m._forward_pre_hooks for m in network.modules())
