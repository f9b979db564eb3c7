"""Chest radiograph: line integrals through ellipsoids, ribs and heart; scatter; Poisson counts; log display."""

import numpy as np
from numpy.random import RandomState

from bench.phantoms import _fields as F
from bench.phantoms import _shapes as S
from bench.phantoms._fields import PIXEL, X, Y
from bench.phantoms._random import between
from bench.phantoms.base import Drawn, Modality, Scene

FINDINGS = ("nodule", "cavity", "effusion", "pneumothorax")
PROFUSION = (0.0, 0.12, 0.34, 0.8)
"""Share of the variance of the lung texture that sits in small opacities, by grade."""


def draw(patient: RandomState, rng: RandomState, scene: Scene) -> Drawn:
    """A frontal chest radiograph; path lengths are centimetres of water."""
    lungs = [_lung(patient, side) for side in (-1, 1)]
    air = np.maximum(*[shape for shape, _ in lungs])
    heart, soft = _heart(patient)
    bone = _ribs(patient) * np.clip(0.35 + air, 0, 1) + _spine(patient)
    path = 17 + 3 * Y + soft + 5.5 * heart * (0.3 + 0.7 * air) - 11.5 * air
    path = path + bone + 1.1 * _vessels(rng, air) * air + _texture(rng, scene.diffuse, air)
    added, finding = _findings(rng, scene, lungs, heart)
    consolidation, mask = _consolidation(rng, scene, air)
    return Drawn(_expose(rng, path + added + consolidation, scene.site), mask, finding)


def _lung(patient: RandomState, side: int) -> tuple[np.ndarray, tuple[float, float, float]]:
    """Soft shape of one lung in [0, 1] and its (left edge x, base y, centre x)."""
    cx = side * between(patient, 0.43, 0.49)
    top, base = between(patient, -0.88, -0.8), between(patient, 0.5, 0.66) + 0.04 * (side > 0)
    half = between(patient, 0.35, 0.4)
    t = np.clip((Y - top) / (base - top), 0, 1)
    width = half * np.sqrt(np.clip(t, 1e-3, 1)) ** 0.75 * (0.86 + 0.2 * t)
    centre = cx + side * 0.05 * t
    lateral = (X - centre) / width
    dome = base - 0.12 * (1 - np.clip(lateral, -1, 1) ** 2) + 0.1 * np.clip(lateral * side, 0, 1) ** 3
    across = np.clip((1 - np.abs(lateral)) * width / (2.2 * PIXEL), -12, 12)
    along = np.clip(np.minimum(dome - Y, Y - top) / (1.6 * PIXEL), -12, 12)
    shape = 1 / ((1 + np.exp(-across)) * (1 + np.exp(-along)))
    depth = 0.5 + 0.5 * np.sqrt(np.clip(1 - (0.85 * lateral) ** 2, 0, 1))
    return shape * depth, (cx, base, half)


def _heart(patient: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Heart thickness in [0, 1] and the other soft tissue (cm): mediastinum, arch, abdomen, shoulders, trachea."""
    cy, cx = between(patient, 0.25, 0.34), between(patient, 0.08, 0.16)
    heart = np.sqrt(S.chord(S.ellipse(cy, cx, between(patient, 0.27, 0.32), between(patient, 0.34, 0.42), 0.55)))
    heart = F.blur(heart, 1.0)
    middle = 3.5 * np.exp(-((X / 0.15) ** 2)) + 2.5 * S.inside(S.ellipse(-0.25, 0.13, 0.13, 0.13), 0.3)
    shoulders = 4 * S.inside(S.ellipse(-1.05, -1.0, 0.55, 0.6), 0.5) + 4 * S.inside(
        S.ellipse(-1.05, 1.0, 0.55, 0.6), 0.5
    )
    trachea = -4 * np.exp(-(((X + 0.01) / 0.055) ** 2)) / (1 + np.exp((Y + 0.3) / 0.05))
    stomach = -4 * S.inside(S.ellipse(0.82, between(patient, 0.4, 0.5), 0.1, 0.17), 0.4)
    outside = -14 / (1 + np.exp(-(np.abs(X) - between(patient, 0.94, 1.02) - 0.05 * Y) / 0.02))
    return heart, middle + shoulders + trachea + stomach + outside


def _ribs(patient: RandomState) -> np.ndarray:
    """Ribs as tubes with bright cortical edges, clavicles on top; cm of water."""
    first, step = between(patient, -0.82, -0.74), between(patient, 0.165, 0.19)
    s = np.linspace(0, 1, 24)
    edges, fills, fronts = [], [], []
    for side in (-1, 1):
        for k in range(9):
            reach = 0.5 + 0.36 * np.sqrt(min(1.0, (k + 0.6) / 3.0))
            x = side * (0.1 + (reach - 0.1) * np.sin(s * np.pi / 2))
            y = first + k * step - 0.1 * np.sin(s * np.pi) + (0.14 + 0.02 * k) * s**2
            edges += [np.stack([y + e, x], 1) for e in (-0.026, 0.026)]
            fills.append(np.stack([y, x], 1))
            xf = side * (reach - (reach - 0.3) * s**1.2)
            fronts.append(np.stack([y[-1] + 0.26 * s, xf], 1))
        tilt = between(patient, -0.03, 0.03)
        edges.append(np.stack([-0.66 - 0.1 * s + tilt * s + 0.04 * np.sin(s * 6), side * (0.07 + 0.75 * s)], 1))
        fills.append(edges[-1])
    return 1.1 * S.strokes(edges, 1.5) + 1.0 * S.strokes(fills, 4.0) + 0.6 * S.strokes(fronts, 4.5)


def _spine(patient: RandomState) -> np.ndarray:
    """Vertebral column behind the mediastinum; cm of water."""
    phase, period = between(patient, 0, 6), between(patient, 0.15, 0.18)
    bodies = 0.75 + 0.25 * np.tanh(3 * np.sin(2 * np.pi * Y / period + phase))
    return 2.2 * bodies / (1 + np.exp((np.abs(X) - 0.085) / 0.012))


def _vessels(rng: RandomState, air: np.ndarray) -> np.ndarray:
    """Lung vessels that leave the hila and thin out."""
    wide, thin = [], []
    for side in (-1, 1):
        hilum = np.array([between(rng, -0.08, 0.02), side * 0.17])
        for angle in np.linspace(-1.35, 1.35, 9) + rng.uniform(-0.12, 0.12, 9):
            length = between(rng, 0.3, 0.62)
            s = np.linspace(0, 1, 12)
            bend = angle + between(rng, -0.5, 0.5) * s
            path = hilum + length * np.stack([s * np.sin(bend), side * s * np.cos(bend)], 1)
            wide.append(path[:6])
            thin.append(path[5:])
            fork = path[6] + 0.25 * s[:, None] * np.array([np.sin(angle + 0.6), side * np.cos(angle + 0.6)])
            thin.append(fork)
    return 0.9 * S.strokes(wide, 2.6) + 0.55 * S.strokes(thin, 1.5)


def _texture(rng: RandomState, grade: int, air: np.ndarray) -> np.ndarray:
    """Lung texture of fixed variance; the grade moves it from smooth haze to small rounded opacities."""
    dots = S.spots(S.place(rng, air, 420), between(rng, 2.2, 3.0))
    haze = F.standard(F.mix(F.smooth(rng, 7), F.smooth(rng, 2.5), 0.75), air)
    share = PROFUSION[grade] * between(rng, 0.8, 1.15)
    return 0.85 * air * F.mix(F.standard(dots, air), haze, share)


def _findings(rng: RandomState, scene: Scene, lungs: list, heart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Path length (cm) added by the small findings of `scene.focal` (bits in the order of FINDINGS), and where."""
    shape = [s * (1 - 0.8 * np.clip(heart * 2, 0, 1)) for s, _ in lungs]
    added, where = np.zeros((F.N, F.N)), np.zeros((F.N, F.N), bool)
    for k, one in enumerate((_nodule, _cavity, _effusion, _pneumothorax)):
        if scene.focal >> k & 1:
            side = rng.randint(2)
            part = one(rng, shape[side], lungs[side][1], 2 * side - 1)
            added = added + part
            where |= np.abs(part) > 0.5
    return added, where


def _nodule(rng: RandomState, lung: np.ndarray, box: tuple, side: int) -> np.ndarray:
    cy, cx = S.place(rng, lung**3)[0]
    return between(rng, 2.6, 3.8) * S.chord(S.ellipse(cy, cx, *[between(rng, 0.05, 0.075)] * 2))


def _cavity(rng: RandomState, lung: np.ndarray, box: tuple, side: int) -> np.ndarray:
    cy, cx = S.place(rng, lung**3)[0]
    size = between(rng, 0.075, 0.1)
    outer = S.wobbly(rng, S.ellipse(cy, cx, size, size), cy, cx, 0.1)
    return between(rng, 3.2, 4.4) * (S.chord(outer) - 0.95 * S.chord(outer / 0.72))


def _effusion(rng: RandomState, lung: np.ndarray, box: tuple, side: int) -> np.ndarray:
    """Fluid in the costophrenic angle, with a meniscus that climbs the chest wall."""
    cx, base, half = box
    lateral = np.clip((X - cx) * side / half, -1, 1.3)
    level = base - 0.02 - between(rng, 0.12, 0.2) * np.clip(lateral, 0, None) ** 2
    return 7 * lung * (lateral > -0.2) / (1 + np.exp(np.clip((level - Y) / 0.015, -30, 30)))


def _pneumothorax(rng: RandomState, lung: np.ndarray, box: tuple, side: int) -> np.ndarray:
    """Apical air without vessels behind a thin pleural line."""
    cx, _, half = box
    gap = between(rng, 0.08, 0.14)
    radius = S.ellipse(-0.1, cx - side * gap * 0.7, 0.72 - gap, half - gap * 0.3)
    line = np.exp(-(((radius - 1) / 0.035) ** 2))
    upper = 1 / (1 + np.exp((Y + 0.2) / 0.05))
    return (2.3 * line - 1.6 * (radius > 1)) * lung * upper


def _consolidation(rng: RandomState, scene: Scene, air: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fluid-filled air space: the lesion of the dense task."""
    if scene.lesion is None:
        return np.zeros_like(air), np.zeros(air.shape, np.uint8)
    region = F.blur(air, 1.5) > 0.4
    mask, radius = S.grow(S.lesion_field(rng, region, scene.lesion.area, 0.3), scene.lesion.area)
    patchy = 1 + 0.25 * F.smooth(rng, 2.0)
    depth = (1.6 + 4.4 * scene.lesion.contrast) * patchy
    return depth * S.inside(radius, 0.25) * (0.25 + 0.75 * air), mask.astype(np.uint8)


def _expose(rng: RandomState, path: np.ndarray, site: int) -> np.ndarray:
    """Beer-Lambert, scatter, Poisson counts and the logarithmic display of a radiograph (bone is white)."""
    primary = np.exp(-0.19 * np.clip(path, 0.5, None))
    scatter = 0.25 * F.blur(primary, 9) if site == 0 else 0.5 * F.blur(primary, 9)
    counts = F.poisson(rng, between(rng, 3.5e4, 7e4) * (0.45 if site else 1) * (primary + scatter))
    film = -np.log(np.maximum(counts, 1.0))
    film = F.blur(film, 0.45 if site == 0 else 0.75)
    low, high = np.percentile(film, [between(rng, 1, 4), between(rng, 96, 99)])
    return np.clip((film - low) / (high - low), 0, 1) ** between(rng, 0.8, 1.15) * 0.92 + 0.03


MODALITY = Modality(
    name="xray",
    channels=1,
    diffuse=("profusion 0", "profusion 1", "profusion 2", "profusion 3"),
    focal=FINDINGS,
    dense=("background", "consolidation"),
    draw=draw,
    multi_label=True,
)
