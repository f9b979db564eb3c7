"""Brain MRI: tissue contrast of a T2-like or T1-like sequence, folded cortex, coil bias field, Rician noise."""

import numpy as np
from numpy.random import RandomState

from bench.phantoms import _fields as F
from bench.phantoms import _shapes as S
from bench.phantoms._fields import N, X, Y
from bench.phantoms._random import between
from bench.phantoms.base import Drawn, Lesion, Modality, Scene

SIGNAL = (
    {"fluid": 0.98, "grey": 0.6, "white": 0.42, "fat": 0.72, "bone": 0.05, "muscle": 0.22},
    {"fluid": 0.9, "grey": 0.56, "white": 0.44, "fat": 0.5, "bone": 0.06, "muscle": 0.26},
)
"""Relative signal of each tissue in a T2-weighted image, by site (other echo time)."""
WAVELENGTH = ((14.2, 17.5), (11.8, 14.4), (9.6, 12.0))
"""Distance between gyri in pixels: smooth, usual, fine."""


def draw(patient: RandomState, rng: RandomState, scene: Scene) -> Drawn:
    """An axial T2-weighted slice at the level of the ventricles."""
    signal = SIGNAL[scene.site]
    cy, cx = between(rng, -0.05, 0.05), between(rng, -0.05, 0.05)
    head = S.wobbly(
        patient, S.ellipse(cy, cx, between(patient, 0.82, 0.88), between(patient, 0.66, 0.72)), cy, cx, 0.02, 4
    )
    image, brain = _skull(rng, head, signal)
    image, white = _brain(patient, rng, scene, image, head, brain, signal, cx)
    image = _deep(patient, rng, image, signal, cy, cx)
    finding = np.zeros((N, N), bool)
    mask = np.zeros((N, N), np.uint8)
    if scene.focal:
        image, finding = _plaque(patient, rng, image, white, scene.focal == 2, cy, cx)
    if scene.lesion is not None:
        image, mask = _tumour(rng, image, S.inside(head / 0.78, 0.05), scene.lesion)
    return Drawn(_receive(rng, image, scene.site), mask, finding)


def _skull(rng: RandomState, head: np.ndarray, signal: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Scalp fat, dark skull and the fluid around the brain; returns the image and the intracranial space."""
    image = signal["fat"] * S.inside(head, 0.03) * (1 + 0.08 * F.smooth(rng, 2))
    image = image * (1 - S.inside(head / 0.955, 0.03)) + signal["bone"] * S.inside(head / 0.955, 0.03)
    space = S.inside(head / 0.885, 0.03)
    return image * (1 - space) + signal["fluid"] * space, space


def _brain(patient, rng, scene, image, head, space, signal, cx) -> tuple[np.ndarray, np.ndarray]:
    """Cortex folded at the wavelength of `scene.diffuse`; sulci hold fluid, white matter lies inside.

    Fluid and grey matter take the same share of the brain in every class.
    """
    folds = F.band(rng, between(rng, *WAVELENGTH[scene.diffuse]), 0.2) + 0.25 * F.smooth(rng, 3)
    ridge = np.abs(folds)
    fissure = np.abs(X - cx) / 0.018
    depth = np.clip((0.87 - head) / 0.3, 0, 1)
    atrophy = between(patient, 0.1, 0.17)
    order = ridge + 2.2 * depth**1.5
    outer = (head < 0.865) & (head > 0.4)
    sulcus, grey = np.quantile(order[outer], [atrophy, atrophy + 0.42])
    soft = 1 / (1 + np.exp(np.clip(-(order - sulcus) / 0.035, -40, 40)))
    inner = 1 / (1 + np.exp(np.clip(-(order - grey) / 0.05, -40, 40)))
    soft = soft * (1 - 0.9 * np.exp(-(fissure**2)) * (np.abs(Y) > 0.28))
    tissue = signal["grey"] * (1 - inner) + signal["white"] * inner
    tissue = signal["fluid"] * (1 - soft) + tissue * soft
    inside = S.inside(head / 0.87, 0.02)
    return image * (1 - inside) + tissue * inside, inner * soft * inside


def _deep(patient, rng, image, signal, cy, cx) -> np.ndarray:
    """Basal ganglia and thalami, lateral ventricles, third ventricle."""
    size = between(patient, 0.85, 1.25)
    for side in (-1, 1):
        for y, x, ry, rx in ((0.02, 0.22, 0.16, 0.06), (0.16, 0.11, 0.1, 0.075), (-0.12, 0.14, 0.08, 0.045)):
            nucleus = S.inside(S.ellipse(cy + y, cx + side * x, ry, rx, side * 0.25), 0.25)
            image = image * (1 - nucleus) + (signal["grey"] - 0.05) * nucleus
        front = S.ellipse(cy - 0.2, cx + side * 0.075 * size, 0.14 * size, 0.04 * size, -side * 0.35)
        back = S.ellipse(cy + 0.3, cx + side * 0.13 * size, 0.15 * size, 0.05 * size, side * 0.5)
        horn = S.inside(np.minimum(front, back), 0.15)
        image = image * (1 - horn) + signal["fluid"] * horn
    third = np.exp(-(((X - cx) / 0.016) ** 2)) * (np.abs(Y - cy - 0.1) < 0.12)
    return image * (1 - third) + signal["fluid"] * third


def _plaque(patient, rng, image, white, ring: bool, cy, cx) -> tuple[np.ndarray, np.ndarray]:
    """A small bright focus in white matter, at nearly the same place in every slice of a patient.

    Solid (a plaque) or a ring with a dark centre (a parasite or abscess), equally bright on average.
    """
    side = 1 if patient.uniform() < 0.5 else -1
    y, x = between(patient, -0.45, 0.45), side * between(patient, 0.28, 0.42)
    y, x = cy + y + between(rng, -0.04, 0.04), cx + x + between(rng, -0.03, 0.03)
    size = between(patient, 0.055, 0.075) * between(rng, 0.9, 1.1)
    radius = S.wobbly(rng, S.ellipse(y, x, size, size), y, x, 0.08)
    if ring:
        weight = np.exp(-(((radius - 0.85) / 0.3) ** 2))
        image = image * (1 - S.inside(radius, 0.4)) + 0.3 * S.inside(radius, 0.4)
        return image + (0.88 - image) * np.minimum(weight, 1), radius < 1.15
    weight = S.inside(radius, 0.35)
    return image * (1 - weight) + 0.72 * weight, radius < 1


def _tumour(rng: RandomState, image: np.ndarray, brain: np.ndarray, lesion: Lesion) -> tuple[np.ndarray, np.ndarray]:
    """Glioma: class 1 oedema, bright and feathery; class 2 core in its middle, darker and uneven."""
    field = S.lesion_field(rng, brain, lesion.area, 0.25) * (1 + 0.12 * F.smooth(rng, 3))
    mask, radius = S.grow(field, lesion.area)
    core_mask, core = S.grow(field, lesion.area * between(rng, 0.25, 0.5))
    gain = 0.12 + 0.3 * lesion.contrast
    weight = S.inside(radius, 0.2)
    image = image * (1 - weight) + (0.52 + gain + 0.03 * F.smooth(rng, 2)) * weight
    inner = S.inside(core, 0.2)
    image = image * (1 - inner) + (0.52 + 0.25 * gain + (0.06 + 0.08 * lesion.contrast) * F.smooth(rng, 1.3)) * inner
    return image, mask.astype(np.uint8) + core_mask.astype(np.uint8)


def _receive(rng: RandomState, image: np.ndarray, site: int) -> np.ndarray:
    """Point spread of a limited k-space, smooth coil sensitivity, Rician noise, display range."""
    image = F.blur(image, 0.5 if site == 0 else 0.8)
    tilt = rng.standard_normal(5) * (0.1 if site == 0 else 0.22)
    bias = np.exp(tilt[0] * X + tilt[1] * Y + 0.6 * tilt[2] * X * Y + 0.6 * tilt[3] * X**2 + 0.6 * tilt[4] * Y**2)
    image = F.rician(rng, image * bias, between(rng, 0.022, 0.04) * (1 if site == 0 else 1.6))
    return np.clip(image * between(rng, 0.78, 0.92), 0, 1) ** between(rng, 0.9, 1.15)


MODALITY = Modality(
    name="mri",
    channels=1,
    diffuse=("smooth gyri", "usual gyri", "fine gyri"),
    focal=("none", "solid focus", "ring focus"),
    dense=("background", "oedema", "core"),
    draw=draw,
    images_per_patient=4,
)
