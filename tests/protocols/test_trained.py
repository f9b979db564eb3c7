"""Fine-tuning, the attentive probe and robustness: that they learn, and what their parts do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import timm
import torch
from scipy import ndimage
from sklearn.metrics import roc_auc_score

from bench.data.budgets import Subset
from bench.errors import EncoderError
from bench.protocols import _corrupt
from bench.protocols._train import cosine_steps, layer_groups, with_drop_path
from bench.protocols.attentive import PROTOCOL as FROZEN_ATTENTIVE
from bench.protocols.attentive import Attentive, AttentiveHead
from bench.protocols.base import base_split
from bench.protocols.fine_tune import FineTune, _augmented, _turned
from bench.protocols.robustness import Robustness

MODALITIES = ("mri", "ultrasound", "xray", "histology")


def whole(problem):
    return Subset("100%", 0, np.arange(len(problem.train.labels)))


def test_the_frozen_numbers_are_those_of_the_documentation():
    p = FROZEN_ATTENTIVE.params
    assert (p["epochs"], p["lr"], p["weight_decay"], p["batch"]) == (50, 1e-3, 1e-4, 64)
    f = FineTune().params
    assert (f["lr"], f["layer_decay"], f["weight_decay"], f["steps"]) == ([2e-5, 1e-4, 5e-4], 0.75, 0.05, [2000, 10000])
    assert len(Robustness().params["corruptions"]) * len(Robustness().params["severities"]) == 25


def test_before_training_every_class_is_as_likely():
    head = AttentiveHead(4, 3, 2, torch.Generator().manual_seed(0))
    assert not head(torch.randn(2, 5, 4)).any()


def test_attention_by_hand():
    head = AttentiveHead(2, 1, 1, torch.Generator().manual_seed(0))
    with torch.no_grad():
        head.queries[:] = torch.tensor([[2**0.5, 0.0]])
        head.values[:] = torch.eye(2)[None]
        head.classify[:] = torch.tensor([[1.0, 10.0]])
    tokens = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    a = torch.softmax(torch.tensor([1.0, 0.0]), 0)
    assert head(tokens).item() == pytest.approx((a[0] + 10 * a[1]).item(), abs=1e-6)


def test_the_attentive_probe_finds_a_patch_that_the_mean_hides(problem_of):
    problem = problem_of("binary")
    rng = np.random.default_rng(0)

    def focal(n):
        y = rng.integers(0, 2, n)
        grid = rng.normal(size=(n, 4, 4, 6)).astype(np.float32)
        spot = (np.arange(n), *rng.integers(0, 4, (2, n)))
        grid[(*spot, 0)] = np.where(y == 1, 1.5, -1.5)
        grid[..., 1] = 0
        grid[(*spot, 1)] = 1  # a channel that says where to look
        return grid, y

    (grid, labels), (test, truth) = focal(200), focal(100)
    part = replace(problem.train, features=replace(problem.train.features, grid=grid), labels=labels)
    unseen = replace(problem.tests["test"], features=replace(problem.train.features, pooled=test[:, 0, 0], grid=test))
    problem = replace(problem, train=part, tests={"test": unseen})
    probe = Attentive(epochs=40, queries=2, steps=0, lr=3e-2)
    found = next(iter(probe.predict(problem, [whole(problem)]))).outputs["test"][:, 1]
    assert roc_auc_score(truth, test[..., 0].mean((1, 2))) < 0.85
    assert roc_auc_score(truth, found) > 0.95


def test_fine_tuning_learns_and_leaves_the_encoder_alone(problem_of):
    problem = problem_of("binary")
    before = {k: v.clone() for k, v in problem.encoder.module.state_dict().items()}
    tuned = FineTune(rates=(3e-2,), epochs=8, steps=(32, 40), batch=16)
    got = next(iter(tuned.predict(problem, [whole(problem)])))
    brightness = problem.tests["test"].images.mean((1, 2, 3))
    truth = brightness > 75
    assert roc_auc_score(truth, got.outputs["test"][:, 1]) > 0.95
    assert all(torch.equal(v, before[k]) for k, v in problem.encoder.module.state_dict().items())
    assert got.chosen["lr"] == 3e-2


def test_fine_tuning_refuses_what_has_no_network(problem_of):
    problem = replace(problem_of("binary"), encoder=None)
    with pytest.raises(EncoderError, match="no network"):
        next(iter(FineTune().predict(problem, [whole(problem)])))
    with pytest.raises(EncoderError, match="cannot encode"):
        next(iter(Robustness().predict(problem, [whole(problem)])))


def test_layers_near_the_head_learn_faster():
    model = torch.nn.Module()
    model.network = torch.nn.Sequential(torch.nn.Linear(3, 3), torch.nn.LayerNorm(3), torch.nn.Linear(3, 3))
    model.head = torch.nn.Linear(3, 2)
    groups = layer_groups(model, 1.0, 0.5, 0.05)
    assert [g["peak"] for g in groups] == [0.125, 0.125, 0.25, 0.25, 0.5, 0.5, 1.0, 1.0]
    assert [g["weight_decay"] for g in groups] == [0.05, 0, 0, 0, 0.05, 0, 0.05, 0]


def test_the_schedule_warms_up_and_falls_to_nothing():
    steps = list(cosine_steps(10, 4, 20, 2.0, torch.Generator(), warm_up=0.1))
    rates = [rate for _, rate in steps]
    assert len(steps) == 60
    assert rates[:6] == pytest.approx([2 * (i + 1) / 6 for i in range(6)])
    assert rates[6:] == sorted(rates[6:], reverse=True)
    assert rates[-1] < 0.01
    assert sorted(torch.cat([rows for rows, _ in steps[:3]]).tolist()) == list(range(10))


def test_augmentation_keeps_type_range_and_upright_images(task_of):
    images = np.zeros((40, 4, 4, 1), np.uint8)
    images[:, 0] = 255
    got = _augmented(images, task_of("binary"), torch.Generator().manual_seed(0))
    assert got.dtype == torch.uint8
    assert (got[:, 0].float().mean((1, 2)) > got[:, 3].float().mean((1, 2))).all()  # MRI is not turned upside down
    assert (images[:, 0] == 255).all()


def test_a_turn_is_that_of_scipy_also_where_images_are_not_square():
    rng = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(rng.uniform(0, 255, (2, 40, 30, 1)), (0, 3, 3, 0)).astype(np.float32)
    got = _turned(torch.as_tensor(smooth), torch.tensor([8.0, -37.0])).numpy()
    for image, turned, angle in zip(smooth, got, (8.0, -37.0), strict=True):
        reference = ndimage.rotate(image[..., 0], angle, reshape=False, order=1, mode="nearest")
        inside = np.s_[8:-8, 8:-8]
        assert abs(reference[inside] - turned[inside][..., 0]).max() < 0.05
    volume = torch.as_tensor(smooth).unsqueeze(1).expand(-1, 3, -1, -1, -1)
    np.testing.assert_array_equal(_turned(volume, torch.tensor([8.0, -37.0]))[:, 2], got)


def test_drop_path_grows_over_the_blocks_and_rests_in_evaluation():
    network = timm.create_model("vit_tiny_patch16_224", img_size=32, patch_size=8, embed_dim=24, depth=3, num_classes=0)
    with_drop_path(network, 0.1)
    rates = [block.drop_path1.drop_prob for block in network.blocks]
    assert rates == pytest.approx([0.0, 0.05, 0.1])
    image = torch.zeros(1, 3, 32, 32)
    network.eval()
    assert torch.equal(network(image), network(image))


def test_fine_tuning_twice_is_the_same_and_leaves_the_state_of_chance(problem_of):
    problem = problem_of("binary")
    tuned = FineTune(rates=(1e-2,), epochs=1, steps=(2, 3), batch=16)
    torch.manual_seed(5)
    first = next(iter(tuned.predict(problem, [whole(problem)]))).outputs["test"]
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), drawn)
    torch.manual_seed(6)
    np.testing.assert_array_equal(next(iter(tuned.predict(problem, [whole(problem)]))).outputs["test"], first)


@pytest.mark.parametrize("name", _corrupt.CORRUPTIONS)
@pytest.mark.parametrize("modality", MODALITIES)
@pytest.mark.parametrize("channels", [1, 3])
def test_corruption_grows_with_severity_and_belongs_to_the_image(name, modality, channels):
    rng = np.random.default_rng(0)
    smooth = np.kron(rng.integers(60, 200, (3, 8, 8, channels)), np.ones((1, 16, 16, 1))).astype(np.uint8)
    changed = [_corrupt.corrupt(smooth, name, s, modality).astype(float) for s in _corrupt.SEVERITIES]
    damage = [abs(c - smooth).mean() for c in changed]
    assert damage[0] > 0
    assert damage == sorted(damage)
    alone = _corrupt.corrupt(smooth[2:], name, 3, modality)
    np.testing.assert_array_equal(alone[0], changed[2][2].astype(np.uint8))


def test_noise_is_that_of_the_modality():
    dark, bright = np.zeros((64, 64, 1)), np.full((64, 64, 1), 0.6)

    def noisy(x, modality):
        return _corrupt.noise(x, 3, modality, np.random.default_rng(0))

    assert noisy(dark, "ultrasound").std() == 0  # multiplicative
    assert noisy(dark, "mri").mean() == pytest.approx(0.07 * np.sqrt(np.pi / 2), rel=0.05)  # Rayleigh
    assert noisy(dark, "xray").std() == 0  # counts
    assert noisy(bright, "histology").std() == pytest.approx(0.07, rel=0.05)


def test_a_bias_field_by_hand():
    """Quadratic, centred on 1, at most as strong as its severity says, and the same whatever the image holds."""
    field = _corrupt.bias_field(np.ones((33, 33, 1)), 2, "mri", np.random.default_rng(0))[..., 0] - 1
    v, u = np.meshgrid(np.linspace(-1, 1, 33), np.linspace(-1, 1, 33), indexing="ij")
    terms = np.stack([u, v, u * v, u**2 - 1 / 3, v**2 - 1 / 3])
    drawn = np.random.default_rng(0).standard_normal(5)
    assert np.abs(field).max() == pytest.approx(_corrupt.BIAS[1])
    assert np.corrcoef(field.ravel(), np.tensordot(drawn, terms, 1).ravel())[0, 1] == pytest.approx(1)
    half = _corrupt.bias_field(np.full((33, 33, 1), 0.5), 2, "mri", np.random.default_rng(0))[..., 0]
    np.testing.assert_allclose(half, 0.5 * (1 + field))


def test_robustness_tests_changed_copies_beside_the_clean_split(problem_of):
    problem = problem_of("binary")
    got = next(iter(Robustness(["noise", "contrast"], [1, 5]).predict(problem, [whole(problem)])))
    expected = ["test", "test~contrast-1", "test~contrast-5", "test~noise-1", "test~noise-5"]
    assert sorted(got.outputs) == expected
    assert {base_split(name) for name in got.outputs} == {"test"}
    drift = [abs(got.outputs[n] - got.outputs["test"]).mean() for n in ("test~contrast-1", "test~contrast-5")]
    assert 0 < drift[0] < drift[1]
