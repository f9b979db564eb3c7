"""The judge of trials, against scikit-learn, and what it must see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.preprocessing import StandardScaler

from bench.errors import DataError
from bench.pretrain.job import Job
from bench.pretrain.probe import _spread, probe, ridge


def test_ridge_is_scikit_learns():
    rng = np.random.default_rng(0)
    x, y, z = rng.normal(2, 3, (50, 6)), rng.normal(size=(50, 2)), rng.normal(size=(9, 6))
    scale = StandardScaler().fit(x)
    scaled = (x - x.mean(0)) / x.std(0, ddof=1)
    expected = Ridge(alpha=0.5).fit(scaled, y).predict(scale.transform(z) * x.std(0) / x.std(0, ddof=1))
    np.testing.assert_allclose(ridge(*map(torch.from_numpy, (x, y, z))).numpy(), expected, atol=1e-10)


@pytest.fixture
def places(corpus):
    """The corpus with bright squares as lesions, and patients held."""
    images, percent = corpus.images.copy() // 2, np.zeros((96, 5, 5), np.uint8)
    rng = np.random.default_rng(1)
    for i, (r, c) in enumerate(rng.integers(0, 5, (96, 2))):
        images[i, 8 * r : 8 * r + 8, 8 * c : 8 * c + 8] += 120
        percent[i, r, c] = 100
    held = np.arange(96) % 4 == 0
    return replace(corpus, images=images, held_rows=held, covers={"spots": (np.arange(96), percent)})


def test_it_sees_what_is_there_and_chance_where_nothing_is(recipe, corpus, places):
    backbone = Job("random-init", recipe).build(places).backbone
    found = probe(backbone, places, "cpu")
    assert found["probe/bright"] > 0.8
    assert found["probe/spots"] > 0.8
    images = np.mean([found["probe/bright"], found["probe/some"]])
    assert found["probe"] == pytest.approx((images + found["probe/spots"]) / 2)
    rng = np.random.default_rng(3)
    shuffled = (np.arange(96), rng.permuted(places.covers["spots"][1].reshape(96, 25), axis=1).reshape(96, 5, 5))
    blind = replace(places, labels={"bright": rng.permutation(corpus.labels["bright"])}, covers={"spots": shuffled})
    found = probe(backbone, blind, "cpu")
    assert abs(found["probe/bright"]) < 0.5
    assert abs(found["probe/spots"]) < 0.25


def test_only_trained_images_are_fitted_to_and_only_held_ones_judge(recipe, places):
    """Wrong labels of the held images turn the score round; nothing else may know them."""
    backbone = Job("random-init", recipe).build(places).backbone
    labels = np.where(places.held_rows, 1 - places.labels["bright"], places.labels["bright"])
    found = probe(backbone, replace(places, labels={"bright": labels}, covers={}), "cpu")
    assert found["probe"] < -0.8


def test_a_corpus_without_labels_and_masks_cannot_judge(recipe, corpus):
    backbone = Job("random-init", recipe).build(corpus).backbone
    with pytest.raises(DataError, match="no labels and no masks"):
        probe(backbone, replace(corpus, labels={}), "cpu")


def test_rows_are_spread_over_files_of_one_class_after_the_other():
    assert list(_spread(np.arange(10, 20), 4)) == [10, 13, 16, 19]
    assert list(_spread(np.arange(3), 9)) == [0, 1, 2]
    assert list(_spread(np.arange(0), 9)) == []
