"""The trainer: schedules, batches, determinism, and resuming to the same bytes after kill -9."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from multiprocessing import get_context

import numpy as np
import pytest
import torch

from bench.errors import RunError
from bench.pretrain import trainer
from bench.pretrain.compute import compute_of, step_flops
from bench.pretrain.feed import batch_of, batches
from bench.pretrain.job import Job, stream
from bench.pretrain.log import Log
from bench.pretrain.ship import weights_of
from bench.pretrain.trainer import Stopped, pretrain


def test_the_rate_rises_linearly_and_falls_as_a_cosine(recipe):
    job = Job("simclr", recipe.model_copy(update={"steps": 100, "warmup": 0.1, "learning_rates": {"simclr": 0.5}}))
    rates = np.array([job.rate_at(step) for step in range(100)])
    np.testing.assert_allclose(rates[:10], 0.05 * np.arange(1, 11))
    np.testing.assert_allclose(rates[10:], 0.25 * (1 + np.cos(np.pi * np.arange(90) / 90)))


def test_every_image_is_seen_once_an_epoch_and_held_ones_never(recipe, corpus):
    job = Job("mae", recipe)
    n, k = len(corpus.trained), job.images_per_step
    steps = 3 * n // k
    seen = np.concatenate([_indices(job, corpus, s) for s in range(steps)])
    assert not set(seen) & set(corpus.held)
    assert all(Counter(seen[e * n : (e + 1) * n]) == Counter(corpus.trained) for e in range(2))
    assert list(seen[:n]) != list(seen[n : 2 * n])
    assert len(corpus.held) + n == len(corpus.images)


def _indices(job, corpus, step):
    """Indices of a batch, found by giving every image its own number as a label."""
    numbered = type(corpus)(corpus.name, corpus.images, {"index": np.arange(len(corpus.images))})
    return batch_of(job, numbered, step).labels["index"].numpy()


def test_a_batch_holds_the_images_as_floats(recipe, corpus):
    job = Job("mae", recipe)
    batch, index = batch_of(job, corpus, 2), _indices(job, corpus, 2)
    expected = corpus.images[index].astype(np.float64).transpose(0, 3, 1, 2) / 255
    np.testing.assert_allclose(batch.images.numpy(), expected, atol=1e-7)
    np.testing.assert_array_equal(batch.labels["bright"], corpus.labels["bright"][index])
    assert batch.progress == 2 / job.steps


@pytest.mark.parametrize("name", ["simclr", "mae", "ibot"])
def test_interrupted_anywhere_it_ends_with_the_same_bytes(name, recipe, corpus, tmp_path, monkeypatch):
    job = Job(name, recipe)
    whole = pretrain(job, corpus, tmp_path / "whole", threads=1)
    assert len(list((tmp_path / "whole").iterdir())) == 2

    def stop(*args):
        if args[4] == 5:
            raise KeyboardInterrupt
        return step(*args)

    step = trainer._step
    monkeypatch.setattr(trainer, "_step", stop)
    with pytest.raises(KeyboardInterrupt):
        pretrain(job, corpus, tmp_path / "cut", threads=1)
    monkeypatch.setattr(trainer, "_step", step)
    resumed = pretrain(job, corpus, tmp_path / "cut", threads=1)
    assert weights_of(whole.backbone) == weights_of(resumed.backbone)
    assert _without_time(whole.rows) == _without_time(resumed.rows)
    lines = [json.loads(line) for line in (tmp_path / "cut" / "log.jsonl").read_text().splitlines()]
    assert lines == resumed.rows


def plainly(job, corpus):
    """The trainer as it is told in a paper: one loop, every number fetched at once, nothing made ahead."""
    torch.use_deterministic_algorithms(True)
    model = job.build(corpus)
    optimiser = torch.optim.AdamW(trainer._groups(model, job.recipe.weight_decay), betas=(0.9, 0.95))
    losses = []
    for step in range(job.steps):
        for group in optimiser.param_groups:
            group["lr"] = job.rate_at(step)
        torch.manual_seed(stream(job.seed, "step", step))
        loss = sum(model.losses(batch_of(job, corpus, step)).values())
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), job.recipe.clip_norm)
        optimiser.step()
        model.after_step(step / job.steps)
        losses.append(loss.item())
    torch.use_deterministic_algorithms(False)
    return weights_of(model.backbone), losses


@pytest.mark.parametrize("name", ["moco-v3", "denoising", "supervised"])
def test_the_trainer_gives_the_bytes_of_a_plain_loop(name, recipe, corpus, tmp_path):
    job = Job(name, recipe)
    found = pretrain(job, corpus, tmp_path, threads=1)
    weights, losses = plainly(job, corpus)
    assert weights_of(found.backbone) == weights
    assert [row["loss"] for row in found.rows if "loss" in row] == losses


def test_batches_made_ahead_are_those_of_their_steps(recipe, corpus):
    job = Job("simclr", recipe)
    for ahead in (0, 2, 50):
        found = list(batches(job, corpus, 2, "cpu", ahead=ahead))
        assert len(found) == job.steps - 2
        for step, batch in enumerate(found, 2):
            expected = batch_of(job, corpus, step)
            assert torch.equal(batch.images, expected.images)
            assert torch.equal(batch.labels["bright"], expected.labels["bright"])
            assert batch.progress == expected.progress


def test_told_to_stop_it_saves_and_goes_on_to_the_same_bytes(recipe, corpus, tmp_path):
    job, asked = Job("dino", recipe), []
    with pytest.raises(Stopped):
        pretrain(job, corpus, tmp_path / "cut", threads=1, stop=lambda: asked.append(0) or len(asked) == 2)
    assert json.loads((tmp_path / "cut" / "log.jsonl").read_text().splitlines()[-1])["step"] == 2
    whole = pretrain(job, corpus, tmp_path / "whole", threads=1)
    resumed = pretrain(job, corpus, tmp_path / "cut", threads=1, stop=lambda: False)
    assert weights_of(resumed.backbone) == weights_of(whole.backbone)
    assert _without_time(resumed.rows) == _without_time(whole.rows)


def test_numbers_are_fetched_together_and_told_apart(tmp_path):
    log = Log(tmp_path / "log.jsonl", 0, None, rate_at=lambda step: step / 10, objective="x")
    for step in (1, 2, 3):
        parts = {} if step == 2 else {"loss/a": torch.tensor(step + 0.5)}
        log.later(step, {"loss": torch.tensor(float(step)), "norm": torch.tensor(2.0 * step), **parts})
    log.fetch(lambda: time.sleep(0.2) or {"knn": 1.0})
    assert all(row["seconds"] < 0.05 for row in log.rows)
    assert [row["loss"] for row in log.rows] == [1, 2, 3]
    assert [row["norm"] for row in log.rows] == [2, 4, 6]
    assert [row.get("loss/a") for row in log.rows] == [1.5, None, 3.5]
    assert [row["rate"] for row in log.rows] == [0, 0.1, 0.2]
    assert [row.get("knn") for row in log.rows] == [None, None, 1.0]
    log.later(4, {"loss": torch.tensor(float("nan"))})
    with pytest.raises(RunError, match="the loss of 'x' is nan at step 3"):
        log.fetch(dict)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_two_runs_and_a_resumed_one_agree(recipe, corpus, tmp_path):
    job, asked = Job("moco-v3", recipe.model_copy(update={"steps": 120, "precision": "bfloat16"})), []
    with pytest.raises(Stopped):
        pretrain(job, corpus, tmp_path / "cut", device="cuda", stop=lambda: asked.append(0) or len(asked) == 2)
    found = [weights_of(pretrain(job, corpus, tmp_path / n, device="cuda").backbone) for n in ("cut", "one", "two")]
    assert len(set(found)) == 1


def _without_time(rows):
    return [{k: v for k, v in row.items() if k != "seconds"} for row in rows]


def _train(job, corpus, folder):
    (folder / "weights").write_bytes(weights_of(pretrain(job, corpus, folder, threads=1).backbone))


def test_killed_with_signal_9_and_resumed_it_ends_with_the_same_bytes(recipe, corpus, tmp_path):
    longer = recipe.model_copy(update={"steps": 60, "checkpoints": 30, "evaluations": 1})
    for name in ("killed", "whole"):
        (tmp_path / name).mkdir()
    # Not forked: autograd refuses to work in a fork of a process that has used it.
    child = get_context("spawn").Process(target=_train, args=(Job("byol", longer), corpus, tmp_path / "killed"))
    child.start()
    while child.is_alive() and not (tmp_path / "killed" / "checkpoint.safetensors").exists():
        time.sleep(0.001)
    child.kill()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "weights").exists()
    for name in ("killed", "whole"):
        _train(Job("byol", longer), corpus, tmp_path / name)
    assert (tmp_path / "killed" / "weights").read_bytes() == (tmp_path / "whole" / "weights").read_bytes()


def test_another_run_in_the_same_folder_is_refused(recipe, corpus, tmp_path):
    pretrain(Job("rotation", recipe), corpus, tmp_path, threads=1)
    with pytest.raises(RunError, match="another objective, recipe, corpus or seed"):
        pretrain(Job("rotation", recipe, seed=1), corpus, tmp_path, threads=1)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(RunError, match="is damaged"):
        pretrain(Job("rotation", recipe), corpus, tmp_path, threads=1)


def test_a_loss_that_is_not_finite_stops_the_run(recipe, corpus, tmp_path):
    wild = recipe.model_copy(update={"learning_rate": 1.0, "clip_norm": 1e30, "warmup": 0.0, "steps": 400})
    job = Job("simmim", wild)
    model = job.build(corpus)
    with torch.no_grad():
        model.decode.weight.fill_(float("inf"))
    optimiser = torch.optim.AdamW(model.parameters())
    log = Log(tmp_path / "log.jsonl", 0, None, rate_at=job.rate_at, objective="simmim")
    log.later(1, trainer._step(job, model, optimiser, batch_of(job, corpus, 0), 0, "cpu"))
    with pytest.raises(RunError, match="at step 0"):
        log.fetch(dict)


def test_the_untrained_reference_is_diagnosed_and_not_trained(recipe, corpus, tmp_path):
    job = Job("random-init", recipe)
    found = pretrain(job, corpus, tmp_path, threads=1)
    assert [row["step"] for row in found.rows] == [0]
    assert weights_of(found.backbone) == weights_of(job.build(corpus).backbone)
    assert compute_of(job, corpus)["flops"] == 0


def test_training_leaves_the_callers_random_state_alone(recipe, corpus, tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(4)
    torch.manual_seed(3)
    pretrain(Job("mae", recipe), corpus, tmp_path, threads=1)
    assert torch.equal(torch.rand(4), expected)
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_loss_falls_on_a_task_that_can_be_learnt(recipe, corpus, tmp_path):
    longer = recipe.model_copy(update={"steps": 60, "learning_rate": 5e-3, "evaluations": 1})
    rows = pretrain(Job("supervised", longer), corpus, tmp_path, threads=1).rows
    losses = [row["loss"] for row in rows if "loss" in row]
    assert np.mean(losses[-10:]) < 0.6 * np.mean(losses[:10])
    assert rows[-1]["knn/bright"] > 0.9


def test_weight_decay_is_for_matrices_only(recipe, corpus):
    model = Job("mae", recipe).build(corpus)
    decays, others = (g["params"] for g in trainer._groups(model, 0.1))
    names = {id(p): n for n, p in model.named_parameters()}
    assert not any(n.endswith(("bias", "pos_embed", "token")) for n in (names[id(p)] for p in decays))
    assert len(decays) + len(others) == len(names)


def test_flops_of_a_plain_step_by_hand(recipe, corpus):
    """Rotation: 16 views of 16 tokens through one block of width 16, twice more for the backward pass."""
    n, t, d = 16, 16, 16
    block = 2 * t * d * d * (3 + 1 + 8) + 2 * 2 * t * t * d
    forward = n * (2 * t * 192 * d + block) + 2 * n * d * 4
    # No gradient flows to the pixels, so the patch projection has no such product in its backward pass.
    blur = n * 3 * 10 * (36 * 32 + 32 * 32)
    assert step_flops(Job("rotation", recipe), corpus) == 3 * forward - n * 2 * t * 192 * d + blur


def test_streams_differ_and_fit_the_generator():
    seeds = {stream(0, "step", i) for i in range(100)} | {stream(1, "step", i) for i in range(100)}
    assert len(seeds) == 200
    assert all(0 <= s < 2**63 for s in seeds)
