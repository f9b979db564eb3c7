"""Alarms for the reviewer: predictions and weights that are nearly another submission's, scores and claims that stand
against the field. None is a proof; each comes with its evidence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.budget import FULL
from bench.encoders.card import EncoderCard
from bench.errors import UserError
from bench.files import readable
from bench.runs.journal import read_outputs
from bench.runs.records import Record
from bench.submissions.folder import Results
from bench.submissions.withdrawn import read_withdrawals

PERFECT = 0.995
"""A primary metric from which with all labels a person should look."""
CLOSE = 1e-3
"""Mean difference of predictions, and relative one of weights, below which they are nearly the same."""
SHARE = 0.1
"""Share of the units that may be close by chance: tasks on which everything is background."""
TRAINED = ("contrastive", "predictive", "generative", "hybrid")


def claims(card: EncoderCard, results: Sequence[Results]) -> Iterator[str]:
    """What the card claims against what it states."""
    if card.paradigm in TRAINED and card.pretraining is not None and not card.pretraining:
        yield f"claims the paradigm {card.paradigm!r} and names nothing it was pretrained on: each task counts as clean"
    done = [r for result in results for r in result.records if r.status == "done" and r.unit.budget == FULL]
    high = [r for r in done if r.primary and r.primary.value >= PERFECT]
    if high:
        yield f"{len(high)} of {len(done)} units at all labels score {PERFECT} or more, e.g. {high[0].unit.key}"


def withdrawn_before(card: EncoderCard, roots: Sequence[Path]) -> Iterator[str]:
    """Versions of the encoder that were taken back."""
    for withdrawal in read_withdrawals(roots):
        if withdrawal.encoder == card.name:
            yield f"version {withdrawal.version} was withdrawn: {withdrawal.text}"


def near_predictions(mine: Results, others: Sequence[Results]) -> Iterator[str]:
    """Encoders here whose predictions at all labels are nearly these, though not byte for byte."""
    own = dict(_outputs(mine))
    for other in (o for o in others if o.suite == mine.suite and own):
        near, shared = Counter[str](), 0
        for key, output in _outputs(other):
            if key in own and own[key].shape == output.shape and not np.array_equal(own[key], output):
                shared += 1
                near[other.card.name] += distance(own[key], output) < CLOSE
        if (n := near[other.card.name]) > max(1, SHARE * shared):
            yield f"{mine.suite}: predictions of {n} of {shared} units are nearly those of {other.card.name}"


def distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean difference of probabilities, or share of pixels with another class."""
    return float((a != b).mean() if a.dtype == np.uint8 else np.abs(a - b).mean())


def near_weights(folder: Path, others: Sequence[Path]) -> Iterator[str]:
    """Encoders here whose safetensors hold nearly the same numbers."""
    own = _weights(folder)
    for other in (o for o in others if own):
        theirs = _weights(other)
        if theirs.keys() == own.keys() and all(theirs[n].shape == own[n].shape for n in own):
            size = sum(float(np.square(a).sum()) for a in own.values()) or 1.0
            apart = sum(float(np.square(own[n] - theirs[n]).sum()) for n in own)
            if 0 < (share := (apart / size) ** 0.5) < CLOSE:
                yield f"the weights differ from those of {other.name} by {share:.1g} of their size"


def _outputs(result: Results) -> Iterator[tuple[str, np.ndarray]]:
    """(unit key, predictions on "test") of the done units at all labels that carry them."""
    full: list[Record] = [r for r in result.records if r.status == "done" and r.unit.budget == FULL]
    try:
        for record, outputs in read_outputs(result.folder, full, partial=True):
            if "test" in outputs:
                yield record.unit.key, outputs["test"]
    except UserError:
        return  # what is wrong with a file is told where it is checked


def _weights(folder: Path) -> dict[str, np.ndarray]:
    """Every float tensor of `weights.safetensors`, float64; {} without a readable one."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / "weights.safetensors"
    if not path.is_file():
        return {}
    try:
        with readable(path, "safetensors"):
            return {n: a.astype(np.float64) for n, a in load_file(path).items() if a.dtype.kind == "f"}
    except (UserError, SafetensorError):
        return {}  # what is wrong with it is told where it is loaded
