"""Colour fundus photograph: branching vessels from the disc, macula, choroid, uneven light, a round field of view."""

from functools import cache

import numpy as np
from numpy.random import RandomState

from bench.phantoms import _fields as F
from bench.phantoms import _shapes as S
from bench.phantoms._fields import N, X, Y
from bench.phantoms._random import between, stream
from bench.phantoms.base import Drawn, Lesion, Modality, Scene

COLOUR = (np.array([0.80, 0.40, 0.17]), np.array([0.70, 0.42, 0.27]))
"""Mean reflected colour of the retina, by camera."""
BLOOD = np.array([0.35, 1.0, 0.8])
"""Relative absorption of blood in red, green and blue: least in red."""


def draw(patient: RandomState, rng: RandomState, scene: Scene) -> Drawn:
    """A 45-degree field.

    Without a graded lesion the histogram of the reflectance is the same in every image, so that it tells neither
    vessels nor findings (equalising would take a graded lesion's contrast away); the tint and the light vary.
    """
    retina, mask, finding = _retina(patient, rng, scene)
    if scene.lesion is None:
        retina = F.with_histogram(retina, _reference(scene.site))
    return Drawn(_photograph(rng, retina, scene.site), mask, finding)


@cache
def _reference(site: int) -> np.ndarray:
    """Mean quantiles of the reflectance over two eyes of each grade, (N * N, 3)."""
    scenes = [Scene(diffuse, grade, site=site) for diffuse in (0, 1) for grade in range(4)]
    return F.quantiles_of([_retina(stream("fundus", k), stream("fundus", -k), s)[0] for k, s in enumerate(scenes)])


def _retina(patient: RandomState, rng: RandomState, scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Relative reflectance (N, N, 3), lesion mask and place of the findings; the disc is nasal in either eye."""
    side = 1 if patient.uniform() < 0.5 else -1
    disc = np.array([between(patient, -0.06, 0.06), side * between(patient, 0.5, 0.6)])
    macula = np.array([disc[0] + 0.06, disc[1] - side * between(patient, 0.58, 0.66)])
    veins, arteries = _tree(patient, rng, disc, side, scene.diffuse)
    blood = 0.55 * veins + 0.36 * arteries
    blood = blood + 0.3 * np.exp(-(((Y - macula[0]) ** 2 + (X - macula[1]) ** 2) / 0.022))
    free = F.blur((np.hypot(Y - disc[0], X - disc[1]) > 0.22) * (S.ellipse(0, 0, 0.8, 0.8) < 1.0), 1.0)
    red, white, finding = _retinopathy(rng, free, scene.focal)
    mask = np.zeros((N, N), np.uint8)
    if scene.lesion is not None:
        red, white, mask = _graded(rng, free, scene.lesion)
    optics = 0.5 if scene.site == 0 else 0.85
    return F.blur(_reflectance(rng, blood + red, white, disc), optics), mask, finding


def _tree(patient: RandomState, rng: RandomState, disc: np.ndarray, side: int, tortuous: int):
    """Veins and arteries (profiles in about [0, 1]): four arcades each, which branch twice."""
    wave = (between(rng, 0.75, 0.95) if tortuous else between(rng, 0.0, 0.2), between(rng, 0.2, 0.26))
    layers: list[np.ndarray] = []
    for kind in (0, 1):
        trunks: list[np.ndarray] = []
        branches: list[np.ndarray] = []
        twigs: list[np.ndarray] = []
        for up in (-1, 1):
            for nasal in (False, True):
                heading = _heading(up, side, nasal) + between(patient, -0.15, 0.15) + 0.16 * (kind - 0.5)
                bend = 0.0 if nasal else up * side * between(patient, 0.85, 1.25)
                trunk = _vessel(rng, disc, heading, between(patient, 0.9, 1.3) * (0.6 if nasal else 1.25), bend, wave)
                trunks.append(trunk)
                _branch(rng, trunk, branches, twigs, wave)
        wide = 3.0 if kind == 0 else 2.2
        layers.append(
            np.minimum(S.strokes(trunks, wide), 1.1)
            + 0.8 * np.minimum(S.strokes(branches, wide * 0.65), 1.1)
            + 0.5 * np.minimum(S.strokes(twigs, 1.1), 1.1)
        )
    return layers[0], layers[1]


def _heading(up: int, side: int, nasal: bool) -> float:
    """Angle (radians, y down) at which an arcade leaves the disc."""
    vertical = up * np.pi / 2
    towards_nose = 0.0 if side > 0 else np.pi
    if nasal:
        return towards_nose + (up * 0.9 if side > 0 else -up * 0.9)
    return vertical + (up * side) * 0.25


def _vessel(rng: RandomState, start: np.ndarray, heading: float, length: float, bend: float, wave: tuple) -> np.ndarray:
    """A path (40, 2) that bends by `bend` radians in all and winds with amplitude (radians) and period `wave`."""
    s = np.linspace(0, length, 40)
    swing = wave[0] * np.sin(2 * np.pi * s / wave[1] * between(rng, 0.85, 1.15) + between(rng, 0, 6.28))
    drift = 0.25 * np.cumsum(rng.standard_normal(40)) / 6.3
    angle = heading + bend * s / length + swing * np.minimum(1, s / 0.15) + drift
    step = s[1] * np.stack([np.sin(angle), np.cos(angle)], 1)
    return start + np.cumsum(step, axis=0) - step[0]


def _branch(rng: RandomState, trunk: np.ndarray, branches: list, twigs: list, wave: tuple) -> None:
    for turn in (-1, 1):
        for at in rng.randint(8, 36, 2):
            dy, dx = trunk[at] - trunk[at - 1]
            heading = np.arctan2(dy, dx) + turn * between(rng, 0.5, 0.9)
            path = _vessel(rng, trunk[at], heading, between(rng, 0.35, 0.7), -turn * between(rng, 0.2, 0.7), wave)
            branches.append(path)
            for k in rng.randint(8, 36, 2):
                dy, dx = path[k] - path[k - 1]
                fork = np.arctan2(dy, dx) + rng.choice([-1, 1]) * between(rng, 0.5, 0.9)
                twigs.append(_vessel(rng, path[k], fork, between(rng, 0.15, 0.35), between(rng, -0.4, 0.4), wave))


def _retinopathy(rng: RandomState, retina: np.ndarray, grade: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blood, bright deposits and their place: 0 none, 1 microaneurysms, 2 and haemorrhages, 3 and exudates."""
    red, white = np.zeros((N, N)), np.zeros((N, N))
    if grade >= 1:
        red = red + 0.75 * np.minimum(S.spots(S.place(rng, retina, rng.randint(5, 11)), 2.2), 1.2)
    if grade >= 2:
        for cy, cx in S.place(rng, retina, rng.randint(2, 5)):
            size = between(rng, 0.035, 0.06)
            blot = S.wobbly(rng, S.ellipse(cy, cx, size, size * between(rng, 0.7, 1.4)), cy, cx, 0.25)
            red = np.maximum(red, 0.65 * S.inside(blot, 0.5))
    if grade >= 3:
        cy, cx = S.place(rng, retina, 1)[0]
        cluster = np.exp(-(((Y - cy) ** 2 + (X - cx) ** 2) / 0.02)) * retina
        white = 0.75 * np.minimum(S.spots(S.place(rng, cluster, rng.randint(5, 10)), 2.6), 1.0)
    return red, white, (red > 0.3) | (white > 0.3)


def _graded(rng: RandomState, retina: np.ndarray, lesion: Lesion) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One haemorrhage (class 1) or one plaque of exudate (class 2) of the wanted area."""
    field = S.lesion_field(rng, retina, lesion.area, 0.3) * (1 + 0.1 * F.smooth(rng, 3))
    mask, radius = S.grow(field, lesion.area)
    weight = S.inside(radius, 0.25) * (0.22 + 0.5 * lesion.contrast) * (1 + 0.15 * F.smooth(rng, 2))
    nothing = np.zeros((N, N))
    red, white = (weight, nothing) if lesion.kind == 1 else (nothing, weight)
    return red, white, (mask * lesion.kind).astype(np.uint8)


def _reflectance(rng: RandomState, blood: np.ndarray, bright: np.ndarray, disc: np.ndarray) -> np.ndarray:
    """Pigment, disc with its cup, absorption by blood, deposits; (N, N, 3) relative to the mean colour."""
    pigment = 0.09 * F.smooth(rng, 6) + 0.05 * F.smooth(rng, 1.2) + 0.04 * np.abs(F.band(rng, 9, 0.4))
    image = np.exp(-pigment[..., None] * np.array([0.5, 1.0, 1.0]))
    rim = S.inside(S.ellipse(disc[0], disc[1], 0.17, 0.145), 0.25)[..., None]
    cup = S.inside(S.ellipse(disc[0], disc[1] - 0.02 * np.sign(disc[1]), 0.08, 0.07), 0.6)[..., None]
    image = image * (1 - rim) + (np.array([1.21, 1.8, 2.35]) + cup * np.array([0.04, 0.42, 1.7])) * rim
    image = image * np.exp(-1.25 * blood[..., None] * BLOOD * (1 - 0.55 * cup))
    return image + bright[..., None] * (np.array([1.22, 2.2, 2.9]) - image)


def _photograph(rng: RandomState, retina: np.ndarray, site: int) -> np.ndarray:
    """Tint, flash that falls off from a point near the middle, noise and the round mask."""
    cy, cx = rng.uniform(-0.15, 0.15, 2)
    flash = 1.08 - (0.32 if site == 0 else 0.5) * ((Y - cy) ** 2 + (X - cx) ** 2)
    tint = COLOUR[site] * np.exp(rng.uniform(-0.1, 0.1, 3))
    image = retina * tint * flash[..., None]
    image = image + (0.012 if site == 0 else 0.022) * rng.standard_normal((N, N, 3))
    return image * S.inside(np.hypot(X, Y) / (0.97 if site == 0 else 0.9), 0.03)[..., None]


MODALITY = Modality(
    name="fundus",
    channels=3,
    diffuse=("straight vessels", "tortuous vessels"),
    focal=("grade 0", "grade 1", "grade 2", "grade 3"),
    dense=("background", "haemorrhage", "exudate"),
    draw=draw,
)
