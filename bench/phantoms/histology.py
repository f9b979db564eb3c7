"""Haematoxylin and eosin: crowded nuclei laid out by tissue architecture, stains mixed by Beer-Lambert's law."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.random import RandomState

from bench.phantoms import _fields as F
from bench.phantoms import _shapes as S
from bench.phantoms._fields import PIXEL, N
from bench.phantoms._random import between, fork, stream
from bench.phantoms.base import Drawn, Lesion, Modality, Scene

STAINS = (
    np.array([[0.650, 0.704, 0.286], [0.072, 0.990, 0.105]]),
    np.array([[0.545, 0.758, 0.358], [0.140, 0.930, 0.340]]),
)
"""Optical density in red, green, blue of a unit of haematoxylin and of eosin, by laboratory (first: Ruifrok and
Johnston 2001)."""
GAPS, CELLS = 0.09, 0.38
"""Share of the image that is white gap (lumen, sinusoid, cleft, vacuole) and that is rich in cells; in every class."""
COUNT = (80, 170)
"""Fewest and most nuclei of a field, in every class: the range hides from a histogram that a cluster adds some."""
HALF = 9
"""Half side in pixels of the patch in which one nucleus is painted."""


@dataclass
class Nuclei:
    """Nuclei to paint: centres (m, 2), radii in pixels, elongation, darkness, and pallor of the middle in [0, 1]."""

    at: np.ndarray
    radius: np.ndarray
    aspect: np.ndarray
    dark: np.ndarray
    pale: np.ndarray


def draw(patient: RandomState, rng: RandomState, scene: Scene) -> Drawn:
    """A field at low power, one pixel about a micrometre.

    The histogram of the transmitted light is the same in every image, so that it tells neither tissue nor finding;
    only the amount of stain varies (a factor of the optical density, a power of the light), and the sensor noise.
    """
    light, mask, finding = _tissue(rng, scene)
    light = F.with_histogram(light, _reference(scene.site)) ** rng.uniform(0.85, 1.15, 3)
    white = np.array([0.965, 0.955, 0.965 if scene.site == 0 else 0.93])
    return Drawn(white * light + 0.008 * rng.standard_normal((N, N, 3)), mask, finding)


@cache
def _reference(site: int) -> np.ndarray:
    """Mean quantiles of the transmitted light over three fields of each architecture, (N * N, 3)."""
    scenes = [Scene(diffuse, focal, site=site) for diffuse in range(4) for focal in range(3)]
    return F.quantiles_of([_tissue(stream("histology", k), scene)[0] for k, scene in enumerate(scenes)])


def _tissue(rng: RandomState, scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Transmitted light 10^-OD (N, N, 3) after the blur of the optics, lesion mask and place of the finding."""
    gap, cells = _architecture(rng, scene.diffuse)
    points = _scattered(rng, cells + 0.08 * (1 - cells) * (1 - gap), 420, 6.6)
    nuclei = _nuclei(rng, points[: rng.randint(*COUNT)], 1.0)
    finding = np.zeros((N, N), bool)
    mask = np.zeros((N, N), np.uint8)
    if scene.focal:
        nuclei, finding, gap = _cluster(rng, nuclei, gap, scene.focal == 2)
    if scene.lesion is not None:
        nuclei, mask, gap = _tumour(rng, nuclei, gap, scene.lesion)
    haematoxylin = 0.08 + _paint(rng, nuclei) * (1 - 0.7 * gap)
    fibres = F.blur(F.band(rng, 5, 0.5), 0.8) + 0.7 * F.smooth(rng, 7)
    eosin = np.clip((0.42 + 0.1 * fibres) * (1 - 0.25 * cells), 0.05, None)
    amounts = (0.72, 0.62) if scene.site == 0 else (0.55, 0.8)
    stained = amounts[0] * haematoxylin[..., None] * STAINS[scene.site][0]
    stained = stained + amounts[1] * eosin[..., None] * STAINS[scene.site][1]
    light = 10 ** -np.clip(stained * (1 - gap)[..., None], 0, None)
    return F.blur(light, 0.55 if scene.site == 0 else 0.9), mask, finding


def _architecture(rng: RandomState, kind: int) -> tuple[np.ndarray, np.ndarray]:
    """Gaps and cell-rich tissue in [0, 1] for glands (rings), cords, nests or dispersed cells.

    Gaps are drawn alike in all four: their thickness would show in the histogram of a reduced image.
    """
    gap = _lowest(F.band(rng, between(rng, 17, 21), 0.25), GAPS, 0.06)
    if kind == 3:
        return gap, np.full((N, N), CELLS) * (1 - gap)
    if kind == 1:
        order = np.abs(F.band(rng, between(rng, 34, 40), 0.2) + 0.12 * F.smooth(rng, 3))
    else:
        order = _nearest_centre(rng) * (1 + 0.08 * F.smooth(rng, 5))
    if kind == 0:
        order = np.abs(order - np.quantile(order, 0.45))
    return gap, _lowest(order, CELLS, 0.1) * (1 - gap)


def _lowest(order: np.ndarray, share: float, edge: float) -> np.ndarray:
    """Soft membership in [0, 1] of the `share` of pixels where `order` is lowest; `edge` is the relative width."""
    limit = np.quantile(order, share)
    scale = edge * (limit - np.quantile(order, 0.25 * share)) + 1e-9
    return 1 / (1 + np.exp(np.clip((order - limit) / scale, -40, 40)))


def _nearest_centre(rng: RandomState) -> np.ndarray:
    """Distance to the nearest of some centres on a jittered hexagonal lattice, each with its own size and shape."""
    step = between(rng, 0.52, 0.62)
    offset = rng.uniform(0, step, 2)
    nearest = np.full((N, N), np.inf)
    for row in range(-1, 6):
        for column in range(-1, 6):
            cy = -1 + (row - 0.5) * step * 0.87 + offset[0] + between(rng, -0.09, 0.09)
            cx = -1 + (column - 0.5 + 0.5 * (row % 2)) * step + offset[1] + between(rng, -0.09, 0.09)
            size, aspect, angle = between(rng, 0.85, 1.15), between(rng, 0.75, 1.3), between(rng, 0, 3.1)
            if abs(cy) < 1.3 and abs(cx) < 1.3:
                nearest = np.minimum(nearest, S.ellipse(cy, cx, size * aspect**0.5, size / aspect**0.5, angle))
    return nearest


def _scattered(rng: RandomState, density: np.ndarray, count: int, distance: float) -> np.ndarray:
    """Up to `count` points, by density, no two closer than `distance` pixels."""
    points = S.place(rng, density, count)
    squared = ((points[:, None] - points[None]) ** 2).sum(2)
    near = squared < (distance * PIXEL) ** 2
    keep = np.zeros(count, bool)
    blocked = np.zeros(count, bool)
    for i in range(count):
        if not blocked[i]:
            keep[i] = True
            blocked |= near[i]
    return points[keep]


def _nuclei(rng: RandomState, at: np.ndarray, size: float, spread: float = 0.12, dark: float = 1.0, pale: float = 0.25):
    m = len(at)
    return Nuclei(
        at,
        3.1 * size * np.exp(spread * rng.standard_normal(m)).clip(0.6, 1.6),
        1 + np.abs(0.25 * rng.standard_normal(m)),
        dark * rng.uniform(0.65, 1.05, m),
        np.full(m, pale),
    )


def _outside(nuclei: Nuclei, region: np.ndarray) -> Nuclei:
    """The nuclei whose centre is not in `region` (bool)."""
    index = np.clip(((nuclei.at + 1) / PIXEL).astype(int), 0, N - 1)
    keep = ~region[index[:, 0], index[:, 1]]
    return Nuclei(*(getattr(nuclei, name)[keep] for name in ("at", "radius", "aspect", "dark", "pale")))


def _joined(first: Nuclei, second: Nuclei) -> Nuclei:
    pairs = ((getattr(first, n), getattr(second, n)) for n in ("at", "radius", "aspect", "dark", "pale"))
    return Nuclei(*(np.concatenate(pair) for pair in pairs))


def _cluster(rng: RandomState, nuclei: Nuclei, gap: np.ndarray, tumour: bool) -> tuple[Nuclei, np.ndarray, np.ndarray]:
    """A small cluster: of lymphocytes (small, dark, round) or of tumour cells (large, pale, uneven)."""
    cy, cx = rng.uniform(-0.7, 0.7, 2)
    size = between(rng, 0.19, 0.25)
    region = S.wobbly(rng, S.ellipse(cy, cx, size, size), cy, cx, 0.12) < 1
    if tumour:
        new = _nuclei(rng, _scattered(rng, region.astype(float), 60, 8.2), 1.55, 0.2, 0.72, 0.8)
    else:
        new = _nuclei(rng, _scattered(rng, region.astype(float), 120, 5.0), 0.78, 0.05, 1.1, 0.0)
        new.aspect[:] = 1.0
    return _joined(_outside(nuclei, region), new), region, gap * ~region


def _tumour(rng: RandomState, nuclei: Nuclei, gap: np.ndarray, lesion: Lesion) -> tuple[Nuclei, np.ndarray, np.ndarray]:
    """A region whose nuclei are larger and of uneven size; `contrast` says by how much."""
    area, contrast, rng = lesion.area, lesion.contrast, fork(rng)
    middle = (S.ellipse(0, 0, 0.7, 0.7) < 1).astype(float)
    mask, _ = S.grow(S.lesion_field(rng, middle, area, 0.25, confined=False), area)
    size = 1.2 + 0.55 * contrast
    at = _scattered(rng, mask.astype(float), 260, 5.6 * size)
    new = _nuclei(rng, at, size, 0.18, 0.95, 0.35 + 0.35 * contrast)
    return _joined(_outside(nuclei, mask), new), mask.astype(np.uint8), gap * (1 - mask)


def _paint(rng: RandomState, nuclei: Nuclei) -> np.ndarray:
    """Haematoxylin of all nuclei (darkest wins where they overlap), each an ellipse with a rim and chromatin clumps."""
    m, own = len(nuclei.at), fork(rng)
    place = (nuclei.at + 1) / PIXEL - 0.5
    base = np.floor(place).astype(int)
    span = np.arange(-HALF, HALF + 1)
    dy = span[None, :, None] + (base - place)[:, 0, None, None]
    dx = span[None, None, :] + (base - place)[:, 1, None, None]
    angle = own.uniform(0, np.pi, m)
    c, s = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    stretch = np.sqrt(nuclei.aspect)[:, None, None]
    size = nuclei.radius[:, None, None]
    radius = np.hypot((c * dx + s * dy) / (size * stretch), (c * dy - s * dx) * stretch / size)
    body = 1 / (1 + np.exp(np.clip((radius - 1) * size / 0.35, -40, 40)))
    middle = 1 - nuclei.pale[:, None, None] * np.clip(1 - radius**2, 0, 1)
    nucleolus = (nuclei.pale > 0.6)[:, None, None] * 0.6 * np.exp(-((radius / 0.28) ** 2))
    density = nuclei.dark[:, None, None] * body * (middle + nucleolus)
    rows, columns = base[:, 0, None, None] + span[None, :, None], base[:, 1, None, None] + span[None, None, :]
    ok = (rows >= 0) & (rows < N) & (columns >= 0) & (columns < N)
    image = np.zeros(N * N)
    np.maximum.at(image, (rows * N + columns)[ok], density[ok])
    return image.reshape(N, N) * (1 + 0.22 * F.smooth(rng, 0.9))


MODALITY = Modality(
    name="histology",
    channels=3,
    diffuse=("glands", "cords", "nests", "dispersed"),
    focal=("none", "lymphocytes", "tumour cells"),
    dense=("background", "tumour"),
    draw=draw,
)
