"""Optical coherence tomography of the macula: layered retina, fovea, vessel shadows, attenuation, speckle."""

import numpy as np
from numpy.random import RandomState
from scipy import ndimage

from bench.phantoms import _fields as F
from bench.phantoms import _shapes as S
from bench.phantoms._fields import PIXEL, N, X, Y
from bench.phantoms._random import between
from bench.phantoms.base import Drawn, Lesion, Modality, Scene

LAYERS = (
    ("nerve fibres", 0.075, 0.78),
    ("ganglion cells", 0.13, 0.52),
    ("inner nuclear", 0.085, 0.30),
    ("outer plexiform", 0.05, 0.52),
    ("outer nuclear", 0.16, 0.21),
    ("ellipsoid zone", 0.035, 0.80),
    ("outer segments", 0.035, 0.42),
    ("pigment epithelium", 0.05, 0.92),
)
"""Name, thickness (units of Y) and reflectivity of each layer from the vitreous to the choroid."""
INNER = 5
"""The layers above the ellipsoid zone; the fovea thins the first four."""


def draw(patient: RandomState, rng: RandomState, scene: Scene) -> Drawn:
    """A horizontal B-scan through or near the fovea."""
    floor = _floor(rng, deep=scene.lesion is not None and scene.lesion.area > 0.05)
    floor = floor + _undulation(rng, scene.diffuse == 2)
    fluid = _fluid(rng, scene)
    rise_retina, rise_pigment = _rises(rng, fluid, scene)
    edges = _edges(patient, rng, floor, rise_retina, rise_pigment)
    image = _layers(rng, edges, floor)
    if scene.diffuse == 1:
        image = _disorganised(rng, image, edges)
    image, mask = _fill(rng, image, edges, floor, rise_pigment, fluid)
    image = image * _shadows(rng, edges)
    finding = mask > 0
    return Drawn(_detect(rng, image, scene.site), mask * np.uint8(scene.lesion is not None), finding)


def _floor(rng: RandomState, deep: bool) -> np.ndarray:
    """Height (Y) of the lower border of the pigment epithelium, (128,); `deep` leaves room for a lesion above it."""
    x, middle = X[0], between(rng, 0.42, 0.62) if deep else between(rng, 0.1, 0.62)
    return middle + between(rng, -0.25, 0.25) * x + between(rng, -0.2, 0.06) * (x**2 - 0.33)


def _undulation(rng: RandomState, drusen: bool) -> np.ndarray:
    """Drusen: the floor waves all along at a short wavelength; otherwise at a long one, with equal amplitude."""
    sigma = between(rng, 3.6, 5.2) if drusen else between(rng, 6.5, 12)
    wave = ndimage.gaussian_filter1d(rng.standard_normal(N + 160), sigma)[80 : 80 + N]
    return 0.021 * (wave - wave.mean()) / (wave.std() + 1e-9)


def _fluid(rng: RandomState, scene: Scene) -> Lesion | None:
    """The pocket to draw: the graded lesion, or for the focal task a small one of kind `scene.focal`."""
    if scene.lesion is not None:
        return scene.lesion
    return Lesion(between(rng, 0.006, 0.012), 0.8, scene.focal) if scene.focal else None


def _rises(rng: RandomState, fluid: Lesion | None, scene: Scene) -> tuple[np.ndarray, np.ndarray]:
    """How far (Y units) fluid lifts the neurosensory retina and the pigment epithelium in each column."""
    nothing = np.zeros(N)
    if fluid is None or fluid.kind == 1:
        return nothing, nothing
    wanted = fluid.area * 4
    width = np.clip(np.sqrt(wanted * between(rng, 0.9, 1.6)), 0.12, 0.95)
    centre = between(rng, -0.85 + 0.5 * width, 0.85 - 0.5 * width)
    profile = np.clip(1 - np.abs((X[0] - centre) / width) ** 2.4, 0, None)
    rise = profile * wanted / (profile.sum() * PIXEL)
    return (rise, nothing) if fluid.kind == 2 else (nothing, rise)


def _edges(patient, rng, floor, rise_retina, rise_pigment) -> np.ndarray:
    """Upper border of each layer and, last, the floor: (9, 128) heights."""
    x = X[0]
    pit = np.exp(-(((x - between(rng, -0.4, 0.4)) / between(patient, 0.16, 0.24)) ** 2)) * between(rng, 0.0, 0.95)
    scale = between(patient, 0.92, 1.12)
    edges = [floor - rise_pigment]
    for k in range(len(LAYERS) - 1, -1, -1):
        thickness = LAYERS[k][1] * scale * (1 - 0.85 * pit if k < 4 else 1 + 0.12 * pit)
        wave = ndimage.gaussian_filter1d(rng.standard_normal(N + 60), 9)[30 : 30 + N]
        lift = rise_retina if k == len(LAYERS) - 2 else 0.0
        edges.append(edges[-1] - thickness * (1 + 0.35 * wave) - lift)
    return np.array(edges[::-1])


def _step(border: np.ndarray, width: float = 0.012) -> np.ndarray:
    """Soft 0 to 1 from above to below a border (128,)."""
    return 1 / (1 + np.exp(np.clip((border[None] - Y) / width, -40, 40)))


def _layers(rng: RandomState, edges: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Reflectivity of vitreous, layers, the space below the pigment epithelium, and choroid with dark vessels."""
    image = np.full((N, N), 0.03)
    value = 0.03
    for border, (_, _, reflectivity) in zip(edges[:-1], LAYERS, strict=True):
        image = image + (reflectivity - value) * _step(border)
        value = reflectivity
    below = _step(edges[-1])
    depth = np.clip(Y - floor[None], 0, None)
    lumen = 1 / (1 + np.exp(-(F.band(rng, 13, 0.4) - 0.5) * 4))
    choroid = 0.58 * np.exp(-depth / 0.28) * (1 - 0.6 * lumen * (depth > 0.04))
    return image * (1 - below) + choroid * below


def _disorganised(rng: RandomState, image: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Inner layers with little lamination: the same grey values, rearranged as blotches."""
    region = (edges[0][None] + 0.05 < Y) & (edges[INNER][None] - 0.02 > Y)
    order = F.standard(image, region) + between(rng, 0.9, 1.5) * F.smooth(rng, 2.6)
    image = image.copy()
    image[region] = F.with_values_of(order[region], image[region])
    return image


def _fill(rng, image, edges, floor, rise_pigment, fluid: Lesion | None) -> tuple[np.ndarray, np.ndarray]:
    """Fluid is dark: 1 cyst in the inner retina, 2 below the neurosensory retina, 3 grey below the epithelium."""
    mask = np.zeros((N, N), np.uint8)
    if fluid is None:
        return image, mask
    if fluid.kind == 1:
        region = (edges[1][None] + 0.02 < Y) & (edges[INNER][None] - 0.015 > Y)
        field = _cyst_field(rng, region, fluid.area)
    else:
        upper, lower = (edges[-3], edges[-2]) if fluid.kind == 2 else (edges[-1], floor)
        upper = upper + (LAYERS[-2][1] if fluid.kind == 2 else 0.0)
        height = np.maximum(lower - upper, 1e-3)[None]
        above = (lower[None] - Y) / height
        field = np.where(above < 0, 9 - above, above) + 9.0 * (height < 0.012)
    found, _ = S.grow(field, fluid.area)
    weight = F.blur(found.astype(float), 0.6)
    level = 0.24 - 0.2 * fluid.contrast if fluid.kind < 3 else 0.42 - 0.2 * fluid.contrast
    image = image * (1 - weight) + level * weight
    return image, found.astype(np.uint8) * np.uint8(fluid.kind)


def _cyst_field(rng: RandomState, region: np.ndarray, area: float) -> np.ndarray:
    """Upright ovals side by side inside the inner retina."""
    cy, cx = S.place(rng, region.astype(float))[0]
    size = 1.8 * np.sqrt(area / np.pi)
    radius = S.wobbly(rng, S.ellipse(cy, cx, size, size * between(rng, 0.9, 1.6)), cy, cx, 0.15)
    walls = 1 + 0.35 * np.exp(-((np.sin((X - cx) / 0.11) / 0.2) ** 2)) * (size > 0.15)
    return radius * walls * (1 + 8 * (1 - region))


def _shadows(rng: RandomState, edges: np.ndarray) -> np.ndarray:
    """Retinal vessels: what lies below them is dimmed; plus slow loss of signal along the scan."""
    x = X[0]
    shade = np.ones(N)
    for _ in range(rng.randint(2, 6)):
        at, width = between(rng, -0.95, 0.95), between(rng, 0.015, 0.035)
        shade = shade * (1 - between(rng, 0.25, 0.55) * np.exp(-(((x - at) / width) ** 2)))
    below = _step(edges[1], 0.02)
    loss = 1 - 0.25 * np.clip(ndimage.gaussian_filter1d(rng.standard_normal(N + 120), 20)[60 : 60 + N] * 5, -1, 1)
    return (1 - below + below * shade[None]) * loss[None]


def _detect(rng: RandomState, image: np.ndarray, site: int) -> np.ndarray:
    """Speckle: exponential intensity averaged over a few frames; detector floor; logarithmic display."""
    frames = 3 if site == 0 else 1.4
    power = np.clip(image, 0.004, None) ** 2
    grain = rng.standard_gamma(frames, (N, N)) / frames
    grain = F.blur(grain, 0.45 if site == 0 else 0.6)
    signal = power * grain + between(rng, 0.0012, 0.003) * rng.standard_exponential((N, N))
    level = 10 * np.log10(signal)
    span = between(rng, 30, 34) if site == 0 else between(rng, 25, 28)
    return np.clip((level + between(rng, 0.5, 2.0)) / span + 1, 0, 1) * 0.9 + 0.02


MODALITY = Modality(
    name="oct",
    channels=1,
    diffuse=("regular", "disorganised", "drusen"),
    focal=("none", "intraretinal cyst", "subretinal fluid", "epithelial detachment"),
    dense=("background", "intraretinal fluid", "subretinal fluid", "epithelial detachment"),
    draw=draw,
)
