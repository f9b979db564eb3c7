"""The one trainer of all objectives: deterministic, resumable after any interruption, logged line by line.

Every step draws from a generator seeded by (seed, step) and every batch is a function of (seed, step), so a run that
was killed and resumed from its last checkpoint ends with the same weights, byte for byte, as one that was not
(on one machine, with one number of threads).
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from bench.errors import RunError
from bench.files import canonical_json, write_atomic
from bench.pretrain.backbone import Backbone
from bench.pretrain.checkpoint import load_checkpoint, save_checkpoint
from bench.pretrain.corpus import Corpus, as_floats
from bench.pretrain.diagnostics import diagnose
from bench.pretrain.job import Job, stream
from bench.pretrain.objective import Batch, Objective

Row = dict[str, Any]
Listener = Callable[[Row], None]
"""Is handed each row of the log as it is written."""


@dataclass(frozen=True)
class Trained:
    """A finished run: its backbone, and its log (one row a step; some rows carry diagnostics)."""

    backbone: Backbone
    rows: list[Row]


def pretrain(
    job: Job, corpus: Corpus, folder: Path, *, device: str = "cpu", threads: int = 0, listen: Listener | None = None
) -> Trained:
    """Train `job` on `corpus`, keeping log.jsonl and checkpoint.safetensors in `folder`; goes on where it stopped.

    threads: CPU threads, 0 for torch's default. Raises RunError when the loss is no longer finite, or when `folder`
    holds another run.
    """
    with _deterministic(threads):
        model = job.build(corpus).to(device)
        optimiser = torch.optim.AdamW(_groups(model, job.recipe.weight_decay), betas=(0.9, 0.95))
        run = job.identity(corpus.sha256)
        done = load_checkpoint(folder / "checkpoint.safetensors", model, optimiser, run=run)
        log = _Log(folder / "log.jsonl", done, listen)
        if done == 0 and (job.recipe.evaluations > 1 or not job.steps):
            log.write({"step": 0, **_diagnose(model, corpus, device)})
        for step in range(done, job.steps):
            row = _step(job, model, optimiser, corpus, step, device)
            if _due(step + 1, job.steps, job.recipe.evaluations):
                row |= _diagnose(model, corpus, device)
            log.write(row)
            if _due(step + 1, job.steps, job.recipe.checkpoints):
                log.flush()
                save_checkpoint(folder / "checkpoint.safetensors", model, optimiser, step=step + 1, run=run)
        log.flush()
    return Trained(model.backbone, log.rows)


def batch_of(job: Job, corpus: Corpus, step: int, device: str = "cpu") -> Batch:
    """The batch of a step: the corpus in a new random order each epoch, epochs joined without a gap."""
    n, k = len(corpus.trained), job.images_per_step
    places = np.arange(step * k, (step + 1) * k)
    orders = {e: np.random.default_rng([job.seed, e]).permutation(n) for e in np.unique(places // n)}
    index = corpus.trained[[orders[p // n][p % n] for p in places]]
    labels = {name: torch.from_numpy(values[index]).to(device) for name, values in corpus.labels.items()}
    return Batch(as_floats(corpus.images[index], device), labels, step / job.steps)


def _step(job: Job, model: Objective, optimiser: torch.optim.Optimizer, corpus: Corpus, step: int, device: str) -> Row:
    start = time.perf_counter()
    rate = job.rate_at(step)
    for group in optimiser.param_groups:
        group["lr"] = rate
    torch.manual_seed(stream(job.seed, "step", step))
    batch = batch_of(job, corpus, step, device)
    half = job.recipe.precision == "bfloat16" and torch.device(device).type == "cuda"
    with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
        parts = model.losses(batch)
    loss = sum(parts.values())
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), job.recipe.clip_norm)
    optimiser.step()
    model.after_step(step / job.steps)
    # One transfer a step: each would wait for the device.
    total, size, *values = torch.stack([v.detach().float() for v in (loss, norm, *parts.values())]).tolist()
    if not math.isfinite(total):
        raise RunError(f"the loss of {job.objective!r} is {total} at step {step}", fix="lower the learning rate")
    named = {f"loss/{name}": value for name, value in zip(parts, values, strict=True)} if len(parts) > 1 else {}
    seconds = time.perf_counter() - start
    return {"step": step + 1, "loss": total, **named, "rate": rate, "norm": size, "seconds": seconds}


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
    with torch.random.fork_rng():
        torch.use_deterministic_algorithms(True)
        if threads:
            torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(was)
            torch.set_num_threads(count)


class _Log:
    """log.jsonl: rows up to the checkpoint are kept, later ones are written again."""

    def __init__(self, path: Path, done: int, listen: Listener | None) -> None:
        self.path, self.listen = path, listen
        lines = path.read_text().splitlines() if path.exists() and done else []
        self.rows: list[Row] = [row for row in map(json.loads, lines) if row["step"] <= done]
        for row in self.rows:
            self._tell(row)

    def write(self, row: Row) -> None:
        self.rows.append(row)
        self._tell(row)

    def flush(self) -> None:
        """Write the whole log, atomically, before the checkpoint that refers to it."""
        write_atomic(self.path, "".join(canonical_json(row) + "\n" for row in self.rows))

    def _tell(self, row: Row) -> None:
        if self.listen:
            self.listen(row)
