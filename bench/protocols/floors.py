"""What a task's scores are to be read against: chance, the majority, background only, and the grid's ceiling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from bench.data.task import Task
from bench.protocols import _dense

FIT_STEPS, FIT_BATCH = 60, 64


@dataclass(frozen=True)
class ReferenceScore:
    """One reference value of a task: `name`, the metric it is of, its value, and a sentence about it."""

    task: str
    name: str
    metric: str
    value: float
    note: str


def chance(task: Task) -> ReferenceScore:
    """What a guess without looking scores in the primary metric."""
    return ReferenceScore(task.name, "chance", task.metric, task.chance, "expected value of a guess")


def majority(task: Task, train_labels: np.ndarray, test_labels: np.ndarray) -> ReferenceScore:
    """Accuracy of always giving the commonest training class (multi-label: the mean over labels)."""
    if task.target == "multi-label":
        guess = train_labels.mean(0) > 0.5
        value = float((test_labels.astype(bool) == guess).mean())
    else:
        value = float((test_labels == np.bincount(train_labels.ravel()).argmax()).mean())
    return ReferenceScore(task.name, "majority", "accuracy", value, "always the commonest training class")


def background_only(task: Task, test_masks: np.ndarray) -> ReferenceScore:
    """Pixel accuracy of an empty prediction: why accuracy is not used. Its foreground Dice is 0."""
    return ReferenceScore(
        task.name, "background-only", "pixel accuracy", float((test_masks == 0).mean()), "nothing is found"
    )


def all_foreground(task: Task, test_masks: np.ndarray) -> ReferenceScore:
    """Mean Dice of calling every pixel foreground, the best that a prediction without looking can do (two classes)."""
    area = (test_masks > 0).reshape(len(test_masks), -1).mean(1)
    area = area[area > 0]
    value = float((2 * area / (1 + area)).mean()) if len(area) else 0.0
    return ReferenceScore(task.name, "all-foreground", "dice", value, "every pixel is foreground")


def grid_ceiling(task: Task, test_masks: np.ndarray, grid: tuple[int, int]) -> ReferenceScore:
    """Mean Dice of the best patch scores a (gh, gw) grid can hold, found for each test mask itself.

    Two candidates: the true class shares of each patch, and scores fitted to the mask through the upsampling that
    predictions take (pixel cross-entropy plus soft Dice, Adam). The better one, at its best operating point, is the
    ceiling. Fitting matters: a probe may sharpen its scores beyond the shares and would pass a ceiling made of them.
    """
    frame = _dense.Frame(test_masks.shape[1:], (0, 0, 1, 1), 1)
    k = len(task.classes)
    # Spread over the range of operating points, so that thresholds of the share are searched finely.
    shares = 8.0 * _dense.patch_labels(task, test_masks, grid, frame)
    fitted = np.concatenate(
        [
            _fitted(shares[i : i + FIT_BATCH], test_masks[i : i + FIT_BATCH], frame)
            for i in range(0, len(shares), FIT_BATCH)
        ]
    )
    found = (_dense.best_offset(_dense.dice_by_offset(scores, test_masks, k, frame)) for scores in (shares, fitted))
    value = max(dice for _, dice in found)
    return ReferenceScore(
        task.name, f"ceiling {grid[0]}x{grid[1]}", "dice", value, "patch scores fitted to the truth itself"
    )


def _fitted(start: np.ndarray, masks: np.ndarray, frame: _dense.Frame) -> np.ndarray:
    """Patch scores (n, gh, gw, k) whose upsampled map fits the masks best, from `start`."""
    truth = F.one_hot(torch.as_tensor(np.array(masks)).long(), start.shape[-1]).permute(0, 3, 1, 2).float()
    scores = torch.as_tensor(start).permute(0, 3, 1, 2).clone().requires_grad_()
    steps = torch.optim.Adam([scores], lr=0.3)
    for _ in range(FIT_STEPS):
        steps.zero_grad()
        logits = _dense.upsample(scores, frame)
        likely = logits.softmax(1)
        overlap = 2 * (likely * truth).sum((2, 3)) / (likely.sum((2, 3)) + truth.sum((2, 3))).clamp(min=1e-6)
        loss = F.cross_entropy(logits, truth, reduction="sum") / truth[0, 0].numel() - overlap[:, 1:].sum()
        loss.backward()
        steps.step()
    return scores.detach().permute(0, 2, 3, 1).numpy()


def anchors(
    task: Task, train_labels: np.ndarray, test_labels: np.ndarray, grid: tuple[int, int] = (16, 16)
) -> list[ReferenceScore]:
    """Every anchor that applies to a task; volumes have no ceiling, whose grids are of many shapes."""
    if task.kind == "dense":
        found = [chance(task), background_only(task, test_labels), all_foreground(task, test_labels)]
        return found if task.volume else [*found, grid_ceiling(task, test_labels, grid)]
    return [chance(task), majority(task, train_labels, test_labels)]
