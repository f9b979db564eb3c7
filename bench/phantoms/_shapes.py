"""Outlines, strokes and grown lesions on the pixel grid of `_fields`. Coordinates (y, x) are in [-1, 1]."""

import numpy as np
from numpy.random import RandomState

from bench.phantoms._fields import PIXEL, N, X, Y, blur
from bench.phantoms._ties import whole


def ellipse(cy: float, cx: float, ry: float, rx: float, angle: float = 0.0, power: float = 2.0) -> np.ndarray:
    """Relative radius of each pixel from an ellipse: 0 at the centre, 1 on the outline; `angle` in radians."""
    dy, dx = Y - cy, X - cx
    c, s = np.cos(angle), np.sin(angle)
    if power == 2.0:
        return np.sqrt(((c * dx + s * dy) / rx) ** 2 + ((c * dy - s * dx) / ry) ** 2)
    return (np.abs((c * dx + s * dy) / rx) ** power + np.abs((c * dy - s * dx) / ry) ** power) ** (1 / power)


def wobbly(rng: RandomState, radius: np.ndarray, cy: float, cx: float, amount: float, lobes: int = 5) -> np.ndarray:
    """A relative radius with a random outline: `amount` is the relative size of the bumps, `lobes` their number."""
    turn = (X - cx) + 1j * (Y - cy)
    turn /= np.abs(turn) + 1e-12
    power, bumps = turn.copy(), np.zeros_like(radius)
    for k in range(2, lobes + 1):
        power *= turn
        bumps += (rng.standard_normal() / k * np.exp(1j * rng.uniform(0, 2 * np.pi)) * power).real
    return radius / np.maximum(1 + amount * bumps, 0.2)


def inside(radius: np.ndarray, edge: float = 0.05) -> np.ndarray:
    """Soft membership in [0, 1] of the region `radius` < 1; `edge` is the relative width of the border."""
    t = np.clip((1 - radius) / (1.5 * edge) + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def chord(radius: np.ndarray) -> np.ndarray:
    """Relative path length of a ray through an ellipsoid, 1 through its centre: sqrt(1 - r^2)."""
    return np.sqrt(np.clip(1 - radius**2, 0, None))


def splat(points: np.ndarray) -> np.ndarray:
    """Number of `points` (m, 2) as (y, x) in [-1, 1], spread bilinearly over the pixels; (128, 128)."""
    p = (points + 1) / PIXEL - 0.5
    p = np.clip(np.nan_to_num(p), -4, N + 4)
    base = np.floor(p).astype(np.int64)
    part = p - base
    padded = N + 12
    total = np.zeros(padded * padded)
    for i in (0, 1):
        for j in (0, 1):
            w = np.where(i, part[:, 0], 1 - part[:, 0]) * np.where(j, part[:, 1], 1 - part[:, 1])
            flat = (base[:, 0] + i + 5) * padded + base[:, 1] + j + 5
            total += np.bincount(flat, weights=w, minlength=padded * padded)
    return total.reshape(padded, padded)[5 : N + 5, 5 : N + 5]


def dense_points(path: np.ndarray, spacing: float = 0.4) -> np.ndarray:
    """Points along a polyline (m, 2), `spacing` pixels apart."""
    steps = np.hypot(*np.diff(path, axis=0).T)
    length = np.concatenate([[0.0], np.cumsum(steps)])
    count = max(2, whole(length[-1] / (spacing * PIXEL)) + 1)
    at = np.linspace(0, length[-1], count)
    return np.stack([np.interp(at, length, path[:, 0]), np.interp(at, length, path[:, 1])], axis=1)


def strokes(paths: list[np.ndarray], width: float) -> np.ndarray:
    """Curves of Gaussian profile, full width at half maximum `width` pixels, about 1 along the middle of a curve."""
    if not paths:
        return np.zeros((N, N))
    spacing, sigma = 0.4, max(width / 2.355, 0.3)
    points = [dense_points(path, spacing) for path in paths]
    return blur(splat(np.concatenate(points)), sigma) * (spacing * sigma * np.sqrt(2 * np.pi))


def spots(points: np.ndarray, width: float) -> np.ndarray:
    """Gaussian spots of full width at half maximum `width` pixels, peak about 1."""
    sigma = max(width / 2.355, 0.3)
    return blur(splat(points), sigma) * (2 * np.pi * sigma**2)


def place(rng: RandomState, region: np.ndarray, count: int = 1) -> np.ndarray:
    """Random points (count, 2) with a density proportional to `region` (128, 128) >= 0."""
    cumulative = np.cumsum(region.ravel())
    flat = np.searchsorted(cumulative, rng.uniform(0, cumulative[-1], count), side="right")
    flat = np.minimum(flat, N * N - 1)
    jitter = rng.uniform(-0.5, 0.5, (count, 2))
    return (np.stack(np.divmod(flat, N), axis=1) + 0.5 + jitter) * PIXEL - 1


def grow(field: np.ndarray, area: float) -> tuple[np.ndarray, np.ndarray]:
    """The `area` (fraction of the image) of pixels where `field` is lowest.

    Returns the mask (bool) and the field scaled to be a relative radius: 1 at the border.
    """
    count = max(1, round(area * N * N))
    threshold = np.partition(field.ravel(), count - 1)[count - 1]
    low = field.min()
    radius = (field - low) / max(threshold - low, 1e-9)
    order = np.argsort(field, axis=None, kind="stable")[:count]
    mask = np.zeros(N * N, bool)
    mask[order] = True
    return mask.reshape(N, N), radius


def lesion_field(
    rng: RandomState, region: np.ndarray, area: float, roughness: float = 0.25, *, confined: bool = True
) -> np.ndarray:
    """A field to `grow` a lesion from: random centre in `region`, random ellipse and bumps; `confined` to `region`."""
    cy, cx = place(rng, region**2)[0]
    aspect, angle = rng.uniform(0.65, 1.5), rng.uniform(0, np.pi)
    size = 2 * np.sqrt(area / np.pi)
    radius = ellipse(cy, cx, size / aspect**0.5, size * aspect**0.5, angle)
    radius = wobbly(rng, radius, cy, cx, roughness)
    if not confined:
        return radius
    return radius * (1 + 8 * (1 - np.clip(region, 0, 1)))
