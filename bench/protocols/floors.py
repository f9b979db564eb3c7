"""What a task's scores are to be read against: chance, the majority, background only, and the grid's ceiling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bench.data.task import Task
from bench.protocols import _dense


@dataclass(frozen=True)
class Anchor:
    """One reference value of a task: `name`, the metric it is of, its value, and a sentence about it."""

    task: str
    name: str
    metric: str
    value: float
    note: str


def chance(task: Task) -> Anchor:
    """What a guess without looking scores in the primary metric."""
    return Anchor(task.name, "chance", task.metric, task.chance, "expected value of a guess")


def majority(task: Task, train_labels: np.ndarray, test_labels: np.ndarray) -> Anchor:
    """Accuracy of always giving the commonest training class (multi-label: the mean over labels)."""
    if task.target == "multi-label":
        guess = train_labels.mean(0) > 0.5
        value = float((test_labels.astype(bool) == guess).mean())
    else:
        value = float((test_labels == np.bincount(train_labels.ravel()).argmax()).mean())
    return Anchor(task.name, "majority", "accuracy", value, "always the commonest training class")


def background_only(task: Task, test_masks: np.ndarray) -> Anchor:
    """Pixel accuracy of an empty prediction: why accuracy is not used. Its foreground Dice is 0."""
    return Anchor(task.name, "background-only", "pixel accuracy", float((test_masks == 0).mean()), "nothing is found")


def all_foreground(task: Task, test_masks: np.ndarray) -> Anchor:
    """Mean Dice of calling every pixel foreground, the best that a prediction without looking can do (two classes)."""
    area = (test_masks > 0).reshape(len(test_masks), -1).mean(1)
    area = area[area > 0]
    value = float((2 * area / (1 + area)).mean()) if len(area) else 0.0
    return Anchor(task.name, "all-foreground", "dice", value, "every pixel is foreground")


def grid_ceiling(task: Task, test_masks: np.ndarray, grid: tuple[int, int]) -> Anchor:
    """Mean Dice when each patch knows its true class shares: the most that a linear map of a (gh, gw) grid can do.

    The shares are upsampled as predictions are; the operating point is the best one for the test masks themselves.
    """
    frame = _dense.Frame(test_masks.shape[1:], (0, 0, 1, 1), 1)
    k = len(task.classes)
    # Spread over the range of operating points, so that thresholds of the share are searched finely.
    scores = 8.0 * _dense.patch_labels(task, test_masks, grid, frame)
    _, value = _dense.best_offset(_dense.dice_by_offset(scores, test_masks, k, frame))
    return Anchor(task.name, f"ceiling {grid[0]}x{grid[1]}", "dice", value, "each patch knows its true shares")


def anchors(
    task: Task, train_labels: np.ndarray, test_labels: np.ndarray, grid: tuple[int, int] = (16, 16)
) -> list[Anchor]:
    """Every anchor that applies to a task."""
    if task.kind == "dense":
        return [
            chance(task), background_only(task, test_labels), all_foreground(task, test_labels),
            grid_ceiling(task, test_labels, grid),
        ]
    return [chance(task), majority(task, train_labels, test_labels)]
