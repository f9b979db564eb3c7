"""What a modality is: one module of this folder with `MODALITY = Modality(...)`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.random import RandomState

from bench.words import Modality as ModalityName

Aim = Literal["diffuse", "focal", "dense"]
"""What a task asks for: a whole-image cue, a small finding, or the pixels of a lesion."""

SIZE_BINS: tuple[tuple[float, float], ...] = ((0.0015, 0.0049), (0.0055, 0.0195), (0.021, 0.098), (0.102, 0.16))
"""Lesion areas as fractions of the image, in the strata <0.5, 0.5-2, 2-10 and >10 %."""


@dataclass(frozen=True)
class Lesion:
    """A lesion to draw: `area` as fraction of the image, `contrast` in [0, 1], `kind` from 1 (mask class)."""

    area: float
    contrast: float
    kind: int = 1


@dataclass(frozen=True)
class Scene:
    """What one image shows.

    diffuse: class of the whole-image cue. focal: class of the small finding, 0 is none (for a modality with
    `multi_label`, the set of findings as bits). lesion: the lesion with a mask, or None. site: 0 or 1.
    """

    diffuse: int = 0
    focal: int = 0
    lesion: Lesion | None = None
    site: int = 0


@dataclass(frozen=True)
class Drawn:
    """A drawn scene. image: float64 (128, 128) or (128, 128, 3), displayed range [0, 1].
    mask: uint8 (128, 128), class of the lesion at each pixel. finding: bool (128, 128), where the small finding is."""

    image: np.ndarray
    mask: np.ndarray
    finding: np.ndarray


@dataclass(frozen=True)
class Modality:
    """A modality and the classes of its three tasks.

    draw(patient, rng, scene): `patient` is the random stream of the anatomy, shared by the images of a patient;
    `rng` that of textures, findings, positioning and noise.
    """

    name: ModalityName
    channels: Literal[1, 3]
    diffuse: tuple[str, ...]
    focal: tuple[str, ...]
    dense: tuple[str, ...]
    draw: Callable[[RandomState, RandomState, Scene], Drawn]
    multi_label: bool = False
    images_per_patient: int = 1

    @property
    def focal_count(self) -> int:
        """Number of different values of `Scene.focal`."""
        return 2 ** len(self.focal) if self.multi_label else len(self.focal)

    def classes(self, aim: Aim) -> tuple[str, ...]:
        """Class names of a task, in label order."""
        return {"diffuse": self.diffuse, "focal": self.focal, "dense": self.dense}[aim]
