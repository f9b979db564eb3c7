"""robustness-v2: linear-v2 trained on clean images, tested on corrupted ones.

Noise (of the kind the modality has), blur, loss of contrast, bias field and JPEG, each at five severities: 25 changed
copies of each test split, named "test~noise-3", beside the clean one. The probe never sees a corrupted image.
After the idea of MedMNIST-C (Di Salvo et al. 2024, arXiv 2406.17536); the corruptions and their strengths are ours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

from bench.data.budgets import Subset
from bench.data.task import Task
from bench.encoders.base import Encoder
from bench.encoders.features import Features
from bench.errors import NotForThisEncoderError
from bench.features.extract import extract
from bench.features.looks import refuse_units
from bench.protocols import _corrupt
from bench.protocols.base import Prediction, Problem, Protocol, UnitSizes, Unlabelled, copy_of
from bench.protocols.linear import PROTOCOL as LINEAR


class Robustness(Protocol):
    """See the module. The arguments are for tests; the frozen numbers are the defaults."""

    name = "robustness-v2"
    title = "Robustness to corruptions"
    kind = "global"
    board = "robustness"
    bags = "never"
    takes = ("%",)

    def __init__(
        self, corruptions: Sequence[str] = tuple(_corrupt.CORRUPTIONS), severities: Sequence[int] = _corrupt.SEVERITIES
    ) -> None:
        self.params: Mapping[str, Any] = {
            "probe": LINEAR.sha256,
            "corruptions": list(corruptions),
            "severities": list(severities),
            "noise_sd": _corrupt.NOISE_SD,
            "noise_kind": _corrupt.NOISE_KIND,
            "blur_sd": _corrupt.BLUR_SD,
            "contrast": _corrupt.CONTRAST,
            "bias": _corrupt.BIAS,
            "jpeg": _corrupt.JPEG_QUALITY,
        }

    def refuses(self, task: Task) -> str | None:
        if task.modality == "mixed":
            return "corruptions are chosen by modality, and this task mixes several"
        return super().refuses(task)

    def outputs(self, tests: Sequence[str]) -> list[str]:
        return [*tests, *(name for split in tests for name, _, _ in self._copies(split))]

    def _copies(self, split: str) -> Iterator[tuple[str, str, int]]:
        for kind, severity in product(self.params["corruptions"], self.params["severities"]):
            yield copy_of(split, f"{kind}-{severity}"), kind, severity

    def memory_bytes(self, sizes: UnitSizes) -> int:
        """Features of each changed copy, beside one copy of the images, or the probe."""
        copies = len(list(self._copies("")))
        features = 4 * copies * sum(sizes.tests) * sizes.width
        return features + max(sizes.largest_test * sizes.pixels, LINEAR.memory_bytes(sizes))

    def predict(self, problem: Problem, subsets: Sequence[Subset]) -> Iterator[Prediction]:
        encoder = problem.encoder
        if encoder is None or encoder.precomputed:
            raise NotForThisEncoderError("cannot encode changed images", fix="robustness needs weights, not embeddings")
        refuse_units(encoder)
        tests = dict(problem.tests)
        for split, test in problem.tests.items():
            for name, kind, severity in self._copies(split):
                tests[name] = _changed(problem.task, encoder, test, kind, severity)
        yield from LINEAR.predict(replace(problem, tests=tests), subsets)


def _changed(task: Task, encoder: Encoder, test: Unlabelled, kind: str, severity: int) -> Unlabelled:
    images = test.images
    frames = images.reshape(-1, *images.shape[-3:])
    changed = _corrupt.corrupt(frames, kind, severity, task.modality).reshape(images.shape)
    # Only the features are kept: 25 copies of the pixels would not fit beside a large split.
    features = extract(encoder, changed, dense=False, aggregation=task.aggregation, spacing=test.spacing)
    return Unlabelled(Features(features.pooled, None), images[:0])


PROTOCOL = Robustness()
