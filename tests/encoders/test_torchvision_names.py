"""torchvision's ViT, ConvNeXt and Swin through timm: the features of torchvision's own networks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torchvision import models

from bench.encoders.layouts import EXPORT
from bench.encoders.load import load_encoder
from bench.encoders.preprocess import prepare
from bench.encoders.recognise import recognise
from bench.errors import EncoderError


def _vit(n: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    x = n._process_input(x)
    tokens = n.encoder(torch.cat([n.class_token.expand(len(x), -1, -1), x], 1))
    return tokens[:, 0], tokens[:, 1:].unflatten(1, (4, 4))


def _convnext(n: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    x = n.features(x)
    return n.classifier[1](n.classifier[0](x.mean((2, 3), keepdim=True))), x.permute(0, 2, 3, 1)


def _swin(n: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    x = n.norm(n.features(x))
    return x.mean((1, 2)), x


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[[nn.Module, Tensor], tuple[Tensor, Tensor]]]] = {
    "vit": (lambda: models.VisionTransformer(32, 8, 1, 3, 192, 768, num_classes=5), _vit),
    "convnext": (models.convnext_tiny, _convnext),
    "swin": (models.swin_t, _swin),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_features_are_those_of_torchvision(kind, images, tmp_path):
    make, truth = NETWORKS[kind]
    torch.manual_seed(0)
    network = make().eval()
    for value in network.parameters():  # scales and position biases are nearly constant at first
        nn.init.normal_(value, value.detach().mean().item(), 0.05)
    held = {f"module.backbone.{name}": value for name, value in network.state_dict().items()}
    torch.save({"state_dict": held}, tmp_path / "w.pth")
    encoder = load_encoder(tmp_path / "w.pth")
    with torch.inference_mode():
        pooled, grid = truth(network, prepare(images[:2], encoder.card.preprocessing))
    out = encoder.encode(images[:2], dense=True)
    torch.testing.assert_close(out.pooled, pooled, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(out.grid, grid, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("make", [models.mobilenet_v2, models.regnet_y_400mf])
def test_other_networks_of_torchvision_are_named_with_the_cure(make, tmp_path):
    torch.save(make().state_dict(), tmp_path / "w.pth")
    with pytest.raises(EncoderError, match="they are names of torchvision") as refusal:
        recognise(tmp_path / "w.pth")
    assert refusal.value.fix == EXPORT
