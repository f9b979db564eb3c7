"""What the objectives are, as a set, and the formulas of those that are not lightly's."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from bench import words
from bench.errors import UserError
from bench.pretrain.corpus import as_floats
from bench.pretrain.feed import batch_of
from bench.pretrain.job import Job, objectives
from bench.pretrain.objective import Batch
from bench.pretrain.objectives.anomaly_contrast import AREA, ellipses, implanted, places_of
from bench.pretrain.objectives.denoising import in_paint, out_paint, shuffle_blocks, spoiled
from bench.pretrain.objectives.rotation import turned
from bench.pretrain.objectives.supervised import _known


def test_the_paradigms_have_as_many_published_objectives_as_the_track_asks_for():
    kinds = objectives().values()
    published = Counter(k.paradigm for k in kinds if k.kind != "pathology-aware")
    wanted = {"contrastive": 8, "generative": 8, "predictive": 6, "hybrid": 4}
    assert set(wanted) == set(words.SSL_PARADIGMS)
    assert all(published[paradigm] >= least for paradigm, least in wanted.items()), published
    assert {k.name for k in kinds if k.paradigm == "reference"} == {"random-init", "supervised"}


@pytest.mark.parametrize("name", objectives())
def test_words_and_citation(name):
    kind = objectives()[name]
    assert kind.paradigm in words.PARADIGMS
    assert kind.kind in words.get_args(words.Objective)
    assert kind.paradigm == "reference" or re.search(r"arXiv \d{4}\.\d{4,5}|this project", kind.citation)


def test_a_backbone_starts_the_same_whatever_the_objective(recipe, corpus):
    states = [Job(n, recipe).build(corpus).backbone.network.state_dict() for n in ("random-init", "dino", "mae")]
    assert all(torch.equal(states[0][k], s[k]) for s in states for k in states[0])
    other = Job("mae", recipe, seed=1).build(corpus).backbone.network.state_dict()
    assert not torch.equal(states[0]["blocks.0.mlp.fc1.weight"], other["blocks.0.mlp.fc1.weight"])


def test_what_cannot_be_trained_is_refused(recipe, corpus):
    with pytest.raises(UserError, match="did you mean 'simclr'"):
        Job("simcl", recipe)
    with pytest.raises(UserError, match="'mae' cannot train a cnn"):
        Job("mae", recipe, "cnn")
    with pytest.raises(UserError, match="no labels"):
        Job("supervised", recipe).build(replace(corpus, labels={}))


def test_turned_images_are_turned_as_often_as_is_said():
    torch.manual_seed(0)
    images = torch.rand(40, 3, 6, 6)
    out, turns = turned(images)
    assert set(turns.tolist()) == {0, 1, 2, 3}
    for image, other, k in zip(images, out, turns.tolist(), strict=True):
        np.testing.assert_array_equal(np.rot90(image.numpy(), k, (1, 2)), other.numpy())


def test_shuffling_keeps_the_pixels_of_each_block():
    torch.manual_seed(0)
    images = torch.rand(5, 3, 12, 8)
    out = shuffle_blocks(images)
    assert not torch.equal(out, images)
    for i in range(5):
        for y in range(0, 12, 4):
            for x in range(0, 8, 4):
                before, after = (t[i, :, y : y + 4, x : x + 4].reshape(3, 16).T.tolist() for t in (images, out))
                assert sorted(before) == sorted(after)


def test_painting_changes_the_shares_it_should():
    torch.manual_seed(0)
    images = torch.full((300, 3, 24, 24), 2.0)
    inside, outside = ((f(images) != 2).float().mean((1, 2, 3)) for f in (in_paint, out_paint))
    assert inside.min() > 0.02
    assert inside.max() < 5 / 9 + 0.05
    assert outside.min() > 1 - (6 / 7) ** 2 - 0.08
    assert outside.max() <= 0.78
    kept = spoiled(torch.rand(50, 3, 24, 24))
    assert kept.min() >= 0
    assert kept.max() <= 1


def test_ellipses_have_the_stated_area_and_lie_at_their_centre():
    torch.manual_seed(0)
    coverage, centre = ellipses(400, 96, device="cpu")
    area = coverage.mean((1, 2, 3))
    assert AREA[0] * 0.7 < area.min()
    assert area.max() < AREA[1] * 1.15
    at = (torch.arange(96) + 0.5) / 96
    inner = ((centre - 0.5).abs() < 0.3).all(1)
    x = (coverage[:, 0].sum(1) @ at / coverage.sum((1, 2, 3)))[inner]
    y = (coverage[:, 0].sum(2) @ at / coverage.sum((1, 2, 3)))[inner]
    assert (torch.stack([x, y], 1) - centre[inner]).abs().max() < 0.01


def test_an_implant_changes_the_image_where_it_covers_and_nowhere_else():
    torch.manual_seed(0)
    images = 0.3 + 0.4 * torch.rand(20, 3, 64, 64)
    out, coverage, _ = implanted(images)
    changed = (out - images).abs().amax(1, keepdim=True)
    assert torch.equal(changed > 0, coverage > 0) or ((changed > 1e-7) <= (coverage > 0)).all()
    assert changed.amax((1, 2, 3)).min() > 0.03
    assert out.min() >= 0
    assert out.max() <= 1


def test_places_follow_the_coverage():
    coverage = torch.zeros(1, 1, 8, 8)
    coverage[0, 0, 4:6, 2:6] = 1
    expected = torch.zeros(4, 4)
    expected[2, 1:3] = 0.5
    torch.testing.assert_close(places_of(coverage, 4).view(4, 4), expected, atol=1e-6, rtol=0)


def test_unknown_labels_do_not_count():
    logits, labels = torch.randn(4, 3), torch.tensor([0, -1, 2, -1])
    expected = -np.mean([F.log_softmax(logits, 1)[0, 0].item(), F.log_softmax(logits, 1)[2, 2].item()])
    assert _known(logits, labels).item() == pytest.approx(expected, rel=1e-6)
    assert _known(logits, torch.full((4,), -1)).item() == 0


def test_supervised_losses_are_one_for_each_label(recipe, corpus):
    job = Job("supervised", recipe)
    parts = job.build(corpus).losses(batch_of(job, corpus, 0))
    assert set(parts) == {"bright", "some"}
    assert isinstance(batch_of(job, corpus, 0), Batch)


def test_no_objective_is_counted_twice(recipe, corpus):
    """Each has a name, a method and a paper of its own, and no two pull the backbone the same way.

    SimCLR and DCL come closest at the start (cosine 0.998): they part once positives stand out of the negatives.
    """
    kinds = [k for k in objectives().values() if k.paradigm != "reference"]
    papers = [re.search(r"arXiv (\d{4}\.\d{4,5})", k.citation).group(1) for k in kinds if k.kind != "pathology-aware"]
    for values in ([k.name for k in kinds], [k.method for k in kinds], papers):
        assert max(Counter(values).values()) == 1, Counter(values).most_common(2)
    pulls = F.normalize(torch.stack([_pull(k.name, recipe, corpus) for k in kinds]), dim=1)
    alike = (pulls @ pulls.T).fill_diagonal_(0)
    i, j = divmod(int(alike.argmax()), len(kinds))
    assert alike.max() < 0.9999, (kinds[i].name, kinds[j].name)


def _pull(name: str, recipe, corpus) -> torch.Tensor:
    """The gradient of the backbone at its start, on the same images and draws."""
    model = Job(name, recipe).build(corpus)
    torch.manual_seed(5)
    sum(model.losses(Batch(as_floats(corpus.images[:8]))).values()).backward()
    return torch.cat([p.grad.flatten() for p in model.backbone.network.parameters() if p.grad is not None])


def test_a_pathology_aware_objective_has_a_control_that_is_trained_like_it():
    kinds = objectives()
    aware = [k for k in kinds.values() if k.kind == "pathology-aware"]
    assert len(aware) >= 2
    assert len({k.control for k in aware}) == len(aware)
    for kind in aware:
        control = kinds[kind.control]
        assert control.kind != "pathology-aware"
        for same in ("paradigm", "views", "teacher_views", "backbones"):
            assert getattr(control, same) == getattr(kind, same)
    assert all(not k.control for k in kinds.values() if k not in aware)
