"""A corpus and a recipe so small that a step takes milliseconds."""

from __future__ import annotations

import numpy as np
import pytest

from bench.pretrain.corpus import Corpus
from bench.pretrain.recipe import Recipe, read_recipe

MINI = {
    "name": "mini",
    "size": 32,
    "corpus_size": 40,
    "crop_area": [0.3, 1.0],
    "corpus_images": 96,
    "steps": 6,
    "views_per_step": 16,
    "evaluations": 2,
    "checkpoints": 3,
    "learning_rates": {},
}


@pytest.fixture(scope="session")
def recipe() -> Recipe:
    tiny = read_recipe("tiny").model_dump(by_alias=True)
    vit = {"patch": 8, "dim": 16, "depth": 1, "heads": 2}
    heads = {"hidden": 16, "out": 8, "prototypes": 12, "decoder_dim": 16, "decoder_depth": 1}
    return Recipe.parse(tiny | MINI | {"vit": vit, "heads": heads, "cnn": {"widths": [8, 8, 8, 16]}}, where="mini")


@pytest.fixture(scope="session")
def corpus() -> Corpus:
    """Bright and dark noise with a label each, and one label that is sometimes unknown."""
    rng = np.random.default_rng(0)
    bright = rng.integers(0, 2, 96)
    images = (rng.integers(0, 128, (96, 40, 40, 3)) + 120 * bright[:, None, None, None]).astype(np.uint8)
    return Corpus("own", images, {"bright": bright, "some": np.where(rng.random(96) < 0.3, -1, 2 - bright)}, "c0ffee")
