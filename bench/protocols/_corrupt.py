"""Image corruptions at five severities, chosen to be what goes wrong in each modality.

Each takes uint8 (h, w, c) as float in [0, 1] and a severity 1..5. Random ones draw from the image's own bytes, so
that an image is always corrupted in the same way, whatever stands beside it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

SEVERITIES = (1, 2, 3, 4, 5)
NOISE_SD = (0.02, 0.04, 0.07, 0.11, 0.16)
BLUR_SD = (0.005, 0.008, 0.012, 0.018, 0.026)
"""Standard deviation as a share of the shorter side."""
CONTRAST = (0.8, 0.65, 0.5, 0.35, 0.2)
BIAS = (0.15, 0.3, 0.45, 0.6, 0.8)
JPEG_QUALITY = (50, 30, 20, 12, 7)

NOISE_KIND = {
    "mri": "rician",
    "ultrasound": "speckle",
    "oct": "speckle",
    "xray": "poisson",
    "pet": "poisson",
    "fundus": "gaussian",
}
"""Noise of each modality; gaussian for the others."""


def noise(x: np.ndarray, severity: int, modality: str, rng: np.random.Generator) -> np.ndarray:
    """Noise as the modality has it: additive, Rician magnitude, multiplicative speckle, or photon counts."""
    sd, kind = NOISE_SD[severity - 1], NOISE_KIND.get(modality, "gaussian")
    first = rng.standard_normal(x.shape)
    if kind == "rician":
        return np.hypot(x + sd * first, sd * rng.standard_normal(x.shape))
    if kind == "speckle":
        return x * (1 + 3 * sd * first)
    if kind == "poisson":
        return x + sd * np.sqrt(2 * np.maximum(x, 0)) * first
    return x + sd * first


def blur(x: np.ndarray, severity: int, modality: str, rng: np.random.Generator) -> np.ndarray:
    """Gaussian blur: defocus, motion, thick slices."""
    sd = BLUR_SD[severity - 1] * min(x.shape[:2])
    return gaussian_filter(x, (sd, sd, 0), mode="nearest")


def contrast(x: np.ndarray, severity: int, modality: str, rng: np.random.Generator) -> np.ndarray:
    """Contrast about the image's own mean is reduced: exposure, window, gain."""
    mean = x.mean()
    return mean + CONTRAST[severity - 1] * (x - mean)


def bias_field(x: np.ndarray, severity: int, modality: str, rng: np.random.Generator) -> np.ndarray:
    """A smooth multiplicative field, quadratic in place: coil sensitivity, vignette, uneven light."""
    h, w = x.shape[:2]
    v, u = np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij")
    terms = np.stack([u, v, u * v, u**2 - 1 / 3, v**2 - 1 / 3])
    field = np.tensordot(rng.standard_normal(5), terms, 1)
    return x * (1 + BIAS[severity - 1] * field / np.abs(field).max())[..., None]


def jpeg(x: np.ndarray, severity: int, modality: str, rng: np.random.Generator) -> np.ndarray:
    """JPEG compression."""
    pixels = np.rint(x * 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(
        buffer, "JPEG", quality=JPEG_QUALITY[severity - 1]
    )
    return np.asarray(Image.open(buffer), dtype=np.float64).reshape(x.shape) / 255


CORRUPTIONS: dict[str, Callable[[np.ndarray, int, str, np.random.Generator], np.ndarray]] = {
    "noise": noise,
    "blur": blur,
    "contrast": contrast,
    "bias-field": bias_field,
    "jpeg": jpeg,
}


def corrupt(images: np.ndarray, name: str, severity: int, modality: str) -> np.ndarray:
    """uint8 (n, h, w, c) changed by one corruption; the same image always in the same way."""
    out = np.empty_like(images)
    for i, image in enumerate(images):
        seed = int.from_bytes(hashlib.sha256(f"{name}".encode() + image.tobytes()).digest()[:8], "little")
        changed = CORRUPTIONS[name](image / 255.0, severity, modality, np.random.default_rng(seed))
        out[i] = np.rint(np.clip(changed, 0, 1) * 255)
    return out
