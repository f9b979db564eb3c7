"""fine-tune-v1: the whole network is trained with a linear head; a board of its own.

AdamW, weight decay 0.05, batches of 64, layer decay 0.75, 10 % warm-up, cosine, 50 epochs but at least 2,000 and
at most 10,000 steps, drop-path 0.1; flips and rotations by modality, small changes of brightness and contrast. At 100 %
the learning rate is one of 2e-5, 1e-4, 5e-4 and the epoch is the best one, both by the primary metric on the validation
split; inside a label budget nothing is tuned: 1e-4, last epoch. Not comparable with the frozen boards: rankings differ
(docs/protocols.md).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.budgets import Subset
from bench.data.task import Task
from bench.encoders.base import Encoder
from bench.encoders.preprocess import prepare
from bench.errors import NotForThisEncoderError
from bench.features.looks import refuse_units
from bench.features.resident import Array, Matrix
from bench.protocols._select import calibrated, one_hot, primary, probabilities
from bench.protocols._train import cosine_steps, layer_groups, loss_of, torch_seed, with_drop_path
from bench.protocols.base import Prediction, Problem, Protocol

UPRIGHT = ("xray", "oct", "ultrasound", "photo", "ct", "mri")
"""Modalities whose images have a top: flipped left to right only, and turned a little."""
TURNED = 10.0
"""Degrees by which an upright image is turned at most; others by any angle."""
SCALED_BY = 256
"""Training images whose features set the scale of what the head sees."""


class FineTune(Protocol):
    """See the module. The arguments are for tests; the frozen numbers are the defaults."""

    name = "fine-tune-v1"
    title = "Fine-tuning"
    kind = "global"
    board = "fine-tune"
    bags = "never"
    seeded = True

    def __init__(self, *, rates: Sequence[float] = (2e-5, 1e-4, 5e-4), epochs: int = 50,
                 steps: tuple[int, int] = (2000, 10000), batch: int = 64) -> None:  # fmt: skip
        self.params: Mapping[str, Any] = {
            "lr": list(rates),
            "lr_few": 1e-4,
            "epochs": epochs,
            "steps": list(steps),
            "batch": batch,
            "weight_decay": 0.05,
            "layer_decay": 0.75,
            "warm_up": 0.1,
            "schedule": "cosine",
            "drop_path": 0.1,
            "augment": "flips, rotation, brightness and contrast 0.1",
            "upright": list(UPRIGHT),
            "turned": TURNED,
            "scaled_by": SCALED_BY,
        }

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        if problem.encoder is None or problem.encoder.module is None:
            raise NotForThisEncoderError("has no network to train", fix="fine-tuning needs weights, not embeddings")
        refuse_units(problem.encoder)
        if problem.train.images.ndim != 4:
            raise NotForThisEncoderError("fine-tuning is for flat images")
        for subset in subsets:
            yield self._predict(problem, problem.encoder, subset)

    def _predict(self, problem: Problem, encoder: Encoder, subset: Subset) -> Prediction:
        task, tuned = problem.task, subset.full and len(problem.val.labels) > 0
        found: tuple[float, float, _Model] | None = None
        for rate in self.params["lr"] if tuned else [self.params["lr_few"]]:
            with torch.random.fork_rng():
                value, model = self._train(problem, encoder, subset, rate, tuned)
            if found is None or value > found[0]:
                found = value, rate, model
        assert found is not None
        resident, model = problem.resident, found[2]
        outputs = {
            name: probabilities(task, model.logits(resident(test.images))).astype(np.float32)
            for name, test in problem.tests.items()
        }
        chosen = {"lr": found[1]}
        if tuned:
            held = probabilities(task, model.logits(resident(problem.val.images)))
            chosen |= calibrated(task, held, problem.val.labels)
        return Prediction(subset, outputs, chosen)

    def _train(
        self, problem: Problem, encoder: Encoder, subset: Subset, rate: float, tuned: bool
    ) -> tuple[float, _Model]:
        """The model of the best epoch and its validation metric; without validation the last one, and NaN."""
        p, task = self.params, problem.task
        images, val = problem.resident(problem.train.images), problem.resident(problem.val.images)
        seed = torch_seed(task, subset.seed)
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # drop-path and dropout draw from torch's own generator
        y = torch.as_tensor(one_hot(task, problem.train.labels[subset.rows]), dtype=torch.float32)
        model = _Model(encoder, y.shape[1], images.rows(subset.rows[:SCALED_BY]))
        with_drop_path(model.network, p["drop_path"])
        optimiser = torch.optim.AdamW(layer_groups(model, rate, p["layer_decay"], p["weight_decay"]))
        per_epoch = math.ceil(len(y) / p["batch"])
        epochs = math.ceil(min(max(p["epochs"] * per_epoch, p["steps"][0]), p["steps"][1]) / per_epoch)
        best, value = copy.deepcopy(model.state_dict()), -math.inf
        schedule = cosine_steps(len(y), p["batch"], epochs, 1.0, generator, p["warm_up"])
        for step, (rows, factor) in enumerate(schedule, 1):
            some = _augmented(images.rows(subset.rows[rows.numpy()]), task, generator)
            _step(task, model, optimiser, some, y[rows], factor)
            if tuned and step % per_epoch == 0:
                now = primary(task, probabilities(task, model.logits(val))[None], one_hot(task, problem.val.labels))[0]
                if now > value:
                    best, value = copy.deepcopy(model.state_dict()), float(now)
        if tuned:
            model.load_state_dict(best)
        return (value if tuned else math.nan), model


class _Model(nn.Module):
    """A copy of the encoder's network and a linear head on its global vector, z-scored as `images` are at first."""

    def __init__(self, encoder: Encoder, outputs: int, images: Array) -> None:
        super().__init__()
        self.encoder = copy.deepcopy(encoder)
        assert self.encoder.module is not None
        self.network = self.encoder.module.requires_grad_(True)
        self.network.eval()
        with torch.no_grad():
            pooled = torch.cat([self._pooled(part) for part in torch.as_tensor(images).split(64)])
        self.mean: Tensor
        self.spread: Tensor
        self.register_buffer("mean", pooled.mean(0))
        self.register_buffer("spread", pooled.std(0, correction=0).clamp(min=1e-6))
        self.head = nn.Linear(pooled.shape[1], outputs)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.to(encoder.device)

    def _pooled(self, images: Tensor) -> Tensor:
        # A volume (n, depth, h, w, c) is the mean of its slices, as in feature extraction.
        slices = images.flatten(0, -4).to(self.encoder.device)
        pooled = self.encoder.forward(prepare(slices, self.encoder.card.preprocessing, dense=False), False).pooled
        return pooled.float().unflatten(0, (len(images), -1)).mean(1)

    def forward(self, images: Tensor) -> Tensor:
        return self.head((self._pooled(images) - self.mean) / self.spread)

    def logits(self, images: Matrix) -> np.ndarray:
        """float64 (n, k) of uint8 images (n, h, w, c), in evaluation mode."""
        self.eval()
        with torch.no_grad():
            some = (images.rows(slice(i, i + 64)) for i in range(0, len(images.source), 64))
            parts = [self(x if isinstance(x, Tensor) else torch.from_numpy(np.array(x))) for x in some]
        return torch.cat(parts).double().cpu().numpy()


def _step(
    task: Task, model: _Model, optimiser: torch.optim.Optimizer, images: Tensor, y: Tensor, factor: float
) -> None:
    model.train()
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor
    optimiser.zero_grad()
    logits = model(images)
    loss_of(task, logits, y.to(logits.device)).backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()


def _augmented(images: Array, task: Task, generator: torch.Generator) -> Tensor:
    """uint8 (n, ..., h, w, c): each image flipped and turned, brightness and contrast changed by up to a tenth.

    Drawn on the CPU, the same everywhere, and changed where the images are, which are overwritten.
    """
    x, upright = torch.as_tensor(images), task.modality in UPRIGHT
    for axis in (-2,) if upright else (-2, -3):
        mirrored = (torch.rand(len(x), generator=generator) < 0.5).to(x.device)
        x[mirrored] = x[mirrored].flip(axis)
    degrees = (2 * torch.rand(len(x), generator=generator) - 1).to(x.device) * (TURNED if upright else 180.0)
    drawn = 0.2 * torch.rand(2, len(x), *[1] * (x.ndim - 1), generator=generator) - 0.1
    gain, shift = drawn.to(x.device).unbind(0)
    values = _turned(x.float(), degrees)
    mean = values.flatten(1).mean(1).reshape_as(gain)
    return ((values - mean) * (1 + gain) + mean + 255 * shift).round().clamp(0, 255).to(torch.uint8)


def _turned(x: Tensor, degrees: Tensor) -> Tensor:
    """float32 (n, ..., h, w, c): image i (every slice of a volume) turned by degrees[i]; corners repeat the border."""
    h, w = x.shape[-3:-1]
    slices = x.flatten(1, -4) if x.ndim > 4 else x[:, None]
    flat = slices.flatten(0, 1).permute(0, 3, 1, 2)
    cos, sin = torch.deg2rad(degrees).cos(), torch.deg2rad(degrees).sin()
    # The grid counts in half widths and half heights: h / w keeps the angle true in images that are not square.
    rows = [torch.stack([cos, -sin * h / w, 0 * cos], 1), torch.stack([sin * w / h, cos, 0 * cos], 1)]
    turns = torch.stack(rows, 1).repeat_interleave(slices.shape[1], 0)
    grid = F.affine_grid(turns, list(flat.shape), align_corners=False)
    turned = F.grid_sample(flat, grid, padding_mode="border", align_corners=False)
    return turned.permute(0, 2, 3, 1).reshape(x.shape)


PROTOCOL = FineTune()
