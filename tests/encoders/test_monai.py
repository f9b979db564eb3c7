"""Networks of MONAI by name: the features are those of the library's own network, and what is wrong is said."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save_file

from bench.checks.cost import flops_per_image
from bench.encoders.preprocess import prepare
from bench.errors import EncoderError
from bench.files import sha256_file

nets = pytest.importorskip("monai.networks.nets")

MADE = {"size": 32, "depth": 16, "channels": 1, "mean": [0.4], "std": [0.25]}
SMALL = {"block": "basic", "layers": [1, 1, 1, 1], "block_inplanes": [4, 4, 8, 8], "feed_forward": False}
SOURCE = {"adapter": "monai", "network": "ResNet", "options": SMALL}


@pytest.fixture(scope="module")
def volumes() -> torch.Tensor:
    return torch.randint(0, 256, (3, 16, 32, 32, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return nets.ResNet(spatial_dims=3, n_input_channels=1, **SMALL).eval()


def weights(network, folder):
    save_file(network.state_dict(), folder / "w.safetensors")
    return {"weights": "w.safetensors", "sha256": sha256_file(folder / "w.safetensors")}


def test_weights_of_an_author_give_the_features_of_the_library(network, volumes, tmp_path, load):
    part = {"part": "layer3", **weights(network, tmp_path)}
    encoder = load(SOURCE | part, tmp_path, preprocessing=MADE)
    seen = []
    network.layer3.register_forward_hook(lambda module, inputs, output: seen.append(output))
    with torch.inference_mode():
        own = network(prepare(volumes, encoder.card.preprocessing))
    out = encoder.encode(volumes, dense=True)
    torch.testing.assert_close(out.grid, seen[0].movedim(1, -1))
    torch.testing.assert_close(out.pooled, seen[0].mean((2, 3, 4)))
    native = load(SOURCE | part, tmp_path, preprocessing=MADE, features={"pooling": "native"})
    torch.testing.assert_close(native.encode(volumes).pooled, own)


def test_what_comes_after_the_part_is_not_computed(network, volumes, tmp_path, load):
    early, late = (load(SOURCE | {"part": part}, tmp_path, preprocessing=MADE) for part in ("layer1", "layer4"))
    assert 0 < flops_per_image(early) < flops_per_image(late)


def test_random_weights_follow_the_seed_and_leave_the_generator_alone(tmp_path, load):
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    same, again, other = (load(SOURCE | {"part": "layer4", "seed": s}, tmp_path, preprocessing=MADE) for s in (0, 0, 1))
    assert torch.equal(before, torch.random.get_rng_state())
    assert same.weights_sha256 == again.weights_sha256 != other.weights_sha256


def test_a_flat_network_takes_flat_images(tmp_path, load):
    made = {"size": 32, "channels": 1, "mean": [0.4], "std": [0.25]}
    encoder = load(SOURCE | {"part": "layer4"}, tmp_path, preprocessing=made)
    assert encoder.encode(torch.zeros(2, 32, 32, 1, dtype=torch.uint8), dense=True).grid.ndim == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"network": "ResNte"}, "did you mean 'ResNet'"),
        ({"network": "Callable"}, "has no network"),
        ({"network": "resnet10", "options": {"pretrained": True}}, "would fetch weights"),
        ({"options": SMALL | {"block_inplanes": [4, 4, 8, 10**6]}}, "over 8192"),
        ({"options": {"layers": [1]}}, "cannot build 'ResNet'"),
        ({"part": "layer9"}, "has no part 'layer9'"),
    ],
)
def test_what_is_wrong_is_said(changes, said, tmp_path, load):
    with pytest.raises(EncoderError, match=said):
        load(SOURCE | changes, tmp_path, preprocessing=MADE)


def test_weights_of_another_network_are_refused(network, tmp_path, load):
    wide = SOURCE | {"options": SMALL | {"block_inplanes": [4, 4, 8, 16]}} | weights(network, tmp_path)
    with pytest.raises(EncoderError):
        load(wide, tmp_path, preprocessing=MADE)
