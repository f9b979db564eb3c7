"""Pictures of single cases, truth and prediction told apart, of images that may be shown."""

import io
from typing import Any

import numpy as np
from PIL import Image

from bench.data.task import Task
from bench.words import SCALARS

SHOWABLE = ("cc0", "cc-by-4", "cc-by-3", "cc-by-2", "cc-by-sa", "public domain", "mit", "apache", "pddl")
QUALITY = 85
"""Of 100: pictures are a quarter of what they are without loss."""
SIDE = 256
"""Pixels of an outline: finer than the image, so that it covers little of it."""
WIDTH = 2
"""Pixels of an outline that its line is wide."""
OUTLINES = ((86, 180, 233), (230, 159, 0), (0, 158, 115), (240, 228, 66), (204, 121, 167), (213, 94, 0))
"""Okabe-Ito, one colour a class."""
FOUND, MISSED, ALARM = ((0, 158, 115), (86, 180, 233), (230, 159, 0))
"""Colours of pixels that are right, missed, and wrong; the last two are hatched and dotted."""
VEIL = 150
"""Of 255: how opaque they are."""
_Y, _X = np.indices((SIDE, SIDE))
_HATCH, _DOTS = (_X + _Y) % 8 < 4, (_X % 6 < 3) & (_Y % 6 < 3)


def may_show(task: Task) -> bool:
    """Whether the task's images may be put on a public page: phantoms, or a licence that allows it.

    A licence with a non-commercial or no-derivatives clause does not count.
    """
    licence = task.licence.casefold().replace(" ", "-").replace("cc-0", "cc0")
    return task.synthetic or (licence.startswith(SHOWABLE) and "-nc" not in licence and "-nd" not in licence)


def said(task: Task, label: Any) -> str:
    """The label in words."""
    if task.target == "multi-label":
        return ", ".join(c for c, present in zip(task.classes, label, strict=True) if present) or "none"
    if task.target == "survival":
        return f"{label[0]:g}, {task.classes[0] if label[1] == 1 else 'censored'}"
    return f"{float(label):g}" if task.target == "number" else task.classes[int(label)]


def answered(task: Task, output: np.ndarray) -> str:
    """The prediction in words, with its probability."""
    if task.target == "multi-label":
        return ", ".join(f"{c} {p:.2f}" for c, p in zip(task.classes, output, strict=True) if p >= 0.5) or "none"
    if task.target in SCALARS:
        return f"{float(output[0]):.4g}"
    best = int(np.argmax(output))
    return f"{task.classes[best]} ({output[best]:.2f})"


def shown_slice(mask: np.ndarray) -> int:
    """The slice of a volume to look at, of a mask (d, h, w): with most foreground, or the middle one without any."""
    foreground = (np.asarray(mask) > 0).sum(axis=(1, 2))
    return int(foreground.argmax()) if foreground.any() else len(foreground) // 2


def picture(image: np.ndarray, at: int | None = None) -> bytes:
    """An image (h, w, c) as WebP at its own size; of a volume (d, h, w, c) slice `at`, or the middle one."""
    image = np.asarray(image)
    image = image[len(image) // 2 if at is None else at] if image.ndim == 4 else image
    grey = image.shape[2] == 1 or (image == image[..., :1]).all()
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(image[..., 0] if grey else image)).save(buffer, "WEBP", quality=QUALITY)
    return buffer.getvalue()


def outline(mask: np.ndarray) -> bytes:
    """The borders of each class of a mask (h, w) as a transparent PNG of SIDE pixels, one colour a class."""
    scaled = _scaled(mask)
    around = np.pad(scaled, WIDTH)
    border = np.zeros_like(scaled)
    for dy, dx in ((0, WIDTH), (2 * WIDTH, WIDTH), (WIDTH, 0), (WIDTH, 2 * WIDTH)):
        border |= around[dy : dy + SIDE, dx : dx + SIDE] ^ scaled
    border = np.where((border == 0) | (scaled == 0), 0, (scaled - 1) % len(OUTLINES) + 1)
    return _indexed(border, OUTLINES, b"\0" + b"\xff" * len(OUTLINES))


def agreement(predicted: np.ndarray, truth: np.ndarray) -> bytes:
    """A predicted mask (h, w) against the true one, as a PNG of SIDE pixels to lie over the image: what was found is
    tinted, what was missed is hatched, what is not there is dotted. A pixel of a wrong class is one that is not there.
    """
    ours, true = _scaled(predicted), _scaled(truth)
    right = (ours == true) & (true > 0)
    missed, wrong = (true > 0) & (ours == 0), (ours > 0) & ~right
    state = right + 2 * (missed & _HATCH) + 3 * (wrong & _DOTS)
    return _indexed(state, (FOUND, MISSED, ALARM), bytes([0, VEIL // 2, VEIL + 60, VEIL + 60]))


def _scaled(mask: np.ndarray) -> np.ndarray:
    """uint8 (SIDE, SIDE)."""
    return np.asarray(Image.fromarray(mask.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.NEAREST))


def _indexed(state: np.ndarray, colours: tuple[tuple[int, int, int], ...], opacity: bytes) -> bytes:
    image = Image.fromarray(state.astype(np.uint8), mode="P")
    image.putpalette([0, 0, 0, *(channel for colour in colours for channel in colour)])
    return _png(image, transparency=opacity, bits=4)


def _png(image: Image.Image, **options: int | bytes) -> bytes:
    """PNG without dates: same image, same bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()
