"""Each check of the contract, on an encoder that keeps it and on one that breaks just it."""

from __future__ import annotations

import pytest
import torch

from bench.checks.contract import CHECKS, VOLUME_CHECKS, contract
from bench.encoders import reference
from bench.encoders.base import Encoded, Encoder
from bench.encoders.load import REFERENCE, load_card
from bench.encoders.source import Place
from bench.errors import EncoderError


class Cells(Encoder):
    """Colours of 8 x 8 cells; `change` breaks it in one way."""

    def __init__(self, card, change=lambda x, pooled, grid: (pooled, grid)) -> None:
        super().__init__(card)
        self._change = change

    def forward(self, x, dense):
        grid = torch.nn.functional.adaptive_avg_pool2d(x, 8).permute(0, 2, 3, 1)
        pooled, grid = self._change(x, grid.flatten(1), grid)
        return Encoded(pooled, grid if dense else None)


def findings(make_card, change=lambda x, pooled, grid: (pooled, grid), **card):
    encoder = Cells(make_card({}, architecture="other", **card), change)
    return {f.check: f for f in contract(encoder)}


def test_a_good_encoder_passes(make_card):
    found = findings(make_card)
    assert list(found) == list(CHECKS)
    assert {f.level for f in found.values()} == {"ok"}


@pytest.mark.parametrize("name", reference.names())
def test_reference_encoders_pass(name):
    card = reference.cards()[name]
    if card.architecture != "none":
        smaller = card.preprocessing.model_copy(update={"size": 64, "dense_size": 128})
        card = card.model_copy(update={"preprocessing": smaller})
    assert {f.level for f in contract(load_card(card, Place(REFERENCE)))} <= {"ok"}


BROKEN = {
    "NaN": (lambda x, p, g: (p / 0 * 0, g), "finite", "problem"),
    "wrong rank": (lambda x, p, g: (g, g), "shapes", "problem"),
    "wrong number of rows": (lambda x, p, g: (p[:1], g), "shapes", "problem"),
    "no grid": (lambda x, p, g: (p, None), "shapes", "warning"),
    "flat grid": (lambda x, p, g: (p, g.flatten(1, 2)[:, None]), "shapes", "warning"),
    "coarse grid": (lambda x, p, g: (p, g[:, :4, :4]), "shapes", "warning"),
    "noise": (lambda x, p, g: (p + torch.rand_like(p), g), "deterministic", "problem"),
    "batch statistics": (lambda x, p, g: (p - p.mean(0), g), "batch size", "problem"),
    "blind": (lambda x, p, g: (p * 0 + 1, g), "input reaches the output", "problem"),
    "colour-blind": (lambda x, p, g: (p.reshape(len(p), 64, 3).mean(2), g), "colour", "warning"),
    "probabilities": (lambda x, p, g: (p.softmax(1), g), "finite", "warning"),
    "overflowing": (lambda x, p, g: (p * 1e5, g), "finite", "warning"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_encoder_is_caught(case, make_card):
    change, check, level = BROKEN[case]
    equal = {"mean": [0.5], "std": [0.25], "size": 32}
    assert findings(make_card, change, preprocessing=equal)[check].level == level


@pytest.mark.parametrize(
    ("mean", "std", "level"),
    [
        ([2.0, 1.9, 1.8], [0.229, 0.224, 0.225], "problem"),
        ([0.0], [0.00392157], "warning"),
        ([0.5], [5.0], "warning"),
        ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225], "ok"),
        ([0.0], [1.0], "ok"),
    ],
)
def test_input_range(mean, std, level, make_card):
    found = findings(make_card, preprocessing={"size": 32, "mean": mean, "std": std})
    assert found["input range"].level == level


def test_architecture_word_against_the_network(make_card):
    from bench.encoders.architectures import build
    from bench.encoders.networks import TimmEncoder

    card = make_card({}, architecture="vit")
    found = {f.check: f for f in contract(TimmEncoder(card, build(card, "resnet18")))}
    assert found["architecture"].level == "warning"
    assert "feature maps" in found["architecture"].message


def test_one_failing_check_does_not_hide_the_others(make_card):
    found = findings(make_card, lambda x, p, g: (p * float("nan"), g))
    assert len(found) == len(CHECKS)
    assert found["input range"].level == "ok"
    assert "NaN" in found["finite"].message


def test_encode_says_what_the_network_said(make_card):
    def fail(x, p, g):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(EncoderError, match=r"refused images of shape \(1, 3, 32, 32\): mat1 and mat2"):
        Cells(make_card({}), fail).encode(torch.zeros(1, 9, 9, 3, dtype=torch.uint8))


class Blocks(Encoder):
    """Brightness of 4 x 4 x 4 blocks of a volume."""

    def __init__(self, card, change=lambda pooled, grid: (pooled, grid)) -> None:
        super().__init__(card)
        self._change = change

    def forward(self, x, dense):
        grid = torch.nn.functional.adaptive_avg_pool3d(x, 4).movedim(1, -1)
        return Encoded(*self._change(grid.flatten(1), grid))


def of_volumes(make_card, change=lambda pooled, grid: (pooled, grid), **more):
    made = {"size": 16, "depth": 8, "channels": 1, "mean": [0.5], "std": [0.25]} | more
    return {f.check: f for f in contract(Blocks(make_card({}, architecture="other", preprocessing=made), change))}


@pytest.mark.parametrize("more", [{}, {"spacing": [2.0, 1.0, 1.0]}])
def test_a_good_encoder_of_volumes_passes(make_card, more):
    found = of_volumes(make_card, **more)
    assert list(found) == list(VOLUME_CHECKS)
    assert {f.level for f in found.values()} == {"ok"}


BROKEN_VOLUMES = {
    "upside down": (lambda p, g: (p, g.flip(1)), "places", "warning"),
    "turned": (lambda p, g: (p, g.flip(1, 2, 3)), "places", "problem"),
    "flat grid": (lambda p, g: (p, g[:, 0]), "shapes", "problem"),
    "no grid": (lambda p, g: (p, None), "shapes", "warning"),
    "blind": (lambda p, g: (p * 0, g), "input reaches the output", "problem"),
}


@pytest.mark.parametrize("broken", BROKEN_VOLUMES)
def test_a_broken_encoder_of_volumes_is_found(broken, make_card):
    change, check, level = BROKEN_VOLUMES[broken]
    assert of_volumes(make_card, change)[check].level == level
