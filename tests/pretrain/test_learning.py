"""Every objective learns: its loss can be driven down, nothing collapses, no target carries gradient or is seen."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from bench.pretrain import trainer
from bench.pretrain.augment import two_views
from bench.pretrain.backbone import pixels_of
from bench.pretrain.corpus import Corpus, as_floats
from bench.pretrain.diagnostics import collapsed
from bench.pretrain.job import Job, objectives
from bench.pretrain.objective import Batch, both
from bench.pretrain.ship import weights_of
from bench.pretrain.trainer import pretrain

TRAINED = sorted(name for name, kind in objectives().items() if kind.trains)
PREDICTS = ["byol", "data2vec", "i-jepa", "moco-v3", "nnclr", "simsiam"]
"""Objectives whose prediction is a module `predict`: all that is left without it are targets."""
SPREAD = 0.15
"""Least spread of directions after a short run; 0.5 untrained."""
PAIRED = [
    "barlow-twins", "can", "contrastive-mim", "dcl", "densecl", "dino", "dinov2", "ibot", "lejepa", "moco-v2", "msn",
    "relic", "simclr", "swav", "vicreg",
]  # fmt: skip
"""Objectives that pair views without a predictor, which at its start knows no pair."""
MASKED = [
    "anomaly-mim", "beit", "can", "contrastive-mim", "data2vec", "dinov2", "i-jepa", "ibot", "inpainting", "mae",
    "maskfeat", "msn", "simmim",
]  # fmt: skip


@pytest.fixture(scope="module")
def textures() -> Corpus:
    """Waves of any direction, width and colour; the label is whether they lean to the left."""
    rng, at = np.random.default_rng(0), np.arange(40)
    turn, width, phase = (rng.uniform(*span, (96, 1, 1, 1)) for span in ((0, np.pi), (0.2, 1.2), (0, 6)))
    along = np.cos(turn) * at[:, None] + np.sin(turn) * at[:, None, None]
    images = 0.45 + rng.uniform(0.15, 0.4, (96, 1, 1, 3)) * np.sin(width * along + phase)
    images = (255 * np.clip(images + rng.normal(0, 0.02, images.shape), 0, 1)).astype(np.uint8)
    return Corpus("own", images, {"left": (turn.ravel() > np.pi / 2).astype(int)}, "7e87")


@pytest.mark.parametrize("name", TRAINED)
def test_the_loss_of_one_draw_can_be_driven_down(name: str, recipe, textures: Corpus) -> None:
    """Same images, same random numbers, same state of queues and teachers: only the trained weights move."""
    model = Job(name, recipe).build(textures)
    optimiser = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    buffers = {key: value.clone() for key, value in model.named_buffers()}
    batch = Batch(as_floats(textures.images[:8]), {"left": torch.from_numpy(textures.labels["left"][:8])})
    losses = []
    for _ in range(10):
        for key, value in model.named_buffers():
            value.data = buffers[key].clone()
        torch.manual_seed(5)
        loss = sum(model.losses(batch).values())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert all(p.grad is None for p in model.parameters() if not p.requires_grad)
    assert losses[-1] < losses[0] - 0.04 * abs(losses[0]), (losses[0], losses[-1])


@pytest.mark.parametrize("name", TRAINED)
def test_a_run_cut_in_two_ends_as_the_whole_one_and_does_not_collapse(
    name: str, recipe, textures: Corpus, tmp_path, monkeypatch
) -> None:
    """Queues, centres, teachers and vocabularies are in the checkpoint."""
    short = {"steps": 16, "learning_rate": 1e-2, "checkpoints": 2, "evaluations": 1}
    job = Job(name, recipe.model_copy(update=short))
    whole = pretrain(job, textures, tmp_path / "whole", threads=1)
    last = whole.rows[-1]
    assert not collapsed(last)
    assert last["centred_rank"] > 5, last
    assert last["feature_std"] > SPREAD or job.kind.paradigm == "generative", last  # pixels have much in common
    save = trainer.save_checkpoint

    def stop(*args, **kwargs):
        save(*args, **kwargs)
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "save_checkpoint", stop)
    with pytest.raises(KeyboardInterrupt):
        pretrain(job, textures, tmp_path / "cut", threads=1)
    monkeypatch.setattr(trainer, "save_checkpoint", save)
    resumed = pretrain(job, textures, tmp_path / "cut", threads=1)
    assert weights_of(whole.backbone) == weights_of(resumed.backbone)
    assert [row["loss"] for row in whole.rows] == [row["loss"] for row in resumed.rows]


def test_a_collapse_is_seen_in_so_short_a_run(recipe, textures: Corpus, tmp_path, monkeypatch) -> None:
    def agree(model, batch):
        first, second = both(model.backbone, *two_views(batch.images, model.recipe))
        return {"agree": ((first - second) ** 2).mean()}

    monkeypatch.setattr(objectives()["simsiam"], "losses", agree)
    short = recipe.model_copy(update={"steps": 24, "learning_rate": 1e-2, "checkpoints": 1, "evaluations": 1})
    assert pretrain(Job("simsiam", short), textures, tmp_path, threads=1).rows[-1]["feature_std"] < SPREAD


@pytest.mark.parametrize("name", PAIRED)
def test_two_views_of_one_image_fit_better_than_views_of_two(name: str, recipe, textures: Corpus, monkeypatch) -> None:
    model, losses = Job(name, recipe).build(textures), []
    module = sys.modules[type(model).__module__]
    for shift in (0, 1):
        monkeypatch.setattr(module, "two_views", lambda images, *args, by=shift: (images, images.roll(by, 0)))
        torch.manual_seed(5)
        losses.append(sum(model.losses(Batch(as_floats(textures.images[:8])[..., :32, :32])).values()).item())
    assert losses[0] < losses[1]


@pytest.mark.parametrize("name", PREDICTS)
def test_no_gradient_reaches_a_target(name: str, recipe, textures: Corpus) -> None:
    model = Job(name, recipe).build(textures)
    predict = model.predict.forward
    model.predict.forward = lambda *args: predict(*args).detach()
    loss = sum(model.losses(Batch(as_floats(textures.images[:8]))).values())
    assert not loss.requires_grad


@pytest.mark.parametrize("name", MASKED)
def test_what_is_hidden_is_not_seen_by_the_encoder(name: str, recipe, textures: Corpus, monkeypatch) -> None:
    """Other pixels under the mask leave the student's tokens as they are, and change the loss: they are its target."""
    model = Job(name, recipe).build(textures)
    model.eval()
    images = as_floats(textures.images[:8])[..., :32, :32]
    mask = torch.rand(16, 16, generator=torch.Generator().manual_seed(0)).argsort(1) < 6
    _fix_the_views(model, mask, monkeypatch)
    changed = torch.where(pixels_of(mask[: len(images)], 8)[:, None], torch.rand_like(images), images)
    seen: list[torch.Tensor] = []
    model.backbone.network.norm.register_forward_hook(lambda module, inputs, out: seen.append(out.detach()))
    losses = []
    for version in (images, changed):
        torch.manual_seed(5)
        losses.append(sum(model.losses(Batch(version)).values()).item())
    hides = 8 if name == "contrastive-mim" else None  # its other view is whole
    torch.testing.assert_close(seen[0][:hides], seen[1][:hides])
    assert len(seen) == 2
    assert abs(losses[0] - losses[1]) > 1e-6


def _fix_the_views(model, mask: torch.Tensor, monkeypatch) -> None:
    """Views are the images as they are, twice where there are two, and the hidden patches those of `mask`."""
    module = sys.modules[type(model).__module__]

    def fixed(n, *args, **kwargs):
        return mask[:8].repeat(n // 8, 1)

    stand_ins = {
        "crop": lambda images, *args: images,
        "two_views": lambda images, *args: (images, images),
        "implanted": lambda images: (images, torch.zeros_like(images[:, :1]), None),
        "random_mask": fixed,
        "blocks": fixed,
        "rectangles": lambda n, *args, **kwargs: pixels_of(fixed(n), 8),
    }
    for name in stand_ins.keys() & vars(module).keys():
        monkeypatch.setattr(module, name, stand_ins[name])
