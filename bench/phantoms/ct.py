"""Abdominal CT: organs in Hounsfield units, partial volume, noise with the spectrum of a reconstruction, a window."""

from functools import cache

import numpy as np
from numpy.random import RandomState
from scipy import fft

from bench.phantoms import _fields as F
from bench.phantoms import _shapes as S
from bench.phantoms._fields import N, X, Y
from bench.phantoms._random import between
from bench.phantoms.base import Drawn, Lesion, Modality, Scene


def draw(patient: RandomState, rng: RandomState, scene: Scene) -> Drawn:
    """An axial slice at the level of the liver, portal venous phase; organs are painted in HU from outside inwards."""
    hu, body = _body(patient, rng)
    hu, liver = _organs(patient, rng, hu)
    hu = hu + liver * _parenchyma(rng, scene.diffuse, liver)
    hu = hu + _vessels(rng, liver) * liver
    finding = np.zeros((N, N), bool)
    mask = np.zeros((N, N), np.uint8)
    if scene.focal:
        hu, finding = _small_lesion(rng, hu, liver, scene.focal)
    if scene.lesion is not None:
        hu, mask = _tumour(rng, hu, liver, scene.lesion)
    return Drawn(_reconstruct(rng, hu, body, scene.site), mask, finding)


def _paint(hu: np.ndarray, shape: np.ndarray, value: float | np.ndarray) -> np.ndarray:
    return hu * (1 - shape) + value * shape


def _body(patient: RandomState, rng: RandomState) -> tuple[np.ndarray, np.ndarray]:
    """Air, table, skin, fat, muscle wall and peritoneal fat."""
    cy, cx = between(rng, -0.05, 0.05), between(rng, -0.04, 0.04)
    ry, rx = between(patient, 0.68, 0.76), between(patient, 0.86, 0.94)
    outline = S.wobbly(patient, S.ellipse(cy, cx, ry, rx, 0.0, 2.3), cy, cx, 0.03, 4)
    fat = between(patient, 0.05, 0.12)
    body = S.inside(outline, 0.03)
    table = np.exp(-(((Y - cy - ry - 0.1 + 0.05 * X**2) / 0.018) ** 2))
    hu = -1000 + 700 * table
    hu = _paint(hu, body, -20.0)
    hu = _paint(hu, S.inside(outline + 0.03, 0.02), -105 + 8 * F.smooth(rng, 3))
    hu = _paint(hu, S.inside(outline + fat + 0.03, 0.03), 55 + 6 * F.smooth(rng, 1.5))
    inner = S.inside(outline + fat + 0.11, 0.04)
    hu = _paint(hu, inner, -100 + 10 * F.smooth(rng, 3))
    angles = np.linspace(0.35, 2.8, 7) + between(patient, -0.1, 0.1)
    ring = 1 - fat - 0.075
    for side in (-1, 1):
        ribs = [
            np.stack([cy - ring * ry * np.cos(a + d), cx + side * ring * rx * np.sin(a + d)], 1)
            for a in angles
            for d in [np.linspace(-0.07, 0.07, 5)]
        ]
        hu = _paint(hu, np.minimum(S.strokes(ribs, 4.2), 1), 420.0)
    return hu, body


def _organs(patient: RandomState, rng: RandomState, hu: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Spine, muscles, aorta, cava, kidneys, spleen, stomach, bowel and last the liver; returns HU and the liver."""
    for side in (-1, 1):
        hu = _paint(hu, S.inside(S.ellipse(0.42, side * 0.3, 0.2, 0.2, 0.0, 2.5), 0.1), 60 + 7 * F.smooth(rng, 1.5))
    hu = _paint(hu, S.inside(S.ellipse(0.56, 0, 0.1, 0.05), 0.3), 330.0)
    hu = _paint(hu, S.inside(S.ellipse(0.49, 0, 0.05, 0.2), 0.3), 260.0)
    vertebra = S.ellipse(0.3, 0, 0.125, 0.15, 0, 2.6)
    hu = _paint(hu, S.inside(vertebra, 0.12), 240 + 60 * F.smooth(rng, 1.2) + 260 * (vertebra > 0.82))
    hu = _paint(hu, S.inside(S.ellipse(0.42, 0, 0.035, 0.045), 0.3), 25.0)
    for side in (-1, 1):
        cy, cx = between(patient, 0.2, 0.3), side * between(patient, 0.4, 0.46)
        kidney = S.ellipse(cy, cx, 0.17, 0.105, side * 0.5)
        hu = _paint(hu, S.inside(kidney, 0.12), 185 - 45 * (kidney < 0.68))
        hu = _paint(hu, S.inside(S.ellipse(cy + 0.01, cx - side * 0.05, 0.08, 0.04, side * 0.5), 0.3), -60.0)
    cy, cx = between(patient, -0.02, 0.12), between(patient, 0.63, 0.68)
    spleen = S.wobbly(patient, S.ellipse(cy, cx, 0.3, 0.12, 0.3), cy, cx, 0.08)
    hu = _paint(hu, S.inside(spleen, 0.08), 118 + 5 * F.smooth(rng, 2))
    cy, cx = between(patient, -0.32, -0.24), between(patient, 0.34, 0.42)
    stomach = S.wobbly(patient, S.ellipse(cy, cx, 0.2, 0.27, -0.4), cy, cx, 0.1)
    fluid = np.where(cy - between(rng, 0.0, 0.1) > Y, -850.0, 25 + 14 * F.smooth(rng, 2))
    hu = _paint(hu, S.inside(stomach, 0.1), 75.0)
    hu = _paint(hu, S.inside(stomach / 0.84, 0.06), fluid)
    for _ in range(5):
        cy, cx, size = between(rng, -0.12, 0.15), between(rng, 0.12, 0.46), between(rng, 0.05, 0.09)
        loop = S.ellipse(cy, cx, size, size * between(rng, 0.8, 1.4))
        hu = _paint(hu, S.inside(loop, 0.2), 80.0)
        hu = _paint(hu, S.inside(loop / 0.65, 0.3), between(rng, -20, 30) if rng.uniform() < 0.7 else -700.0)
    liver = _liver(patient)
    hu = _paint(hu, liver, 108.0)
    hu = _paint(hu, S.inside(S.ellipse(0.12, 0.09, 0.072, 0.072), 0.2), between(rng, 150, 185))
    hu = _paint(hu, S.inside(S.ellipse(0.1, -0.14, 0.06, 0.085), 0.25), between(rng, 135, 165))
    return hu, liver * (hu < 125)


def _liver(patient: RandomState) -> np.ndarray:
    """The right lobe fills the patient's right half (image left); the left lobe crosses the midline."""
    cy, cx = between(patient, -0.1, -0.04), between(patient, -0.4, -0.36)
    right = S.wobbly(patient, S.ellipse(cy, cx, 0.46, 0.34, 0.15, 2.3), cy, cx, 0.05)
    left = S.ellipse(between(patient, -0.36, -0.3), -0.08, 0.16, between(patient, 0.3, 0.38), 0.1)
    return S.inside(F.blur(np.minimum(right, left), 1.5), 0.05)


def _parenchyma(rng: RandomState, kind: int, liver: np.ndarray) -> np.ndarray:
    """Liver texture of fixed variance (HU): even, micronodular (cirrhosis of 3 mm nodules) or macronodular."""
    if kind == 0:
        field = F.mix(F.smooth(rng, 9), F.smooth(rng, 1.0), 0.6)
    else:
        wavelength = between(rng, 5.0, 6.2) if kind == 1 else between(rng, 9.5, 12.5)
        ridges = F.standard(-np.exp(-((F.band(rng, 2 * wavelength, 0.25) / 0.35) ** 2)), liver)
        field = F.mix(ridges, F.smooth(rng, 9), 0.8)
    return 18 * F.standard(field, liver)


def _vessels(rng: RandomState, liver: np.ndarray) -> np.ndarray:
    """Portal and hepatic veins: enhanced branches from the hilum; HU."""
    wide, thin = [], []
    s = np.linspace(0, 1, 10)
    for angle in np.linspace(2.0, 4.6, 6) + rng.uniform(-0.2, 0.2, 6):
        length, bend = between(rng, 0.25, 0.5), angle + between(rng, -0.6, 0.6) * s
        path = np.array([0.0, -0.16]) + length * np.stack([s * np.sin(bend) * 0.9, s * np.cos(bend)], 1)
        wide.append(path[:6])
        thin.append(path[5:])
        thin.append(path[4] + 0.2 * s[:, None] * np.array([np.sin(angle + 0.7), np.cos(angle + 0.7)]))
    return 42 * np.minimum(S.strokes(wide, 3.6), 1) + 34 * np.minimum(S.strokes(thin, 2.2), 1)


def _small_lesion(rng: RandomState, hu: np.ndarray, liver: np.ndarray, kind: int) -> tuple[np.ndarray, np.ndarray]:
    """1: cyst, sharp and even. 2: metastasis, a blurred dark centre in an enhanced rim. The same size and mean HU."""
    cy, cx = S.place(rng, F.blur(liver, 3) ** 6 * (X < -0.1))[0]
    size = between(rng, 0.075, 0.105)
    radius = S.wobbly(rng, S.ellipse(cy, cx, size, size * between(rng, 0.85, 1.18)), cy, cx, 0.08)
    if kind == 1:
        return _paint(hu, S.inside(radius, 0.15), 48 + 4 * F.smooth(rng, 2)), radius < 1
    rim = 62 * np.exp(-(((radius - 0.98) / 0.16) ** 2))
    return _paint(hu, S.inside(radius, 0.7), 26 + 12 * F.smooth(rng, 1.2)) + rim, radius < 1.15


def _tumour(rng: RandomState, hu: np.ndarray, liver: np.ndarray, lesion: Lesion) -> tuple[np.ndarray, np.ndarray]:
    """A hypodense tumour of graded size and contrast."""
    mask, radius = S.grow(S.lesion_field(rng, F.blur(liver, 1.5) > 0.5, lesion.area, 0.3), lesion.area)
    drop = (18 + 50 * lesion.contrast) * (1 + 0.25 * F.smooth(rng, 2))
    return hu - drop * S.inside(radius, 0.15), mask.astype(np.uint8)


@cache
def _noise_spectrum(sharp: bool) -> np.ndarray:
    """Amplitude spectrum of filtered back projection: a ramp rolled off by the kernel; unit variance."""
    f = np.hypot(fft.fftfreq(N)[:, None], fft.rfftfreq(N)[None])
    gain = np.sqrt(f) * np.exp(-((f / (0.42 if sharp else 0.2)) ** 2))
    weights = np.full_like(f, 2.0)
    weights[:, 0] = weights[:, -1] = 1.0
    return gain / np.sqrt((weights * gain**2).sum() / N**2)


def _reconstruct(rng: RandomState, hu: np.ndarray, body: np.ndarray, site: int) -> np.ndarray:
    """Partial volume, correlated noise that is strongest in the middle of the body, soft-tissue window."""
    hu = F.blur(hu, 0.75 if site == 0 else 0.55)
    noise = fft.irfft2(fft.rfft2(F.white(rng)) * _noise_spectrum(site == 1), s=(N, N))
    depth = 0.35 + 0.65 * F.blur(body, 12)
    hu = hu + (between(rng, 9, 13) if site == 0 else between(rng, 16, 22)) * depth * noise
    level, width = between(rng, 55, 75), between(rng, 340, 420)
    return np.clip((hu - level) / width + 0.5, 0, 1)


MODALITY = Modality(
    name="ct",
    channels=1,
    diffuse=("even", "micronodular", "macronodular"),
    focal=("none", "cyst", "metastasis"),
    dense=("background", "tumour"),
    draw=draw,
)
