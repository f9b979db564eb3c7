"""Alarms: an encoder that keeps its contract may still be worthless, for a reason nobody sees.

Collapsed features, scores at chance, and a normalisation that makes features worse than its neighbours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np
import torch

from bench.checks.finding import Finding, Level
from bench.checks.probe import PHANTOMS, ProbeTask, ranked
from bench.encoders.base import Encoder
from bench.encoders.card import Preprocessing

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


FLOPS = 1.5e12
"""What the alarms may compute where nobody asked for a number of images: half a minute of one core."""
MOST, LEAST = 120, 40
"""Training and test images of each phantom task the alarms look at."""
Seen = Callable[[int], None]
"""Called with the number of images encoded so far."""


def affordable(encoder: Encoder, flops: int | None) -> int:
    """Images a split and task: `MOST`, fewer for a network of many FLOPs an image, `LEAST` where nobody can count them.

    It depends on the network alone, never on how fast the machine is at the moment: verdicts must not change with it.
    """
    if flops is None:
        return LEAST
    each = flops * 2 * len(PHANTOMS) * looks(encoder)
    return max(LEAST, min(MOST, int(FLOPS / max(each, 1))))


def looks(encoder: Encoder, *, brief: bool = False) -> int:
    """How often `alarms` encodes an image: under the card's and under each neighbouring normalisation."""
    return 1 if brief else 1 + len(neighbours(encoder.card.preprocessing))


def alarms(
    encoder: Encoder, probes: Iterable[ProbeTask], *, brief: bool = False, seen: Seen = lambda done: None
) -> Iterator[Finding]:
    """Three findings, from the probes' images under the card's and under neighbouring normalisations.

    brief: leave the normalisation to batch norm, which takes a network's first layer instead of all of it, and look at
    no further probe once one has shown features that are above chance and not collapsed.
    """
    encode, looked = _Encode(encoder, seen), []
    features: list[tuple[np.ndarray, np.ndarray]] = []
    own: list[np.ndarray] = []
    for probe in probes:
        looked.append(probe)
        features.append(encode(probe))
        own.append(ranked(probe, *features[-1]))
        found = collapse(np.concatenate([np.concatenate(pair) for pair in features])), _chance(looked, own)
        if brief and all(finding.level == "ok" for finding in found):
            break
    yield from found
    if brief:
        yield Finding("normalisation", "skipped", "judged by batch norm alone, for speed; --images judges by features")
    else:
        yield _normalisation(encode, neighbours(encoder.card.preprocessing), looked, np.mean(own, axis=0))


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


def _chance(probes: Sequence[ProbeTask], scores: Sequence[np.ndarray]) -> Finding:
    parts, above = {}, False
    for probe, replicates in zip(probes, scores, strict=True):
        low, high = np.nanpercentile(replicates[1:], [2.5, 97.5])
        parts[probe.name] = {"auroc": float(replicates[0]), "low": float(low), "high": float(high)}
        above = above or low > 0.5
    spoken = ", ".join(f"{name} {v['auroc']:.2f} [{v['low']:.2f}, {v['high']:.2f}]" for name, v in parts.items())
    if not above:
        return Finding("above chance", "warning", f"no better than chance (AUROC 0.5): {spoken}", parts)
    return Finding("above chance", "ok", f"AUROC {spoken}", parts)


def _normalisation(
    encode: _Encode, others: Mapping[str, Preprocessing], probes: Sequence[ProbeTask], own: np.ndarray
) -> Finding:
    scores = {"card": own}
    for name, changed in others.items():
        scores[name] = np.mean([ranked(p, *encode(p, changed)) for p in probes], axis=0)
    values = {name: float(s[0]) for name, s in scores.items()}
    spoken = ", ".join(f"{name} {value:.3f}" for name, value in values.items())
    best = max(scores, key=lambda name: values[name])
    gain = scores[best] - own
    if best != "card" and gain[0] > MARGIN and gain[0] > 2 * float(np.nanstd(gain[1:])):
        level: Level = "problem" if gain[0] > 0.15 else "warning"
        message = f"{best} gives better features than the card's mean and std (AUROC {spoken}): is the card right?"
        return Finding("normalisation", level, message, values)
    return Finding("normalisation", "ok", f"no neighbour is better than the card's (AUROC {spoken})", values)


class _Encode:
    """Global features of a probe's training and test images; says after each batch how far it is."""

    def __init__(self, encoder: Encoder, seen: Seen) -> None:
        self.encoder, self.seen, self.done = encoder, seen, 0

    def __call__(self, probe: ProbeTask, preprocessing: Preprocessing | None = None) -> tuple[np.ndarray, np.ndarray]:
        """float32 (n, d) each, maybe under another preprocessing than the card's."""
        train, test = (np.concatenate(list(self._batches(i, preprocessing))) for i in (probe.train, probe.test))
        return train, test

    def _batches(self, images: np.ndarray, preprocessing: Preprocessing | None) -> Iterator[np.ndarray]:
        for start in range(0, len(images), BATCH):
            batch = torch.from_numpy(np.array(images[start : start + BATCH]))
            yield self.encoder.encode(batch, preprocessing=preprocessing).pooled.cpu().numpy()
            self.done += len(batch)
            self.seen(self.done)


def neighbours(own: Preprocessing) -> dict[str, Preprocessing]:
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
