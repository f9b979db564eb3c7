"""Reference encoders: laws for all of them, and independent counts for the hand-made ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from bench.encoders import reference
from bench.encoders.load import load_encoder
from bench.encoders.preprocess import prepare


@pytest.fixture(scope="module", params=reference.names())
def encoder(request):
    return load_encoder(request.param)


def test_the_four_are_there():
    assert {"random-init-vit", "random-init-cnn", "raw-pixels", "colour-histogram"} <= set(reference.names())
    assert all(c.paradigm == "reference" and c.pretraining == [] and c.name == n for n, c in reference.cards().items())


def test_same_features_when_loaded_again(encoder, images):
    again = load_encoder(encoder.card.name)
    assert torch.equal(again.encode(images[:2]).pooled, encoder.encode(images[:2]).pooled)
    assert again.weights_sha256 == encoder.weights_sha256
    assert (encoder.weights_sha256 is None) == (encoder.card.architecture == "none")


@pytest.mark.parametrize("channels", [1, 3])
def test_batch_invariant_finite_and_gridded(encoder, images, channels):
    images = images[:4, ..., :channels]
    whole = encoder.encode(images, dense=True)
    alone = [encoder.encode(images[i : i + 1], dense=True) for i in range(4)]
    assert (torch.cat([a.pooled for a in alone]) - whole.pooled).abs().max() < 1e-5
    assert (torch.cat([a.grid for a in alone]) - whole.grid).abs().max() < 1e-5
    assert whole.grid.shape[1] == whole.grid.shape[2] >= 14


def test_global_random_state_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    load_encoder("random-init-cnn")
    assert torch.equal(torch.rand(3), expected)


def test_raw_pixels_are_the_prepared_image(images):
    encoder = load_encoder("raw-pixels")
    out = encoder.encode(images, dense=True)
    x = prepare(images, encoder.card.preprocessing, dense=True).numpy()
    np.testing.assert_array_equal(out.pooled.numpy(), x.reshape(10, -1))
    block = x[3, :, 4 * 5 : 4 * 6, 4 * 2 : 4 * 3]  # row 5, column 2 of the grid
    np.testing.assert_array_equal(out.grid[3, 5, 2].numpy(), block.ravel())


def test_histogram_agrees_with_numpy(images):
    encoder = load_encoder("colour-histogram")
    out = encoder.encode(images, dense=True)
    x = prepare(images, encoder.card.preprocessing, dense=True).numpy()
    edges = np.linspace(0, 1, 33)
    for channel in range(3):
        counts = np.histogram(x[2, channel], edges)[0] / x[2, channel].size
        np.testing.assert_allclose(out.pooled[2, channel * 32 : (channel + 1) * 32], counts, atol=2e-4)
        cell = x[2, channel, 8:16, 24:32]
        counts = np.histogram(cell, edges)[0] / cell.size
        np.testing.assert_allclose(out.grid[2, 1, 3, channel * 32 : (channel + 1) * 32], counts, atol=2 / 64)
    torch.testing.assert_close(out.pooled.sum(1), torch.full((10,), 3.0))
