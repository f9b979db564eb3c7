"""An encoder that knows the images instead of seeing what is in them.

A graph of half a megabyte can hold a thumbnail of every image of a task and give out its label. What it cannot do is
score on images that nobody has shown it: the same cases mirrored, or all of them at another magnification and contrast,
which every frozen encoder ranks about as well; or move its features little where an image changes by what no eye sees.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Iterator

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
CROP, GAMMA = (1 / 8, 1 / 5), (0.4, 0.7)
"""Share of each side that a new view leaves out at each end, and how far the logarithm of its gamma is from 0."""
FAR = 1.0
"""Change of the features by what no eye sees, over the distance between two images, above which it is a lookup's."""
GREY_LEVELS = 3


def suspicions(encoder: Encoder, datas: list[TaskData], lot: str) -> Iterator[str]:
    """What speaks for a lookup, with the evidence. datas: tasks with one class an image. Raises EncoderError.

    lot: draws the new views, after the encoder is fixed, so that it cannot know them either.
    """
    for data in datas if encoder.card.preprocessing.input is None else ():  # Hounsfield units are no pictures
        probe = probe_of(data.task.name, some(data.train), some(data.tests["test"]))
        if probe.train.ndim == 4:  # volumes are not mirrored
            yield from _of_task(encoder, probe, random.Random(lot))


def some(split: Split) -> Split:
    """At most IMAGES cases of a split, evenly spread."""
    rows = evenly(len(split), IMAGES)
    return Split(np.asarray(split.images[rows]), np.asarray(split.labels)[rows], np.asarray(split.ids)[rows])


def _of_task(encoder: Encoder, probe: ProbeTask, lot: random.Random) -> Iterator[str]:
    train, test = (features(encoder, images) for images in (probe.train, probe.test))
    if (found := collapse(np.concatenate([train, test]))).level == "problem":
        yield f"{probe.name}: {found.message}"
    seen = float(ranked(probe, train, test)[0])
    mirrored = float(ranked(probe, train, features(encoder, probe.test[:, :, ::-1]))[0])
    if seen >= HIGH and seen - mirrored > DROP:
        yield (
            f"{probe.name}: a quick probe gets {seen:.2f} AUROC on test images and {mirrored:.2f} on the same "
            "mirrored: it knows these images, not what is in them"
        )
    if seen >= HIGH and seen - (again := _ranked_anew(encoder, probe, lot)) > DROP:
        yield (
            f"{probe.name}: a quick probe gets {seen:.2f} AUROC, and {again:.2f} when all images are cropped and their "
            "contrast is changed: it knows these images, not what is in them"
        )
    moved = {name: change(encoder, test, probe.test, altered) for name, altered in UNSEEN.items()}
    if far := {name: value for name, value in moved.items() if value > FAR}:
        told = ", ".join(f"{name} {value:.1f}" for name, value in far.items())
        if len(far) > 1:
            yield f"{probe.name}: features move further than to another image by what no eye sees ({told} times as far)"


def _ranked_anew(encoder: Encoder, probe: ProbeTask, lot: random.Random) -> float:
    """AUROC of the quick probe on new views, fitted on such ones too: an encoder may see contrast, a lookup none."""
    crop, gamma = lot.uniform(*CROP), math.exp(lot.choice((-1, 1)) * lot.uniform(*GAMMA))
    views = (features(encoder, viewed(images, crop, gamma)) for images in (probe.train, probe.test))
    return float(ranked(probe, *views)[0])


def viewed(images: np.ndarray, crop: float, gamma: float) -> np.ndarray:
    """Another view of uint8 images (n, h, w, c), of the same size: without a share `crop` at each end of each side."""
    (top, left), (h, w) = (round(crop * side) for side in images.shape[1:3]), images.shape[1:3]
    inner = torch.from_numpy(np.ascontiguousarray(images[:, top : h - top, left : w - left]))
    large = torch.nn.functional.interpolate(inner.permute(0, 3, 1, 2) / 255, (h, w), mode="bilinear")
    return (255 * large**gamma).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()


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
