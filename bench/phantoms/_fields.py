"""The pixel grid, random textures and the noise of detectors. All float64, shape (128, 128) unless said otherwise.

Float64 everywhere: a last-bit difference between processors then has a chance of about 1e-13 a pixel to change
the rounded uint8 value, so checksums hold across machines (where a whole number is rounded: `_ties`).
"""

from functools import cache

import numpy as np
from numpy.random import RandomState
from scipy import fft, ndimage

N = 128
"""Image side in pixels."""
Y, X = np.meshgrid(*[(np.arange(N) + 0.5) / N * 2 - 1] * 2, indexing="ij")
"""Pixel centres in [-1, 1]; Y points down, X to the right."""
PIXEL = 2 / N
"""Side of a pixel in units of X and Y."""


@cache
def _frequency() -> np.ndarray:
    """Radial frequency of the half spectrum, cycles a pixel, (N, N // 2 + 1)."""
    return np.hypot(fft.fftfreq(N)[:, None], fft.rfftfreq(N)[None])


@cache
def _unit_gain(kind: str, a: float, b: float) -> np.ndarray:
    f = _frequency()
    gain = np.exp(-2 * (np.pi * a * f) ** 2 if kind == "smooth" else -0.5 * ((f - 1 / a) / (b / a)) ** 2)
    gain[0, 0] = 0.0
    weights = np.full_like(f, 2.0)
    weights[:, 0] = weights[:, -1] = 1.0
    return gain / np.sqrt((weights * gain**2).sum() / N**2)


def _shaped(rng: RandomState, kind: str, a: float, b: float = 0.0) -> np.ndarray:
    return fft.irfft2(fft.rfft2(rng.standard_normal((N, N))) * _unit_gain(kind, a, b), s=(N, N))


def smooth(rng: RandomState, sigma: float) -> np.ndarray:
    """Gaussian random field, white noise blurred with `sigma` pixels; mean 0, expected variance 1."""
    return _shaped(rng, "smooth", float(sigma))


def band(rng: RandomState, wavelength: float, width: float = 0.3) -> np.ndarray:
    """Gaussian random field around one wavelength (pixels); `width` is relative; expected variance 1."""
    return _shaped(rng, "band", float(wavelength), float(width))


def white(rng: RandomState) -> np.ndarray:
    """White Gaussian noise of variance 1."""
    return rng.standard_normal((N, N))


def standard(field: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """`field` with mean 0 and variance 1 over the image, or over the region `weight` (h, w) >= 0."""
    w = np.ones_like(field) if weight is None else weight
    total = w.sum()
    centred = field - (w * field).sum() / total
    return centred / np.sqrt((w * centred**2).sum() / total + 1e-12)


def mix(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Two independent unit-variance fields as one of unit variance; `share` in [0, 1] is the variance of the first.

    Diffuse tasks are built on this: the label moves variance between two textures, never its amount.
    """
    return np.sqrt(share) * first + np.sqrt(1 - share) * second


def blur(field: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, `sigma` in pixels, of (h, w) or of each channel of (h, w, c)."""
    if field.ndim == 2:
        return ndimage.gaussian_filter(field, sigma, mode="nearest", truncate=3.0)
    return ndimage.gaussian_filter(field, (sigma, sigma, 0), mode="nearest", truncate=3.0)


def poisson(rng: RandomState, expected: np.ndarray) -> np.ndarray:
    """Photon counts for the expected counts of each pixel."""
    return rng.poisson(np.maximum(expected, 0.0)).astype(np.float64)


def rician(rng: RandomState, signal: np.ndarray, sigma: float) -> np.ndarray:
    """Magnitude of a complex signal with Gaussian noise in both channels (Gudbjartsson and Patz 1995)."""
    real = signal + sigma * rng.standard_normal(signal.shape)
    return np.hypot(real, sigma * rng.standard_normal(signal.shape))


def to_uint8(image: np.ndarray) -> np.ndarray:
    """[0, 1] to uint8 (h, w, c); values outside are clipped, as a display does."""
    image = image[..., None] if image.ndim == 2 else image
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)


def with_values_of(order: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The numbers of `values` rearranged to follow the ranks of `order`; any shape, same size.

    The histogram of the result is exactly that of `values`; only the pattern is that of `order`.

    >>> with_values_of(np.array([5.0, 1.0, 3.0]), np.array([10.0, 20.0, 30.0]))
    array([30., 10., 20.])
    """
    result = np.empty(order.size)
    result[np.argsort(order, axis=None, kind="stable")] = np.sort(values, axis=None)
    return result.reshape(order.shape)


@cache
def _normal_quantiles() -> np.ndarray:
    from scipy.special import ndtri

    return ndtri((np.arange(N * N) + 0.5) / (N * N))


def quantiles_of(images: list[np.ndarray]) -> np.ndarray:
    """Mean sorted values of each channel over `images` (N, N, c): the reference of `with_histogram`, (N * N, c)."""
    return np.mean([np.sort(image.reshape(N * N, -1), axis=0) for image in images], axis=0)


def with_histogram(image: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """`image` (N, N, c) with the histogram of each channel made exactly that of `reference` (N * N, c)."""
    channels = [with_values_of(image[..., c], reference[:, c]) for c in range(image.shape[2])]
    return np.stack(channels, axis=2)


def gaussianised(field: np.ndarray) -> np.ndarray:
    """`field` (N, N) with its histogram made exactly standard normal; patterns made so differ by arrangement alone."""
    return with_values_of(field, _normal_quantiles())
