"""An encoder that knows the images instead of seeing what is in them.

A graph of half a megabyte can hold a thumbnail of every image of a task and give out its label. What it cannot do is
score on images that nobody has shown it: the same cases mirrored, or each of them cut out and lit in its own
way, which every frozen encoder ranks about as well; or move its features little where an image changes by what no
eye sees.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from PIL import Image

from bench.checks.alarms import BATCH, collapse
from bench.checks.probe import ProbeTask, probe_of, ranked
from bench.data.dataset import Split, TaskData, evenly
from bench.encoders.base import Encoder

IMAGES = 100
"""Training and test images of a task that are looked at."""
HIGH, DROP = 0.95, 0.2
"""AUROC of a quick probe from which a fall by so much on other views of the images is no encoder's."""
KEPT, GAMMA = (0.55, 0.8), (0.3, 0.6)
"""Share of each side that a new view keeps, and how far the logarithm of its gamma is from 0."""
VIEWS = 3
"""New views of each training image: an encoder learns from them what they have in common, a lookup nothing."""
FAR = 1.0
"""Change of the features by what no eye sees, over the distance between two images, above which it is a lookup's."""
GREY_LEVELS = 3


@dataclass(frozen=True)
class Looked:
    """What a look at one task found. seen, mirrored, anew: AUROC of a quick probe on its test images, on the same
    mirrored, and on new views of them, one for each lot; the last two are looked at from HIGH on. moved: how far the
    features move by what no eye sees, over their distance to another image's."""

    task: str
    collapsed: str | None
    seen: float
    mirrored: float | None
    anew: tuple[float, ...]
    moved: Mapping[str, float]

    def problems(self) -> Iterator[str]:
        """What no encoder does, with the evidence."""
        if self.collapsed:
            yield f"{self.task}: {self.collapsed}"
        if self.mirrored is not None and self.seen - self.mirrored > DROP:
            yield (
                f"{self.task}: a quick probe gets {self.seen:.2f} AUROC on test images and {self.mirrored:.2f} on the "
                "same mirrored: it knows these images, not what is in them"
            )
        far = [f"{name} {value:.1f}" for name, value in self.moved.items() if value > FAR]
        if len(far) > 1:
            told = ", ".join(far)
            yield f"{self.task}: features move further than to another image by what no eye sees ({told} times as far)"

    def alarms(self) -> Iterator[str]:
        """What speaks for a lookup of what a mirror leaves (a histogram, a spectrum), for a person to judge."""
        if self.anew and self.seen - min(self.anew) > DROP:
            yield (
                f"{self.task}: a quick probe gets {self.seen:.2f} AUROC, and {min(self.anew):.2f} where each image is "
                "cut out and lit in its own way: does it know these images, not what is in them?"
            )


def looks(encoder: Encoder, datas: Iterable[TaskData], lots: Sequence[str]) -> Iterator[Looked]:
    """A look at each task. datas: tasks with one class an image. Raises EncoderError.

    lots: each draws new views, after the encoder is fixed, so that it cannot know them either.
    """
    for data in datas if encoder.card.preprocessing.input is None else ():  # Hounsfield units are no pictures
        probe = probe_of(data.task.name, some(data.train), some(data.tests["test"]))
        if probe.train.ndim == 4:  # volumes are not mirrored
            yield _look(encoder, probe, lots)


def some(split: Split) -> Split:
    """At most IMAGES cases of a split, evenly spread."""
    rows = evenly(len(split), IMAGES)
    return Split(np.asarray(split.images[rows]), np.asarray(split.labels)[rows], np.asarray(split.ids)[rows])


def _look(encoder: Encoder, probe: ProbeTask, lots: Sequence[str]) -> Looked:
    train, test = (features(encoder, images) for images in (probe.train, probe.test))
    collapsed, seen = collapse(np.concatenate([train, test])), float(ranked(probe, train, test)[0])
    high = seen >= HIGH
    return Looked(
        probe.name,
        collapsed.message if collapsed.level == "problem" else None,
        seen,
        float(ranked(probe, train, features(encoder, probe.test[:, :, ::-1]))[0]) if high else None,
        tuple(_ranked_anew(encoder, probe, random.Random(lot)) for lot in lots) if high else (),
        {name: change(encoder, test, probe.test, altered) for name, altered in UNSEEN.items()},
    )


def _ranked_anew(encoder: Encoder, probe: ProbeTask, lot: random.Random) -> float:
    """AUROC of the quick probe on new views, fitted on such ones too: an encoder may see contrast, a lookup none."""
    train = np.concatenate([features(encoder, viewed(probe.train, lot)) for _ in range(VIEWS)])
    again = replace(probe, train_labels=np.concatenate([probe.train_labels] * VIEWS))
    return float(ranked(again, train, features(encoder, viewed(probe.test, lot)))[0])


def viewed(images: np.ndarray, lot: random.Random) -> np.ndarray:
    """A new view of each of uint8 images (n, h, w, c), of the same size: a part of it, at another contrast."""
    return np.stack([_view(image, lot) for image in images])


def _view(image: np.ndarray, lot: random.Random) -> np.ndarray:
    sides = image.shape[:2]
    kept = [max(1, round(side * lot.uniform(*KEPT))) for side in sides]
    top, left = (lot.randint(0, side - part) for side, part in zip(sides, kept, strict=True))
    gamma = math.exp(lot.choice((-1, 1)) * lot.uniform(*GAMMA))
    part = torch.from_numpy(np.ascontiguousarray(image[top : top + kept[0], left : left + kept[1]]))
    large = torch.nn.functional.interpolate(part.permute(2, 0, 1)[None] / 255, sides, mode="bilinear")
    return (255 * large[0] ** gamma).round().to(torch.uint8).permute(1, 2, 0).numpy()


def features(encoder: Encoder, images: np.ndarray) -> np.ndarray:
    """Global features of uint8 images (n, h, w, c): float32 (n, d)."""
    parts = (torch.from_numpy(np.ascontiguousarray(images[i : i + BATCH])) for i in range(0, len(images), BATCH))
    return np.concatenate([encoder.encode(part).pooled.cpu().numpy() for part in parts])


def change(encoder: Encoder, before: np.ndarray, images: np.ndarray, altered: Callable) -> float:
    """Median distance of the features of altered images to those of the images, over that between images."""
    after = features(encoder, altered(images))
    apart = np.linalg.norm(before - np.roll(before, 1, axis=0), axis=1)
    return float(np.median(np.linalg.norm(after - before, axis=1)) / max(float(np.median(apart)), 1e-12))


def shifted(images: np.ndarray) -> np.ndarray:
    """One pixel to the right."""
    return np.concatenate([images[:, :, :1], images[:, :, :-1]], axis=2)


def noisy(images: np.ndarray) -> np.ndarray:
    """Up to GREY_LEVELS more or less in each value."""
    noise = np.random.RandomState(0).randint(-GREY_LEVELS, GREY_LEVELS + 1, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def recompressed(images: np.ndarray) -> np.ndarray:
    """Stored as JPEG of quality 90 and read again."""
    return np.stack([_jpeg(image) for image in images])


def _jpeg(image: np.ndarray) -> np.ndarray:
    buffer, grey = io.BytesIO(), image.shape[2] == 1
    Image.fromarray(image[..., 0] if grey else image).save(buffer, "JPEG", quality=90)
    again = np.asarray(Image.open(buffer))
    return again[..., None] if grey else again


UNSEEN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "shifted by a pixel": shifted, "noise of 3 grey levels": noisy, "recompressed": recompressed,
}  # fmt: skip
