"""B-mode ultrasound: scan lines of a curved array, attenuation and shadow along each line, speckle, log compression."""

from functools import cache

import numpy as np
from numpy.random import RandomState
from scipy import ndimage

from bench.phantoms import _fields as F
from bench.phantoms import _shapes as S
from bench.phantoms._fields import PIXEL, N, X, Y
from bench.phantoms._random import between
from bench.phantoms.base import Drawn, Modality, Scene

DEPTHS, BEAMS = 176, 104
APEX, NEAR, FAR, HALF_ANGLE = -1.75, 0.82, 2.72, 0.56
"""Apex of the sector (y), radii of the skin and of the deepest sample, half opening angle (radians)."""


def draw(patient: RandomState, rng: RandomState, scene: Scene) -> Drawn:
    """Echo strength (dB) and attenuation (dB a unit depth) drawn on the pixel grid, then scanned line by line."""
    echo, organ = _anatomy(patient, rng)
    echo = echo + organ * _echotexture(rng, scene.diffuse)
    loss = np.zeros((N, N))
    finding = np.zeros((N, N), bool)
    mask = np.zeros((N, N), np.uint8)
    if scene.focal:
        echo, loss, finding = _mass(rng, echo, organ, malignant=scene.focal == 2)
    if scene.lesion is not None:
        field = S.lesion_field(rng, organ * _sector(), scene.lesion.area, 0.25)
        found, radius = S.grow(field, scene.lesion.area)
        weight = S.inside(radius, 0.2)
        echo = echo - (4.5 + 12 * scene.lesion.contrast) * weight + 2 * weight * F.smooth(rng, 2)
        loss = between(rng, -6, 10) * weight
        mask = found.astype(np.uint8)
    return Drawn(_scan(rng, echo, loss, scene.site), mask, finding)


@cache
def _polar() -> tuple[np.ndarray, np.ndarray]:
    """Pixel coordinates (row, column) of each sample (depth, beam) of the sector."""
    r = np.linspace(NEAR, FAR, DEPTHS)[:, None]
    t = np.linspace(-HALF_ANGLE, HALF_ANGLE, BEAMS)[None]
    y, x = APEX + r * np.cos(t), r * np.sin(t)
    return (y + 1) / PIXEL - 0.5, (x + 1) / PIXEL - 0.5


@cache
def _cartesian() -> tuple[np.ndarray, np.ndarray]:
    """Sample coordinates (depth, beam) of each pixel."""
    r, t = np.hypot(Y - APEX, X), np.arctan2(X, Y - APEX)
    depth = (r - NEAR) / (FAR - NEAR) * (DEPTHS - 1)
    return depth, (t + HALF_ANGLE) / (2 * HALF_ANGLE) * (BEAMS - 1)


@cache
def _sector() -> np.ndarray:
    """1 inside the sector, 0 outside."""
    depth, beam = _cartesian()
    return ((depth >= 0) & (depth <= DEPTHS - 1) & (beam >= 0) & (beam <= BEAMS - 1)).astype(float)


def _anatomy(patient: RandomState, rng: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Echo strength in dB of skin, fat, muscle, organ, vessels and diaphragm; and the organ in [0, 1]."""
    depth = np.hypot(Y - APEX, X) - NEAR + 0.02 * F.smooth(patient, 14)
    fat, muscle = between(patient, 0.12, 0.2), between(patient, 0.12, 0.2)
    organ = 1 / (1 + np.exp(-(depth - fat - muscle) / 0.012))
    skin = 14 * np.exp(-((depth / 0.03) ** 2))
    fascia = 15 * np.exp(-(((depth - fat) / 0.016) ** 2)) + 13 * np.exp(-(((depth - fat - muscle) / 0.018) ** 2))
    fibres = 5 * np.sin(depth / 0.02 + 3 * F.smooth(patient, 10)) * (depth > fat) * (1 - organ)
    echo = -5 + skin + fascia + fibres + 4 * organ
    echo = echo + _tubes(rng) * organ
    wall = depth - between(patient, 1.35, 1.6) + 0.22 * (X - between(patient, -0.4, 0.4)) ** 2
    return echo + 20 * np.exp(-((wall / 0.03) ** 2)) - 7 * (wall > 0.03), organ * (wall < -0.05)


def _tubes(rng: RandomState) -> np.ndarray:
    """Hepatic vessels without echo and portal vessels with bright walls; dB."""
    s = np.linspace(-1, 1, 16)
    total = np.zeros((N, N))
    for _ in range(rng.randint(1, 4)):
        cy, cx, angle = between(rng, -0.15, 0.6), between(rng, -0.5, 0.5), between(rng, -1.2, 1.2)
        length, bend = between(rng, 0.12, 0.4), between(rng, -0.15, 0.15)
        path = np.stack([cy + length * s * np.sin(angle) + bend * s**2, cx + length * s * np.cos(angle)], 1)
        width = between(rng, 2.5, 5)
        core = S.strokes([path], width)
        total += -16 * np.minimum(core, 1)
        if rng.uniform() < 0.5:
            total += 11 * np.clip(S.strokes([path], width * 2) - core, 0, 1)
    return total


def _echotexture(rng: RandomState, kind: int) -> np.ndarray:
    """Mottling of fixed variance (dB): fine, coarse, or with bright septa between nodules."""
    if kind == 2:
        septa = np.abs(F.band(rng, between(rng, 18, 23), 0.25))
        field = F.standard(np.exp(-((septa / 0.32) ** 2)))
        field = F.mix(field, F.smooth(rng, 5), 0.75)
    else:
        field = F.mix(
            F.smooth(rng, between(rng, 1.0, 1.4) if kind == 0 else between(rng, 2.9, 3.8)), F.smooth(rng, 10), 0.85
        )
    return 3.6 * field


def _mass(rng: RandomState, echo: np.ndarray, organ: np.ndarray, malignant: bool):
    """A small mass. Benign: oval, parallel to the skin, smooth, bright behind. Malignant: upright, spiculated, shadow.

    Each sign is present in 90 % of the images, so that no single one decides. Size and echo are the same in both.
    """
    cy, cx = S.place(rng, organ * _sector() * (Y < 0.5) * (np.abs(X) < 0.75))[0]
    upright, rough, dark = [(malignant) == (rng.uniform() < 0.9) for _ in range(3)]
    size, aspect = between(rng, 0.13, 0.18), between(rng, 1.25, 1.55)
    ry, rx = (size * aspect**0.5, size / aspect**0.5) if upright else (size / aspect**0.5, size * aspect**0.5)
    radius = S.ellipse(cy, cx, ry, rx, between(rng, -0.2, 0.2))
    theta = np.arctan2(Y - cy, X - cx)
    if rough:
        spikes = np.cos(rng.randint(7, 11) * theta + between(rng, 0, 6)) + 0.6 * np.cos(5 * theta + between(rng, 0, 6))
        radius = radius / (1 + 0.2 * spikes)
    else:
        radius = S.wobbly(rng, radius, cy, cx, 0.05)
    weight = S.inside(radius, 0.15)
    echo = echo - (echo + 13) * weight * 0.85 + 2.5 * weight * F.smooth(rng, 2)
    if not rough:
        echo = echo + 7 * np.exp(-(((radius - 1.08) / 0.1) ** 2))
    loss = weight * (between(rng, 20, 34) if dark else -between(rng, 14, 24))
    return echo, loss, radius < 1


def _scan(rng: RandomState, echo: np.ndarray, loss: np.ndarray, site: int) -> np.ndarray:
    """Sum losses along each line, multiply by fully developed speckle, compress, and convert to the sector."""
    at = np.stack(_polar())
    lines = ndimage.map_coordinates(echo, at, order=1, mode="nearest")
    lost = np.cumsum(ndimage.map_coordinates(loss, at, order=1, mode="nearest"), axis=0) * (FAR - NEAR) / DEPTHS
    dropout = between(rng, 0, 5) * np.clip(ndimage.gaussian_filter1d(rng.standard_normal(BEAMS), 4) * 3, 0, None)
    z = np.linspace(0, 1, DEPTHS)[:, None]
    residual = between(rng, -4, 4) * z + between(rng, -6, -2) * z**3
    axial, lateral = (0.9, 0.85) if site == 0 else (1.3, 1.25)
    field = rng.standard_normal((2, DEPTHS, BEAMS))
    field = ndimage.gaussian_filter(field, (0, axial, lateral), mode="nearest")
    envelope = np.sqrt((field**2).sum(0)) * np.sqrt(2 * np.pi * axial * lateral * 2)
    amplitude = envelope * 10 ** ((lines - lost + residual - dropout[None]) / 20)
    noise = 10 ** ((-34 + 14 * z) / 20) * np.abs(rng.standard_normal((DEPTHS, BEAMS)))
    level = 20 * np.log10(np.hypot(amplitude, noise) + 1e-9)
    span = 46 if site == 0 else 58
    gain = between(rng, 14, 19) + 3 * site
    picture = np.clip((level - gain) / span + 1, 0, 1)
    image = ndimage.map_coordinates(picture, np.stack(_cartesian()), order=1, mode="nearest")
    return image * _sector() * 0.97


MODALITY = Modality(
    name="ultrasound",
    channels=1,
    diffuse=("fine", "coarse", "septate"),
    focal=("no mass", "benign mass", "malignant mass"),
    dense=("background", "lesion"),
    draw=draw,
)
