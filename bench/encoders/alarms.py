"""Alarms: an encoder that keeps its contract may still be worthless, for a reason nobody sees.

Collapsed features, scores at chance, and a normalisation that makes features worse than its neighbours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from bench.encoders.base import Encoder
from bench.encoders.batchnorm import batch_norm
from bench.encoders.card import Preprocessing
from bench.encoders.finding import Finding
from bench.encoders.probe import PHANTOMS, Probe, ranked

NEIGHBOURS: dict[str, tuple[list[float], list[float]]] = {
    "identity (0, 1)": ([0.0], [1.0]),
    "half (0.5, 0.5)": ([0.5], [0.5]),
    "ImageNet": ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
    "values 0-255": ([0.0], [1 / 255]),
}
"""The normalisations that are mistaken for one another."""
MARGIN = 0.03
"""A neighbour must be better by this much AUROC, and by two standard errors, to raise the alarm."""
BATCH = 32


SECONDS = 12.0
"""What the alarms may take of forward passes, where nobody asked for a number of images."""


def affordable(encoder: Encoder, most: int, least: int = 40) -> int:
    """Images a split and task: `most`, fewer for a network so slow that they would take longer than `SECONDS`."""
    side = encoder.card.preprocessing.size
    images = torch.zeros((8, side, side, 3), dtype=torch.uint8)
    start = time.perf_counter()
    encoder.encode(images)
    each = (time.perf_counter() - start) / 8
    passes = 2 * len(PHANTOMS) * (1 + len(_others(encoder.card.preprocessing)))
    return max(least, min(most, int(SECONDS / (each * passes))))


def alarms(encoder: Encoder, probes: Sequence[Probe]) -> Iterator[Finding]:
    """Three or four findings, from the probes' images under the card's and under neighbouring normalisations."""
    features = [_features(encoder, probe) for probe in probes]
    yield collapse(np.concatenate([np.concatenate(pair) for pair in features]))
    own = [ranked(probe, *pair) for probe, pair in zip(probes, features, strict=True)]
    yield _chance(probes, own)
    yield _normalisation(encoder, probes, np.mean(own, axis=0))
    if finding := batch_norm(encoder, [probe.train for probe in probes], _others(encoder.card.preprocessing)):
        yield finding


def rankme(features: np.ndarray) -> float:
    """Effective rank exp(-sum p log p) of float (n, d), p the singular values over their sum (Garrido et al., 2023)."""
    values = np.linalg.svd(features.astype(np.float64), compute_uv=False)
    p = values / max(values.sum(), 1e-300) + 1e-7
    return float(np.exp(-(p * np.log(p)).sum()))


def collapse(features: np.ndarray) -> Finding:
    """Whether centred features (n, d) fill more than a few directions."""
    centred = features - features.mean(0)
    constant = float((features.std(0) <= 1e-6 * max(1e-12, float(np.abs(features).max()))).mean())
    scale = float(np.linalg.norm(centred, axis=1).mean() / max(1e-12, float(np.linalg.norm(features, axis=1).mean())))
    rank = rankme(centred) if constant < 1 else 0.0
    most = min(features.shape[0] - 1, features.shape[1])
    values = {"rankme": rank, "of": most, "constant_share": constant, "spread": scale}
    spoken = f"effective rank {rank:.1f} of {most}, spread {scale:.1%} of the norm, {constant:.0%} constant dimensions"
    if constant > 0.99 or scale < 1e-4 or rank < 2:
        return Finding("collapse", "problem", f"collapsed: {spoken}", values)
    if rank < min(8, most / 4) or constant > 0.5 or scale < 0.01:
        return Finding("collapse", "warning", f"nearly collapsed: {spoken}", values)
    return Finding("collapse", "ok", spoken, values)


def _chance(probes: Sequence[Probe], scores: Sequence[np.ndarray]) -> Finding:
    parts, above = {}, False
    for probe, replicates in zip(probes, scores, strict=True):
        low, high = np.nanpercentile(replicates[1:], [2.5, 97.5])
        parts[probe.name] = {"auroc": float(replicates[0]), "low": float(low), "high": float(high)}
        above = above or low > 0.5
    spoken = ", ".join(f"{name} {v['auroc']:.2f} [{v['low']:.2f}, {v['high']:.2f}]" for name, v in parts.items())
    if not above:
        return Finding("above chance", "warning", f"no better than chance (AUROC 0.5): {spoken}", parts)
    return Finding("above chance", "ok", f"AUROC {spoken}", parts)


def _normalisation(encoder: Encoder, probes: Sequence[Probe], own: np.ndarray) -> Finding:
    scores = {"card": own}
    for name, changed in _others(encoder.card.preprocessing).items():
        scores[name] = np.mean([ranked(p, *_features(encoder, p, changed)) for p in probes], axis=0)
    values = {name: float(s[0]) for name, s in scores.items()}
    spoken = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
    best = max(scores, key=lambda name: values[name])
    gain = scores[best] - own
    if best != "card" and gain[0] > MARGIN and gain[0] > 2 * float(np.nanstd(gain[1:])):
        level = "problem" if gain[0] > 0.15 else "warning"
        message = f"{best} gives better features than the card's mean and std (AUROC {spoken}): is the card right?"
        return Finding("normalisation", level, message, values)
    return Finding("normalisation", "ok", f"no neighbour is better than the card's (AUROC {spoken})", values)


def _features(
    encoder: Encoder, probe: Probe, preprocessing: Preprocessing | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Global features of the training and the test images, maybe under another preprocessing than the card's."""
    return tuple(_encode(encoder, images, preprocessing) for images in (probe.train, probe.test))


def _encode(encoder: Encoder, images: np.ndarray, preprocessing: Preprocessing | None) -> np.ndarray:
    pieces = (torch.from_numpy(np.array(images[i : i + BATCH])) for i in range(0, len(images), BATCH))
    return torch.cat([encoder.encode(p, preprocessing=preprocessing).pooled.cpu() for p in pieces]).numpy()


def _others(own: Preprocessing) -> dict[str, Preprocessing]:
    """The neighbouring normalisations that are not the card's own."""
    changed = {name: _with(own, *values) for name, values in NEIGHBOURS.items()}
    return {name: other for name, other in changed.items() if not _same(other, own)}


def _with(preprocessing: Preprocessing, mean: list[float], std: list[float]) -> Preprocessing:
    if preprocessing.channels == 1:
        mean, std = [sum(mean) / len(mean)], [sum(std) / len(std)]
    return preprocessing.model_copy(update={"mean": mean, "std": std})


def _same(a: Preprocessing, b: Preprocessing) -> bool:
    """Whether two normalisations differ by no more than rounding, 0.02 a value."""
    mine, other = (np.broadcast_to(np.array([p.mean, p.std]).T, (p.channels, 2)) for p in (a, b))
    return bool(np.abs(mine - other).max() < 0.02)
