"""attentive-v1: eight learnt queries attend to the frozen patch grid, a linear layer reads what they find.

A linear probe on a pooled vector is unfair to encoders whose patches hold the information (masked modelling).
Each query attends over all patches (softmax of query times token, scaled by sqrt(c)) and owns its slice of one
linear map of the pooled token; the slices are joined and classified. Tokens are standardised per channel by the
training images. AdamW 1e-3, weight decay 1e-4, batches of 64, 50 epochs but at least 1,000 steps
(50 epochs of a small label budget would leave the queries where they began), cosine to zero; nothing is tuned.
It trains on one thread, because gradient descent in float32 drifts apart with the order of sums.
Source: Psomas et al. 2025 (arXiv 2506.10178), efficient probing.
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
from bench.features.resident import Array, Matrix
from bench.protocols._arrays import beside, narrow
from bench.protocols._select import calibrated, one_hot, probabilities
from bench.protocols._train import torch_seed, train_head
from bench.protocols.base import BLOCKS, Prediction, Problem, Protocol, UnitSizes
from bench.protocols.linear import Standard
from bench.threads import one_thread


class AttentiveHead(nn.Module):
    """Tokens (n, t, c) to logits (n, k)."""

    def __init__(self, channels: int, outputs: int, queries: int, generator: torch.Generator) -> None:
        super().__init__()
        width = max(1, channels // queries)
        self.queries = nn.Parameter(torch.randn(queries, channels, generator=generator) * 0.02)
        self.values = nn.Parameter(torch.randn(queries, channels, width, generator=generator) / channels**0.5)
        self.classify = nn.Parameter(torch.zeros(outputs, queries * width))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, tokens: Tensor) -> Tensor:
        attention = torch.softmax(tokens @ self.queries.T / tokens.shape[-1] ** 0.5, dim=1)
        pooled = torch.einsum("ntq,ntc->nqc", attention, tokens)
        return F.linear(torch.einsum("nqc,qcw->nqw", pooled, self.values).flatten(1), self.classify, self.bias)


class Attentive(Protocol):
    """See the module. The arguments are for tests; the frozen numbers are the defaults."""

    name = "attentive-v1"
    title = "Attentive probe"
    kind = "global"
    board = "diagnostic"
    needs_grid = True
    seeded = True

    def __init__(self, *, epochs: int = 50, queries: int = 8, steps: int = 1000, lr: float = 1e-3) -> None:
        self.params: Mapping[str, Any] = {
            "queries": queries,
            "epochs": epochs,
            "steps": steps,
            "batch": 64,
            "lr": lr,
            "weight_decay": 1e-4,
            "schedule": "cosine",
            "standardise": "train",
            "train": "train only",
        }

    def memory_bytes(self, sizes: UnitSizes) -> int:
        """The grids that are learnt from, and what they differ from their mean by in float64."""
        return 12 * sizes.learnt * sizes.parts * sizes.width + BLOCKS

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        for subset in subsets:
            with one_thread():
                yield self._predict(problem, subset)

    def _predict(self, problem: Problem, subset: Subset) -> Prediction:
        task, grid, resident = problem.task, problem.train.features.patches, problem.resident
        scale, train = Standard(grid[subset.rows].reshape(-1, grid.shape[-1])), resident(grid)
        generator = torch.Generator().manual_seed(torch_seed(task, subset.seed))
        y = torch.as_tensor(one_hot(task, problem.train.labels[subset.rows]), dtype=torch.float32)
        head = AttentiveHead(grid.shape[-1], y.shape[1], self.params["queries"], generator).to(problem.device)

        def tokens(rows: Tensor) -> tuple[Tensor]:
            return (_tokens(train.rows(subset.rows[rows.numpy()]), scale),)

        train_head(task, head, tokens, y, self.params, generator)
        outputs = {
            name: self._output(task, head, resident(test.features.patches), scale)
            for name, test in problem.tests.items()
        }
        chosen = {}
        if subset.full and len(problem.val.labels):
            held = self._output(task, head, resident(problem.val.features.patches), scale)
            chosen = calibrated(task, held, problem.val.labels)
        return Prediction(subset, outputs, chosen)

    def _output(self, task: Task, head: AttentiveHead, grid: Matrix, scale: Standard) -> np.ndarray:
        with torch.inference_mode():
            logits = [head(_tokens(grid.rows(slice(i, i + 64)), scale)) for i in range(0, len(grid.source), 64)]
        return probabilities(task, torch.cat(logits).double().cpu().numpy()).astype(np.float32)


def _tokens(grid: Array, scale: Standard) -> Tensor:
    mean, factor = (beside(values.astype(np.float32), grid) for values in (scale.mean, scale.scale))
    return torch.as_tensor((narrow(grid) - mean) * factor).view(len(grid), -1, grid.shape[-1])


PROTOCOL = Attentive()
