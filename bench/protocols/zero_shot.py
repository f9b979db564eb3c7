"""zero-shot-v1: the class whose prompts lie nearest to the image, of an encoder that was trained with a text tower.

A class is the mean of its prompts' vectors, each of length one, scaled to length one again (Radford et al. 2021, CLIP,
section 3.1.4). An image's logit is the cosine with it times the scale the model learnt (plus its bias: SigLIP, Zhai et
al. 2023). Of classes the softmax is taken; of several labels the sigmoid, where the model was trained with one. No
label is read, also not for a temperature. Deterministic. Prompts stand on the card of the task.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from bench.budget import NONE
from bench.data.budgets import Subset
from bench.data.task import Task
from bench.encoders.features import Features
from bench.encoders.text import TextTower
from bench.errors import NotForThisEncoderError
from bench.protocols.base import Prediction, Problem, Protocol


class ZeroShot(Protocol):
    """See the module."""

    name = "zero-shot-v1"
    title = "Zero-shot, by prompts"
    kind = "global"
    board = "zero-shot"
    targets = ("binary", "multi-class", "multi-label", "ordinal")
    takes = (NONE.kind,)
    reads_text = True
    params = {"class": "mean of unit prompts, to length one", "classes": "softmax", "labels": "sigmoid with bias"}

    def refuses(self, task: Task) -> str | None:
        if (reason := super().refuses(task)) or task.prompts is not None:
            return reason
        return f"{self.name} needs prompts: write words for each class under [prompts.classes] on the task's card"

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        task, encoder = problem.task, problem.encoder
        if encoder is None:
            raise NotForThisEncoderError("has no text tower")
        tower, sentences = encoder.text_tower(), task.sentences
        assert sentences is not None, "a task without prompts is refused"
        if task.target == "multi-label" and not tower.sigmoid:
            what = "its logits are no probability of a label by itself, and images may carry several"
            raise NotForThisEncoderError(what, where=encoder.card.name, fix="SigLIP's are")
        classes = class_vectors(tower, sentences)
        outputs = {n: probabilities(tower, test.features, classes, task) for n, test in problem.tests.items()}
        for subset in subsets:
            yield Prediction(subset, outputs)


def class_vectors(tower: TextTower, sentences: Sequence[Sequence[str]]) -> Tensor:
    """float32 (k, d): for each class the mean of its sentences' vectors, of length one."""
    return torch.stack([_mean(tower.embed(of_class)) for of_class in sentences])


def _mean(vectors: Tensor) -> Tensor:
    """Of one sentence its own vector, to the last bit."""
    return vectors[0] if len(vectors) == 1 else torch.nn.functional.normalize(vectors.mean(0), dim=0)


@torch.inference_mode()
def probabilities(tower: TextTower, features: Features, classes: Tensor, task: Task) -> np.ndarray:
    """float32 (n, k)."""
    logits = tower.logits(torch.from_numpy(np.array(features.pooled)), classes).double()
    found = logits.sigmoid() if task.target == "multi-label" else logits.softmax(1)
    return found.numpy().astype(np.float32)


PROTOCOL = ZeroShot()
