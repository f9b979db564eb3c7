"""Alarms for the reviewer: predictions and weights that are nearly another submission's, scores and claims that stand
against the field. None is a proof; each comes with its evidence."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from bench.budget import FULL
from bench.encoders.card import EncoderCard, read_card
from bench.encoders.cures import places
from bench.encoders.source import Place
from bench.encoders.statedict import state_at
from bench.encoders.transformers_config import WEIGHTS
from bench.encoders.weights import inside, read_state
from bench.errors import UserError
from bench.runs.journal import read_outputs
from bench.runs.records import Record
from bench.submissions.folder import Results
from bench.submissions.withdrawn import read_withdrawals

PERFECT = 0.995
"""A primary metric from which with all labels a person should look."""
CLOSE = 1e-3
"""Mean difference of predictions below which they are nearly the same."""
NEAR = 0.03
"""Relative difference of weights below which one network was made from the other.

Of the networks shipped here, trained briefly from one draw of weights, the nearest two differ by 0.058."""
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


def same_title(card: EncoderCard, others: Sequence[Results]) -> Iterator[str]:
    """Encoders here under another name whose title reads the same: case, spaces and letters of other scripts apart."""
    mine = _read_as(card.title)
    for name in sorted({o.card.name for o in others if o.card.name != card.name and _read_as(o.card.title) == mine}):
        yield f"its title reads like that of {name}"


def _read_as(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title.casefold()).translate(LOOKALIKES)
    return "".join(c for c in plain if c.isalnum())


LOOKALIKES = str.maketrans("аеорсухкмтіјѕοαρν", "aeopcyxkmtijsoapv")
"""Cyrillic and Greek letters, and the Latin ones that they look like."""


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
    """Encoders here whose weights are nearly the same numbers, whatever their files and tensors are called."""
    own = _weights(folder)
    for other in (o for o in others if own):
        theirs = _weights(other)
        if [a.shape for a in theirs] == [a.shape for a in own]:
            size = sum(float(np.square(a).sum()) for a in own) or 1.0
            apart = sum(float(np.square(a - b).sum()) for a, b in zip(own, theirs, strict=True))
            if 0 < (share := (apart / size) ** 0.5) < NEAR:
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


def _weights(folder: Path) -> list[np.ndarray]:
    """Every matrix and kernel of the weights on the card, float64, by shape, then name; [] without a readable file.

    Not what norms hold: it is near 1 in every network.
    """
    try:
        source = read_card(folder).source
        name = source.get("weights", WEIGHTS if "folder" in source else None)
        if name is None:
            return []
        path = inside(f"{source.get('folder', '.')}/{name}", Place(folder), where=folder.name)
        held = read_state(path, where=folder.name)
        place = max(places(held), key=lambda found: found[1])[0]
        state = state_at(held, place or None, where=folder.name)
    except (UserError, ValueError):
        return []  # what is wrong with it is told where it is loaded
    numbers = ((tuple(v.shape), n, v) for n, v in state.items() if v.is_floating_point() and v.ndim > 1)
    return [v.double().numpy() for _, _, v in sorted(numbers, key=lambda found: found[:2])]
