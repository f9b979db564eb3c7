"""Alarms ring when they should, and only then."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from bench.checks.alarms import FLOPS, LEAST, MOST, affordable, alarms, collapse, looks, rankme
from bench.checks.probe import ProbeTask, _neighbours, _ridge, ranked
from bench.encoders.base import Encoded, Encoder
from bench.metrics.resample import resample_counts, with_point


@pytest.fixture(scope="module")
def probe() -> ProbeTask:
    """Two classes told apart by which half is brighter, by 20 grey levels under noise, at any brightness."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 160)
    images = rng.normal(rng.uniform(60, 180, (160, 1, 1, 1)), 20, (160, 16, 16, 1))
    images[np.arange(160), :8] += np.where(labels, 20, 0)[:, None, None, None]
    images = images.clip(0, 255).astype(np.uint8)
    counts = with_point(resample_counts("x", "test", np.arange(80).astype(str), replicates=200), 80)
    return ProbeTask("toy", images[:80], labels[:80], images[80:], labels[80:], counts)


class Saturating(Encoder):
    """Row means after a squashing that needs inputs around 0: wrong normalisation flattens them."""

    def forward(self, x, dense):
        return Encoded(torch.tanh(2 * x.mean((1, 3))), None)


def found(make_card, probe, mean, std, cls=Saturating):
    card = make_card({}, preprocessing={"size": 16, "mean": [mean], "std": [std]})
    return {f.check: f for f in alarms(cls(card), [probe])}


def test_right_normalisation_is_quiet(make_card, probe):
    result = found(make_card, probe, 0.5, 0.5)
    assert {f.level for f in result.values()} == {"ok"}
    assert result["above chance"].values["toy"]["auroc"] > 0.8


def test_wrong_normalisation_rings_and_names_the_better_one(make_card, probe):
    result = found(make_card, probe, 0.0, 1 / 255)
    assert result["normalisation"].level == "problem"
    assert "gives better features than the card's" in result["normalisation"].message
    assert set(result["normalisation"].values) == {"card", "identity (0, 1)", "half (0.5, 0.5)", "ImageNet"}


class Noise(Encoder):
    """Features that have nothing to do with the class."""

    def forward(self, x, dense):
        seeds = (x.flatten(1).double().sum(1) * 1e6).long().abs() % 2**31
        rows = [torch.randn(16, generator=torch.Generator().manual_seed(int(s))) for s in seeds]
        return Encoded(torch.stack(rows), None)


def test_chance_is_said(make_card, probe):
    result = found(make_card, probe, 0.5, 0.5, Noise)
    assert result["above chance"].level == "warning"
    assert result["normalisation"].level == "ok"


def test_collapse():
    rng = np.random.default_rng(0)
    healthy = rng.normal(size=(200, 64))
    assert collapse(healthy).level == "ok"
    assert collapse(np.ones((200, 64))).level == "problem"
    assert collapse(rng.normal(size=(200, 1)) * np.ones(64)).level == "problem"
    assert collapse(1e6 + healthy).level == "problem"
    assert collapse(rng.normal(size=(200, 3)) @ rng.normal(size=(3, 64))).level == "warning"
    assert collapse(np.where(np.arange(64) < 24, healthy, 0)).level == "warning"


def test_rankme_of_known_spectra():
    assert rankme(np.eye(8)) == pytest.approx(8, rel=1e-4)
    assert rankme(np.diag([1.0, 0, 0, 0])) == pytest.approx(1, rel=1e-4)
    p = np.array([0.5, 0.25, 0.25])
    assert rankme(np.diag(p)) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-4)


def test_ridge_probe_agrees_with_sklearn():
    rng = np.random.default_rng(1)
    train, test = rng.normal(size=(60, 30)) * 3 + 1, rng.normal(size=(40, 30))
    wanted = rng.integers(0, 2, (60, 3)).astype(float)
    scaler = StandardScaler().fit(train)
    model = Ridge(alpha=30, fit_intercept=True, solver="cholesky").fit(scaler.transform(train), wanted)
    ours = _ridge(train, wanted, test) + wanted.mean(0)
    np.testing.assert_allclose(ours, model.predict(scaler.transform(test)), atol=1e-8)


def test_probe_score_is_the_mean_of_two_aurocs(probe):
    train, test = (images.mean((2, 3)) for images in (probe.train, probe.test))
    wanted = probe.train_labels[:, None] == np.unique(probe.train_labels)
    expected = [roc_auc_score(probe.test_labels, f(train, wanted, test)[:, 1]) for f in (_neighbours, _ridge)]
    # One-versus-rest of two classes: the two columns need not mirror each other for votes, they do for ridge.
    assert ranked(probe, train, test)[0] == pytest.approx(np.mean(expected), abs=0.02)


def test_phantom_probes_are_small_and_labelled():
    from bench.checks.probe import PHANTOMS, phantom_probes

    probes = list(phantom_probes(20))
    assert [p.name for p in probes] == [f"{m} {aim}" for m, aim in PHANTOMS]
    for p in probes:
        assert len(p.train) == len(p.test) == 20
        assert p.train.dtype == np.uint8
        assert p.counts.shape == (501, 20)
        assert len(np.unique(p.train_labels)) > 1


def test_how_many_images_depends_on_the_network_alone(make_card, monkeypatch):
    encoder = Saturating(make_card({}, preprocessing={"size": 16, "mean": [0.5], "std": [0.5]}))
    monkeypatch.setattr("time.perf_counter", None)  # whoever asks for the time fails
    assert affordable(encoder, 0) == affordable(encoder, 10**6) == MOST
    assert affordable(encoder, None) == affordable(encoder, 8 * 10**9) == LEAST
    between = int(FLOPS / (4 * 4 * 80))  # two tasks, two splits, the card's and three other normalisations
    assert affordable(encoder, between) == 80


def test_a_brief_look_encodes_each_image_once_and_says_what_it_left_out(make_card, probe):
    encoder, seen = Saturating(make_card({}, preprocessing={"size": 16, "mean": [0.0], "std": [1 / 255]})), []
    result = {f.check: f.level for f in alarms(encoder, [probe], brief=True, seen=seen.append)}
    assert result["normalisation"] == "skipped"
    assert seen == [32, 64, 80, 112, 144, 160]
    assert looks(encoder) == 4


class Wide(Saturating):
    """Its row means and noise, so that they fill directions enough."""

    def forward(self, x, dense):
        return Encoded(torch.cat([super().forward(x, dense).pooled, Noise.forward(self, x, dense).pooled], 1), None)


class Halves(Encoder):
    """The brightness of the two halves: above chance, and no more than two directions."""

    def forward(self, x, dense):
        return Encoded(torch.stack([x[:, 0, :8].mean((1, 2)), x[:, 0, 8:].mean((1, 2))], 1), None)


@pytest.mark.parametrize(("kind", "looked"), [(Wide, 1), (Noise, 2), (Halves, 2)])
def test_a_brief_look_ends_with_the_first_task_that_raises_no_alarm(kind, looked, make_card, probe):
    """Noise is at chance, Halves collapsed: both tasks are then looked at, as in full."""
    encoder, seen = kind(make_card({}, preprocessing={"size": 16, "mean": [0.5], "std": [0.5]})), []
    result = {f.check: f for f in alarms(encoder, [probe, replace(probe, name="toy 2")], brief=True, seen=seen.append)}
    assert seen[-1] == looked * 160
    assert result["above chance"].values.keys() == set(["toy", "toy 2"][:looked])
    full = {f.check: f for f in alarms(encoder, [probe, replace(probe, name="toy 2")])}
    assert [result[c].level for c in ("collapse", "above chance")] == [
        full[c].level for c in ("collapse", "above chance")
    ]
