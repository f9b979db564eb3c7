"""Volumes on their way into a network, and the same known network of volumes through every adapter."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import bench
from bench.encoders.card import Preprocessing
from bench.encoders.preprocess import prepare
from bench.encoders.volumes import lost
from bench.errors import CardError, DataError, EncoderError, NotForThisEncoderError
from bench.files import sha256_file

DEPTH, SIZE = 8, 16
MADE = {"size": SIZE, "depth": DEPTH, "channels": 1, "mean": [0.4], "std": [0.25]}


def preprocessing(**changes) -> Preprocessing:
    return Preprocessing(**(MADE | changes))


@pytest.fixture(scope="module")
def volumes() -> torch.Tensor:
    """uint8 (5, 12, 20, 24, 1), each of its own brightness."""
    generator = torch.Generator().manual_seed(1)
    noise = torch.randint(0, 120, (5, 12, 20, 24, 1), generator=generator)
    return (noise + torch.arange(5)[:, None, None, None, None] * 25).to(torch.uint8)


def test_a_volume_of_the_right_depth_is_its_planes(volumes):
    flat = preprocessing(depth=None)
    eight = volumes[:, :DEPTH]
    planes = torch.stack([prepare(eight[:, z], flat)[:, 0] for z in range(DEPTH)], 1)
    torch.testing.assert_close(prepare(eight, preprocessing())[:, 0], planes, rtol=0, atol=0)


def test_planes_are_blended_as_rows_are(volumes):
    """Along the depth the same filter works as along the rows of a flat image."""
    column = volumes[:, :, :1, :1].expand(-1, -1, SIZE, SIZE, -1)
    flat = column[:, :, :, 0].reshape(5, 12, SIZE, 1)
    lines = prepare(flat, preprocessing(depth=None))[:, 0, :, 0]
    deep = prepare(column, preprocessing(depth=SIZE))[:, 0, :, 0, 0]
    torch.testing.assert_close(deep, lines)


def test_colour_becomes_one_channel_and_grey_three(volumes):
    colour = volumes.expand(-1, -1, -1, -1, 3)
    torch.testing.assert_close(prepare(colour, preprocessing()), prepare(volumes, preprocessing()))
    three = preprocessing(channels=3, mean=[0.1, 0.2, 0.3], std=[1.0])
    x = prepare(volumes, three)
    assert x.shape == (5, 3, DEPTH, SIZE, SIZE)
    torch.testing.assert_close(x[:, 0] - x[:, 2], torch.full_like(x[:, 0], 0.2))


def test_a_spacing_is_reached_in_millimetres_and_the_rest_is_black(volumes):
    """12 planes of 2 mm asked for at 4 mm are 6 of 8; 20 rows of 1 mm at 1 mm are cut to 16; 24 columns too."""
    made = preprocessing(spacing=[4.0, 1.0, 1.0], mean=[0.0], std=[1.0])
    x = prepare(volumes, made, spacing=torch.tensor([[2.0, 1.0, 1.0]] * 5))[:, 0]
    assert torch.equal(x[:, 0], torch.zeros_like(x[:, 0]))
    assert torch.equal(x[:, -1], torch.zeros_like(x[:, -1]))
    assert (x[:, 1:7].mean((1, 2, 3)) > 0.1).all()
    same = prepare(volumes, preprocessing(spacing=[4.0, 1.0, 1.0], depth=12, mean=[0.0], std=[1.0]),
                   spacing=torch.tensor([[4.0, 1.0, 1.0]] * 5))  # fmt: skip
    torch.testing.assert_close(same[:, 0], volumes[:, :, 2:18, 4:20, 0] / 255)


def test_each_volume_has_its_own_spacing(volumes):
    made = preprocessing(spacing=[2.0, 1.0, 1.0])
    spacing = torch.tensor([[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [4.0, 1.0, 0.5], [2.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    together = prepare(volumes, made, spacing=spacing)
    for i in range(5):
        torch.testing.assert_close(together[i : i + 1], prepare(volumes[i : i + 1], made, spacing=spacing[i : i + 1]))


def test_what_is_not_seen_of_a_volume_is_said_in_words():
    shrinks = Preprocessing(size=16, depth=8, channels=1, mean=[0.0], std=[1.0])
    assert lost((8, 16, 16), shrinks, None) is None
    said = lost((9, 16, 16), shrinks, None) or ""
    assert said.startswith("volumes of 9 x 16 x 16 voxels are shrunk to the 8 x 16 x 16 voxels that the encoder takes")
    cuts = shrinks.model_copy(update={"spacing": [2.0, 2.0, 2.0]})
    spacing = np.array([[2.0, 1, 1], [2, 2, 2]])
    assert lost((8, 16, 16), cuts, spacing) is None
    assert lost((8, 20, 20), cuts, spacing[:1]) is None
    said = lost((8, 20, 20), cuts, spacing) or ""
    assert "volumes of 8 x 20 x 20 voxels at the encoder's spacing lose what lies outside the 8 x 16 x 16" in said


def test_an_unknown_spacing_and_one_in_another_unit_are_refused(volumes):
    made = preprocessing(spacing=[1.0, 1.0, 1.0])
    with pytest.raises(NotForThisEncoderError, match="known spacing"):
        prepare(volumes, made)
    with pytest.raises(DataError, match="mm"):
        prepare(volumes, made, spacing=torch.tensor([[1000.0, 1000.0, 1000.0]] * 5))
    with pytest.raises(DataError, match="planes"):
        prepare(volumes[:, 0], made)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dense_size": 32}, "dense_size is for flat images"),
        ({"pad_to_square": True}, "pad_to_square is for flat images"),
        ({"depth": None, "spacing": [1.0, 1.0, 1.0]}, "say their depth"),
        ({"spacing": [0.0, 1.0, 1.0]}, "spacing"),
    ],
)
def test_cards_that_cannot_be_meant_are_refused(changes, said, make_card):
    with pytest.raises(CardError, match=said):
        make_card({}, preprocessing=MADE | changes)


def test_cards_of_flat_images_keep_their_hash(make_card):
    flat = {"size": 32, "mean": [0.5], "std": [0.5]}
    card = make_card({}, preprocessing=flat)
    assert card.sha256 == "0b239065a54d954e8df37180d9477036ab05bd7f2469cde5d81170a311943e77"
    assert make_card({}, preprocessing=flat | {"depth": 4}).sha256 != card.sha256


class Deep(nn.Module):
    """(n, 1, 8, 16, 16) to a map (n, 6, 2, 4, 4)."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(5)
        self.convolve = nn.Conv3d(1, 6, 4, stride=4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(self.convolve(x))


def _named(folder, name, **more):
    return {"weights": name, "sha256": sha256_file(folder / name), **more}


def carry_torchscript(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Deep()).save(str(folder / "w.pt"))
    return {"adapter": "torchscript", **_named(folder, "w.pt")}


def carry_torch_export(folder):
    batch = {"x": {0: torch.export.Dim("batch", min=1, max=4096)}}
    program = torch.export.export(Deep(), (torch.zeros(2, 1, DEPTH, SIZE, SIZE),), dynamic_shapes=batch)
    torch.export.save(program, folder / "w.pt2")
    return {"adapter": "torch-export", **_named(folder, "w.pt2")}


def carry_onnx(folder):
    pytest.importorskip("onnxruntime")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(Deep(), (torch.zeros(1, 1, DEPTH, SIZE, SIZE),), str(folder / "w.onnx"), dynamo=False,
                          input_names=["x"], dynamic_axes={"x": {0: "n"}}, verbose=False)  # fmt: skip
    return {"adapter": "onnx", **_named(folder, "w.onnx")}


def carry_python(folder):
    save_file(Deep().state_dict(), folder / "w.safetensors")
    (folder / "mine.py").write_text(
        "import torch\nfrom safetensors.torch import load_file\nfrom bench.encoders.base import Encoded, Encoder\n"
        "class Mine(Encoder):\n"
        "    def __init__(self, card, folder):\n"
        "        super().__init__(card)\n"
        "        self.net = torch.nn.Conv3d(1, 6, 4, stride=4)\n"
        "        self.net.load_state_dict({k[9:]: v for k, v in load_file(folder / 'w.safetensors').items()})\n"
        "    def forward(self, x, dense):\n"
        "        out = torch.relu(self.net(x)).movedim(1, -1)\n"
        "        return Encoded(out.mean((1, 2, 3)), out if dense else None)\n"
        "def load(card, folder):\n    return Mine(card, folder)\n"
    )
    return {"adapter": "python", "file": "mine.py", "sha256": sha256_file(folder / "mine.py")}


CARRIERS = {name.removeprefix("carry_"): value for name, value in list(globals().items()) if name.startswith("carry_")}


@pytest.fixture(scope="module")
def expected(volumes):
    with torch.inference_mode():
        out = Deep()(prepare(volumes, preprocessing())).movedim(1, -1)
    return out.mean((1, 2, 3)), out


@pytest.mark.parametrize("carrier", CARRIERS)
def test_same_features_whichever_adapter(carrier, volumes, expected, tmp_path, load):
    encoder = load(CARRIERS[carrier](tmp_path), tmp_path, trust_code=True, preprocessing=MADE)
    out = encoder.encode(volumes, dense=True)
    torch.testing.assert_close(out.pooled, expected[0], atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(out.grid, expected[1], atol=2e-5, rtol=1e-4)


def test_a_wrapped_network_of_volumes(volumes, expected):
    encoder = bench.wrap(Deep(), name="deep", size=SIZE, depth=DEPTH, mean=(0.4,), std=(0.25,))
    out = encoder.encode(volumes, dense=True)
    torch.testing.assert_close(out.pooled, expected[0])
    torch.testing.assert_close(out.grid, expected[1])


@pytest.mark.parametrize(("tokens", "grid"), [(1 + 2 * 4 * 4, (2, 4, 4)), (1 + 16 * 32 * 32, (16, 32, 32))])
def test_tokens_are_a_grid_of_the_shape_of_the_volume(tokens, grid):
    class Tokens(nn.Module):
        def forward(self, x):
            return torch.arange(tokens, dtype=torch.float32)[None, :, None].repeat(len(x), 1, 3)

    from bench.encoders.outputs import encoded

    encoder = bench.wrap(Deep(), name="x", size=SIZE, depth=DEPTH, mean=(0.0,), std=(1.0,), features="mean")
    out = encoded([Tokens()(torch.zeros(2))], encoder.card, prefix_tokens=1, dense=True)
    assert out.grid.shape == (2, *grid, 3)
    assert out.grid[0, 0, 0, 1, 0] == 2
    assert out.grid[0, 1, 0, 0, 0] == 1 + grid[1] * grid[2]
    with pytest.raises(EncoderError, match="shape of the volume"):
        encoded([torch.zeros(2, tokens + 1, 3)], encoder.card, prefix_tokens=1, dense=True)


def test_a_network_of_flat_images_on_a_card_of_volumes_is_refused(volumes):
    encoder = bench.wrap(nn.Conv2d(1, 4, 4), name="x", size=SIZE, depth=DEPTH, mean=(0.0,), std=(1.0,))
    with pytest.raises(EncoderError, match="refused images"):
        encoder.encode(volumes)
