"""bag-attention-v1: gated attention over the images of a bag, a linear layer reads what it finds.

The images of a bag have weights softmax(w . (tanh(V h) * sigmoid(U h))) over the bag, h their standardised features;
the weighted mean is classified linearly (Ilse et al. 2018, arXiv 1802.04712, equations 7 to 9). V and U have 128 rows,
as there. Features are z-scored by the images of the training bags and clipped at 10, as in linear-v2. AdamW 5e-4,
weight decay 1e-4, batches of 16 bags where the paper takes one, 50 epochs but at least 1,000 steps, cosine to zero;
nothing is tuned. It trains on one thread, because gradient descent in float32 drifts apart with the order of sums.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.data.budgets import Subset
from bench.data.task import Task
from bench.protocols._bags import members, shown
from bench.protocols._select import calibrated, one_hot, probabilities
from bench.protocols._train import torch_seed, train_head
from bench.protocols.base import BLOCKS, Labelled, Prediction, Problem, Protocol, UnitSizes, Unlabelled
from bench.protocols.linear import Standard
from bench.threads import one_thread

CLIP = 10.0
ROWS = 64


class GatedAttention(nn.Module):
    """Features (n, m, d) of bags and which of them there are, bool (n, m), to logits (n, k)."""

    def __init__(self, width: int, outputs: int, hidden: int, generator: torch.Generator) -> None:
        super().__init__()
        self.content, self.gate = (_drawn(hidden, width, generator) for _ in range(2))
        self.weigh = _drawn(1, hidden, generator)
        self.classify = nn.Parameter(torch.zeros(outputs, width))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def attention(self, bags: Tensor, there: Tensor) -> Tensor:
        """Weight of each image, (n, m); those of a bag sum to 1."""
        hidden = torch.tanh(F.linear(bags, self.content)) * torch.sigmoid(F.linear(bags, self.gate))
        scores = F.linear(hidden, self.weigh)[..., 0]
        return torch.softmax(scores.masked_fill(~there, -torch.inf), dim=1)

    def forward(self, bags: Tensor, there: Tensor) -> Tensor:
        pooled = torch.einsum("nm,nmd->nd", self.attention(bags, there), bags)
        return F.linear(pooled, self.classify, self.bias)


class BagAttention(Protocol):
    """See the module. The arguments are for tests; the frozen numbers are the defaults."""

    name = "bag-attention-v1"
    title = "Gated attention over the bag"
    kind = "global"
    board = "diagnostic"
    bags = "only"
    seeded = True
    targets = ("binary", "multi-class", "multi-label", "ordinal")

    def __init__(
        self, *, epochs: int = 50, steps: int = 1000, batch: int = 16, hidden: int = 128, lr: float = 5e-4
    ) -> None:
        self.params: Mapping[str, Any] = {
            "hidden": hidden, "epochs": epochs, "steps": steps, "batch": batch, "lr": lr, "weight_decay": 1e-4,
            "schedule": "cosine", "standardise": "train images", "clip": CLIP, "train": "train only",
        }  # fmt: skip

    def memory_bytes(self, sizes: UnitSizes) -> int:
        """The images of the bags as they are, scaled in float64, and in float32 again."""
        return 16 * sizes.learnt * sizes.parts * sizes.width + BLOCKS

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        for subset in subsets:
            with one_thread():
                yield self._predict(problem, subset)

    def _predict(self, problem: Problem, subset: Subset) -> Prediction:
        task, rows = problem.task, subset.rows
        images, there = members(problem.train)[rows], shown(problem.train)[rows]
        scale = Standard(images[there], CLIP)
        generator = torch.Generator().manual_seed(torch_seed(task, subset.seed))
        y = torch.as_tensor(one_hot(task, problem.train.labels[rows]), dtype=torch.float32)
        head = GatedAttention(images.shape[2], y.shape[1], self.params["hidden"], generator).to(problem.device)
        known = [torch.as_tensor(problem.resident.up(part)) for part in (scale(images).astype(np.float32), there)]
        train_head(task, head, lambda some: tuple(part[some] for part in known), y, self.params, generator)
        outputs = {name: self._output(task, head, test, scale) for name, test in problem.tests.items()}
        chosen = {}
        if subset.full and len(problem.val.labels):
            chosen = calibrated(task, self._output(task, head, problem.val, scale), problem.val.labels)
        return Prediction(subset, outputs, chosen)

    def _output(self, task: Task, head: GatedAttention, part: Labelled | Unlabelled, scale: Standard) -> np.ndarray:
        images, there, device = members(part), torch.from_numpy(shown(part)), head.bias.device
        with torch.inference_mode():
            logits = [
                head(_scaled(images[i : i + ROWS], scale).to(device), there[i : i + ROWS].to(device))
                for i in range(0, len(images), ROWS)
            ]
        return probabilities(task, torch.cat(logits).double().cpu().numpy()).astype(np.float32)


def _drawn(rows: int, width: int, generator: torch.Generator) -> nn.Parameter:
    return nn.Parameter(torch.randn(rows, width, generator=generator) / width**0.5)


def _scaled(bags: np.ndarray, scale: Standard) -> Tensor:
    return torch.from_numpy(scale(bags).astype(np.float32))


PROTOCOL = BagAttention()
