"""Dermoscopy: a pigmented lesion with network, globules or ridges on skin, hairs, uneven light and a dark rim."""

import numpy as np
from numpy.random import RandomState

from bench.phantoms import _fields as F
from bench.phantoms import _shapes as S
from bench.phantoms._fields import N, X, Y
from bench.phantoms._random import between
from bench.phantoms.base import Drawn, Modality, Scene

SKIN = (np.array([0.88, 0.70, 0.62]), np.array([0.80, 0.62, 0.50]))
"""Mean skin colour by dermatoscope."""
MELANIN = np.array([0.45, 0.85, 1.15])
"""Relative absorption of melanin in red, green and blue."""
HAEMOGLOBIN = np.array([0.2, 1.0, 0.75])
"""Relative absorption of haemoglobin in red, green and blue."""


def draw(patient: RandomState, rng: RandomState, scene: Scene) -> Drawn:
    """A mole whose pattern is `scene.diffuse`; melanin and haemoglobin absorb light (Beer-Lambert)."""
    cy, cx = rng.uniform(-0.12, 0.12, 2)
    if scene.lesion is None:
        size = between(patient, 0.5, 0.68)
        radius = S.ellipse(cy, cx, size, size * between(patient, 0.8, 1.2), between(rng, 0, 3.1))
        radius = S.wobbly(patient, radius, cy, cx, 0.09, 7)
        mask = np.zeros((N, N), np.uint8)
        depth, edge = between(rng, 0.4, 0.6), between(rng, 0.2, 0.4)
    else:
        middle = (S.ellipse(0, 0, 0.5, 0.5) < 1).astype(float)
        field = S.lesion_field(rng, middle, scene.lesion.area, 0.25, confined=False)
        found, radius = S.grow(field * (1 + 0.05 * F.smooth(rng, 3)), scene.lesion.area)
        mask = found.astype(np.uint8)
        depth, edge = 0.1 + 0.6 * scene.lesion.contrast, between(rng, 0.15, 0.3)
    body = S.inside(radius, edge)
    melanin = depth * body * np.exp(0.32 * _pattern(rng, scene.diffuse) + 0.12 * F.smooth(rng, 9))
    extra, finding = _border_focus(rng, radius, scene) if scene.lesion is None else (0.0, np.zeros((N, N), bool))
    return Drawn(_photograph(rng, melanin + extra, body, scene.site), mask, finding)


def _pattern(rng: RandomState, kind: int) -> np.ndarray:
    """Pattern of the pigment with exactly the same histogram in every class.

    0 network: dark meshes around light holes. 1 globules: its negative. 2 parallel ridges. 3 structureless.
    Network and globules even have the same power spectrum: only the phase tells them apart.
    """
    wavelength = between(rng, 9.5, 12.0)
    if kind == 3:
        return F.gaussianised(F.smooth(rng, wavelength / 4))
    turn = between(rng, 0, np.pi)
    warp = 1.4 * F.smooth(rng, 14), 1.4 * F.smooth(rng, 14)
    waves = [_wave(turn + k * np.pi / 3, wavelength, warp, (0, 1, -1)[k]) for k in range(1 if kind == 2 else 3)]
    field = sum(waves) + 0.45 * F.smooth(rng, 2)
    return F.gaussianised(-field if kind == 0 else field)


def _wave(angle: float, wavelength: float, warp: tuple, sign: int) -> np.ndarray:
    """A plane wave whose crests are bent by the displacement `warp` (pixels)."""
    y, x = (Y + 1) * N / 2 + warp[0] * 1.5, (X + 1) * N / 2 + warp[1] * 1.5
    return np.cos(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / wavelength)


def _border_focus(rng: RandomState, radius: np.ndarray, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """At one place of the border, dots (0) or radial streaks (1) of the same amount of pigment."""
    ring = np.exp(-(((radius - 0.98) / 0.06) ** 2)) * (np.maximum(np.abs(X), np.abs(Y)) < 0.8)
    cy, cx = S.place(rng, ring)[0]
    gy, gx = np.gradient(F.blur(radius, 2.0))
    row, column = int((cy + 1) * N / 2), int((cx + 1) * N / 2)
    out = np.arctan2(gy[row, column], gx[row, column])
    along = np.stack([np.cos(out), -np.sin(out)])
    away = np.stack([np.sin(out), np.cos(out)])
    count = rng.randint(5, 8)
    starts = (
        np.array([cy, cx]) + np.linspace(-0.2, 0.2, count)[:, None] * along + rng.uniform(-0.015, 0.015, (count, 2))
    )
    if scene.focal == 1:
        s = np.linspace(-0.06, 0.14, 6)[:, None]
        ink = S.strokes([start + s * away for start in starts], 1.9)
    else:
        shift = rng.uniform(-0.05, 0.12, (count, 1)) * away
        ink = S.spots(starts + shift, 4.6)
    return ink * (34.0 / max(ink.sum(), 1e-6)) * count * 0.45, ink > 0.3 * ink.max()


def _hairs(rng: RandomState) -> np.ndarray:
    """Some dark curved hairs; profile in about [0, 1]."""
    s = np.linspace(-1, 1, 20)
    paths = []
    for _ in range(rng.randint(0, 7)):
        at, angle, bend = rng.uniform(-0.9, 0.9, 2), between(rng, 0, np.pi), between(rng, -0.4, 0.4)
        length = between(rng, 0.5, 1.3)
        across = bend * s**2
        y = at[0] + length * s * np.sin(angle) + across * np.cos(angle)
        paths.append(np.stack([y, at[1] + length * s * np.cos(angle) - across * np.sin(angle)], 1))
    return np.minimum(S.strokes(paths, between(rng, 1.1, 1.7)), 1.1)


def _photograph(rng: RandomState, melanin: np.ndarray, body: np.ndarray, site: int) -> np.ndarray:
    """Absorption, skin lines, hairs, gel reflections, light fall-off, blur, noise."""
    blood = 0.1 + 0.05 * F.smooth(rng, 8) + 0.04 * F.smooth(rng, 1.5) + between(rng, 0, 0.12) * body
    base = 0.05 + 0.03 * F.smooth(rng, 4) + 0.02 * F.band(rng, 6, 0.4)
    tint = SKIN[site] * np.exp(rng.uniform(-0.08, 0.08, 3))
    optical = (melanin + base)[..., None] * MELANIN * 1.25 + blood[..., None] * HAEMOGLOBIN
    image = tint * np.exp(-optical) * 1.12
    hair = _hairs(rng)[..., None]
    image = image * (1 - 0.85 * np.minimum(hair, 1)) + np.array([0.1, 0.08, 0.07]) * 0.85 * np.minimum(hair, 1)
    shine = S.spots(rng.uniform(-0.9, 0.9, (rng.randint(0, 5), 2)), 3.5)[..., None]
    image = image + 0.25 * np.minimum(shine, 1) * (1 - image)
    distance = np.hypot(X - between(rng, -0.1, 0.1), Y - between(rng, -0.1, 0.1))
    fall = 1 - (0.16 if site == 0 else 0.28) * distance**2
    rim = S.inside(distance / (1.28 if site == 0 else 1.12), 0.06)
    image = F.blur(image * (fall * (0.05 + 0.95 * rim))[..., None], 0.5 if site == 0 else 0.85)
    return image + (0.01 if site == 0 else 0.018) * rng.standard_normal((N, N, 3))


MODALITY = Modality(
    name="dermoscopy",
    channels=3,
    diffuse=("network", "globules", "parallel", "structureless"),
    focal=("dots", "streaks"),
    dense=("background", "lesion"),
    draw=draw,
)
