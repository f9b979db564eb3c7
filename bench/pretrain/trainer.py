"""The one trainer of all objectives: deterministic, resumable after any interruption, logged line by line.

Every step draws from a generator seeded by (seed, step) and every batch is a function of (seed, step), so a run that
was killed and resumed from its last checkpoint ends with the same weights, byte for byte, as one that was not
(on one machine, with one number of threads).
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.pretrain.backbone import Backbone
from bench.pretrain.checkpoint import load_checkpoint, save_checkpoint
from bench.pretrain.corpus import Corpus, as_floats
from bench.pretrain.diagnostics import diagnose
from bench.pretrain.feed import batches, on_gpu
from bench.pretrain.job import Job, stream
from bench.pretrain.log import Listener, Log, Row
from bench.pretrain.objective import Batch, Objective

FETCH = 50
"""Steps between two looks at the loss on a GPU: each look waits for the device."""


class Stopped(Exception):
    """A run that was told to stop: its checkpoint stands, and the same run goes on from there."""


@dataclass(frozen=True)
class Trained:
    """A finished run: its backbone, and its log (one row a step; some rows carry diagnostics)."""

    backbone: Backbone
    rows: list[Row]


def pretrain(
    job: Job,
    corpus: Corpus,
    folder: Path,
    *,
    device: str = "cpu",
    threads: int = 0,
    listen: Listener | None = None,
    stop: Callable[[], bool] | None = None,
    compiled: bool = False,
) -> Trained:
    """Train `job` on `corpus`, keeping log.jsonl and checkpoint.safetensors in `folder`; goes on where it stopped.

    threads: CPU threads, 0 for torch's default. stop: asked after each step (on a GPU, now and then); when it says so
    the state is saved and Stopped is raised. compiled: let torch compile the network; faster on a GPU after a minute,
    other bits. Raises RunError when the loss is no longer finite, or when `folder` holds another run.
    """
    with _deterministic(threads):
        model = job.build(corpus).to(device)
        optimiser = torch.optim.AdamW(
            _groups(model, job.recipe.weight_decay), betas=(0.9, 0.95), fused=True if on_gpu(device) else None
        )
        run, checkpoint = job.identity(corpus.sha256), folder / "checkpoint.safetensors"
        done = load_checkpoint(checkpoint, model, optimiser, run=run)
        log = Log(folder / "log.jsonl", done, listen, rate_at=job.rate_at, objective=job.objective)
        if compiled:
            _compile(model.backbone)
        if done == 0 and (job.recipe.evaluations > 1 or not job.steps):
            log.write({"step": 0, **_diagnose(model, corpus, device)})
        for step, batch in enumerate(batches(job, corpus, done, device), done + 1):
            log.later(step, _step(job, model, optimiser, batch, step - 1, device))
            evaluate, save = (_due(step, job.steps, n) for n in (job.recipe.evaluations, job.recipe.checkpoints))
            if on_gpu(device) and not (evaluate or save or step % FETCH == 0):
                continue
            log.fetch(lambda due=evaluate: _diagnose(model, corpus, device) if due else {})  # type: ignore[misc]
            ends = stop is not None and step < job.steps and stop()
            if save or ends:
                log.flush()
                save_checkpoint(checkpoint, model, optimiser, step=step, run=run)
            if ends:
                raise Stopped(job.name)
        log.flush()
    return Trained(model.backbone, log.rows)


def _step(
    job: Job, model: Objective, optimiser: torch.optim.Optimizer, batch: Batch, step: int, device: str
) -> dict[str, Tensor]:
    """One optimiser step; the loss, the norm of the gradient and the parts of the loss, still on the device."""
    for group in optimiser.param_groups:
        group["lr"] = job.rate_at(step)
    torch.manual_seed(stream(job.seed, "step", step))
    half = job.recipe.precision == "bfloat16" and on_gpu(device)
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
        parts = model.losses(batch)
    loss: Tensor = sum(parts.values())  # type: ignore[assignment]
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), job.recipe.clip_norm)
    optimiser.step()
    model.after_step(step / job.steps)
    named = {f"loss/{name}": value for name, value in parts.items()} if len(parts) > 1 else {}
    return {name: value.detach() for name, value in {"loss": loss, "norm": norm, **named}.items()}


def _compile(backbone: Backbone) -> None:
    """Each part of the network by itself: objectives call the parts, and the names of the weights stay."""
    for part in backbone.network.children():
        part.compile()


def _diagnose(model: Objective, corpus: Corpus, device: str) -> Row:
    held = as_floats(corpus.images[corpus.held], device)
    return diagnose(model.backbone, held, {name: values[corpus.held] for name, values in corpus.labels.items()})


def _due(step: int, steps: int, times: int) -> bool:
    """Whether `step`, from 1, is one of `times` evenly spaced steps; the last always is."""
    return step == steps or step * times // steps > (step - 1) * times // steps


def _groups(model: Objective, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; biases, norms, tokens and position embeddings do not."""
    named = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    decays = [p for n, p in named if p.ndim >= 2 and not n.endswith("pos_embed")]
    others = [p for n, p in named if p.ndim < 2 or n.endswith("pos_embed")]
    return [{"params": decays, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


@contextmanager
def _deterministic(threads: int) -> Iterator[None]:
    """Deterministic kernels and the wanted threads; the caller's settings and random state come back afterwards."""
    was, count = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # asked for by cuBLAS; read at its first use
    with torch.random.fork_rng():
        torch.use_deterministic_algorithms(True)
        memory.fill_uninitialized_memory = False  # a kernel for each new tensor
        if threads:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(was)
            memory.fill_uninitialized_memory = filled
            torch.set_num_threads(count)
