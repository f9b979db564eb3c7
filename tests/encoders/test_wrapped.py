"""A wrapped network stays its author's, and what it returns is read as meant or refused."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

import bench
from bench.checks.cost import flops_per_image
from bench.encoders.preprocess import prepare
from bench.errors import CardError, EncoderError

IMAGES = torch.randint(0, 256, (3, 40, 40, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def tower() -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 4, stride=4), nn.BatchNorm2d(4), nn.Dropout(0.5)).train()
    net[1].eval()  # a frozen part of a network that is being trained
    return net


def test_the_network_stays_in_the_mode_of_its_author() -> None:
    net = tower()
    encoder = bench.wrap(net, name="x", size=32)
    first = encoder.encode(IMAGES, dense=True)
    flops_per_image(encoder)
    assert [m.training for m in net.modules()] == [True, True, False, True]
    assert torch.equal(first.pooled, encoder.encode(IMAGES).pooled), "no dropout while features are computed"
    assert not net[1].num_batches_tracked


def test_a_network_in_evaluation_mode_stays_in_it_and_an_error_changes_nothing() -> None:
    net = tower().eval()
    bench.wrap(net, name="x", size=32).encode(IMAGES)
    assert not any(m.training for m in net.modules())
    net.train()
    with pytest.raises(EncoderError, match="refused images"):
        bench.wrap(net, name="x", size=32, mean=(0.5,), std=(0.5,)).encode(IMAGES)
    assert all(m.training for m in net.modules())


def vit(**options) -> nn.Module:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    return transformers.ViTModel(transformers.ViTConfig(image_size=32, patch_size=8, **sizes), **options)


def test_a_transformers_model_is_read_by_its_pooler_and_its_patches() -> None:
    model = vit()
    out = bench.wrap(model, name="x", size=32).encode(IMAGES, dense=True)
    encoder = bench.wrap(model, name="x", size=32)
    with torch.no_grad():
        right = model.eval()(prepare(IMAGES, encoder.card.preprocessing))
    torch.testing.assert_close(out.pooled, right.pooler_output)
    torch.testing.assert_close(out.grid, right.last_hidden_state[:, 1:].unflatten(1, (4, 4)))


def test_without_a_pooler_the_vector_has_to_be_chosen() -> None:
    model = vit(add_pooling_layer=False)
    with pytest.raises(EncoderError, match=r"no global vector.*choose 'mean' or 'cls'"):
        bench.wrap(model, name="x", size=32).encode(IMAGES)
    chosen = bench.wrap(model, name="x", size=32, features="cls").encode(IMAGES, dense=True)
    by_hand = bench.wrap(model, name="x", size=32, features=lambda n, x: n(x).last_hidden_state[:, 0]).encode(IMAGES)
    torch.testing.assert_close(chosen.pooled, by_hand.pooled)
    assert chosen.grid.shape == (3, 4, 4, 32)
    with pytest.raises(CardError, match="pooling"):
        bench.wrap(model, name="x", size=32, features="class")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda x: {"x_norm_clstoken": x.mean((2, 3))}, "returns dict with x_norm_clstoken"),
        (lambda x: SimpleNamespace(logits=x), "returns SimpleNamespace"),
        (lambda x: None, "returns NoneType"),
        (lambda x: x.flatten(2).transpose(1, 2), "which of them are patches is not known"),
        (lambda x: (x.mean((2, 3)), x.mean((2, 3))), "ambiguous"),
        (lambda x: x.mean((1, 2, 3)), "ambiguous"),
        (lambda x: x.permute(0, 2, 3, 1), r"returns a map .* of a square image: channels last"),
        (lambda x: x.nonsense, "AttributeError"),
        (lambda x: x["nonsense"], "IndexError"),
    ],
)
def test_anything_else_is_one_message(made, message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        bench.wrap(tower(), name="x", size=32, features=lambda n, x: made(x)).encode(IMAGES)


def test_a_vector_a_map_and_both_are_read() -> None:
    net = tower()
    vector = bench.wrap(net, name="x", size=32, features=lambda n, x: n(x).mean((2, 3))).encode(IMAGES, dense=True)
    single = bench.wrap(net, name="x", size=32).encode(IMAGES, dense=True)
    both = bench.wrap(net, name="x", size=32, features=lambda n, x: [n(x).amax((2, 3)), n(x)]).encode(
        IMAGES, dense=True
    )
    assert vector.grid is None
    assert torch.equal(vector.pooled, single.pooled)
    assert torch.equal(both.grid, single.grid)
    assert torch.equal(both.pooled, single.grid.amax((1, 2)))
    highest = bench.wrap(net, name="x", size=32, features="max").encode(IMAGES)
    assert torch.equal(highest.pooled, both.pooled)
