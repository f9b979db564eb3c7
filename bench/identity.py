"""What was measured, by content: what the encoder computes, what the data are, how it was scored.

A result holds while all three hold. Prose decides nothing: titles, authors, licences, descriptions and caveats are in
none of them. Hashes are cut to 16 hex digits: they tell what changed; the whole ones stand in the record.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import StringConstraints

from bench.data.dataset import TaskData
from bench.data.task import Task
from bench.discover import members
from bench.encoders.card import EncoderCard
from bench.errors import NotForThisEncoderError
from bench.features.probe import Probe, probe
from bench.files import canonical_json, sha256_text
from bench.strict import Grown, Line, Strict

if TYPE_CHECKING:
    from bench.encoders.base import Encoder

Adopt = Callable[[Probe], Probe]
"""Gives, for a probe, the equal one that is kept already, or else the probe itself."""
Part = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{16}$")]
TOWER = "the text tower or its tokenizer changed"
DECIDES = {"kind", "target", "classes", "metric", "modality"}
"""Keys of a task card that decide a score beside the arrays: the metric, and what protocols read."""


class Computed(Strict):
    """What the encoder computes, for global or for dense features."""

    weights: Part | None
    """Of the tensors as loaded; None for hand-made features."""
    source: Part
    preprocessing: Part
    features: Part
    """Pooling and layers."""
    execution: Line
    """Precision, compiled, deterministic."""
    probe: Part
    """Features of the probe images (`bench.features.probe`)."""

    def changes(self, now: Computed, *, executed: bool = True) -> list[str]:
        """What differs, in words; the probe counts where nothing else explains it. executed: also how it is run."""
        now = now if executed else now.model_copy(update={"execution": self.execution})
        words = {
            "weights": "the weights changed", "source": "[source] of the encoder's card changed",
            "preprocessing": "the preprocessing changed", "features": "the pooling or the layer changed",
            "execution": f"computed in {self.execution} before, {now.execution} now",
        }  # fmt: skip
        probe = [] if self.probe == now.probe else ["the encoder computes other features of the same images"]
        return _differing(self, now, words) or probe


class Measured(Strict):
    """What the data are, as read, and what of the task card decides a score."""

    task: Part
    aggregation: Line
    """How the features of a volume's slices become one vector; "-" for flat images."""
    store: Part
    """Name of the prepared copy: where it is equal, the arrays are."""
    splits: Part
    """Which images (by id) are in which split."""
    images: Part
    labels: Part
    groups: Part
    strata: Part

    def changes(self, now: Measured) -> list[str]:
        """What differs, in words."""
        card = card_changes(self, now.model_dump())
        if self.splits != now.splits:
            return [*card, "the splits or their order changed"]
        words = {name: f"the {name} changed" for name in ("images", "labels", "groups", "strata")}
        return [*card, *_differing(self, now, words)]


class Texts(Strict):
    """What zero-shot classification reads beside the features of the images."""

    tower: Part | None
    """Of the text tower and its tokenizer; None where the encoder has none."""
    prompts: Part | None
    """Of the sentences of each class; None where the task has none."""


class Identity(Grown):
    """The identity of one unit, but for the scoring: the record itself names protocol and version of the metrics."""

    later: ClassVar[frozenset[str]] = frozenset({"text"})

    encoder: Computed
    data: Measured
    text: Texts | None = None
    """None for a unit that reads no text."""

    def encoder_changes(self, measure: Measure, task: str, dense: bool, *, executed: bool = True) -> list[str]:
        """What differs of the encoder, in words. dense, executed: as for `Measure.computed` and `Computed.changes`."""
        found = self.encoder.changes(measure.computed(task, dense), executed=executed)
        return found + ([TOWER] if self.text is not None and self.text.tower != measure.tower else [])


class Measure:
    """An encoder's part of identities, each measured once: make a new one when the network may have changed.

    adopt: finds the equal probe that is kept already, so that a run on another processor is the same encoder.
    """

    def __init__(self, encoder: Encoder, adopt: Adopt = lambda found: found) -> None:
        self.encoder, self._adopt = encoder, adopt
        self._probes: dict[bool, Probe] = {}

    def at(self, adopt: Adopt) -> Measure:
        """The same measurements, compared with the probes kept elsewhere."""
        other = copy.copy(self)
        other._adopt = adopt
        return other

    def probe(self, dense: bool) -> Probe:
        """Features of the probe images; empty for features computed elsewhere."""
        if dense not in self._probes:
            self._probes[dense] = Probe({}) if self.encoder.precomputed else probe(self.encoder, dense=dense)
        return self._adopt(self._probes[dense])

    def computed(self, task: str, dense: bool) -> Computed:
        """The encoder's part for units on global (or `dense`) features of a task."""
        weights = self.encoder.weights_for(task) if self.encoder.precomputed else self._weights
        return Computed(
            **card_parts(self.encoder.card, dense),
            weights=None if weights is None else weights[:16],
            execution=self.encoder.execution,
            probe=self.probe(dense).digest,
        )

    @cached_property
    def tower(self) -> str | None:
        """Of the text tower and its tokenizer; None where there is none."""
        try:
            return self.encoder.text_tower().sha256[:16]
        except NotForThisEncoderError:
            return None

    def texts(self, task: Task) -> Texts:
        """What zero-shot classification of a task reads."""
        return Texts(tower=self.tower, prompts=prompts_part(task))

    @cached_property
    def _weights(self) -> str | None:
        return self.encoder.weights_for("")


def card_parts(card: EncoderCard, dense: bool) -> dict[str, str]:
    """The parts that an encoder's card alone decides: source, preprocessing, features."""
    adapter = members("bench.encoders.sources", "SOURCE").get(str(card.source.get("adapter")))
    source = card.source if adapter is None else adapter.parse(card.source, where=card.name).model_dump(mode="json")
    places = frozenset() if adapter is None else adapter.places
    skip = {"shorter_side"} if dense else {"dense_size", "dense_layer"}
    skip |= card.preprocessing.later  # older identities stay
    return {
        "source": part({key: value for key, value in source.items() if key not in places}),
        "preprocessing": part(card.preprocessing.model_dump(mode="json", exclude=skip)),
        "features": part(card.features.model_dump(mode="json", exclude=skip)),
    }


def made_with(identity: Identity | None, card: EncoderCard) -> bool:
    """Whether a unit was computed as this card says; words about people, titles and prose are free to change."""
    if identity is None:
        return False
    held = identity.encoder.model_dump()
    return any(card_parts(card, dense).items() <= held.items() for dense in (False, True))


def task_parts(task: Task) -> dict[str, str]:
    """The parts that a task's card alone decides."""
    decides = task.model_dump(mode="json", include=DECIDES)
    return {"task": part(decides), "aggregation": task.source.get("aggregation") or "-"}


def prompts_part(task: Task) -> str | None:
    """Of the sentences of each class; None where the card has no prompts."""
    return None if task.sentences is None else part(task.sentences)


def measured(data: TaskData) -> Measured:
    """The data's part of identities."""
    columns: dict[str, dict[str, str]] = {name: {} for name in ("images", "labels", "ids", "groups", "strata")}
    for array, digest in data.digests.items():
        column = array.split(".")[1]  # of "train.strata.contrast" strata
        columns["images" if column in ("spacing", "sizes", "intensities") else column][array] = digest
    columns["splits"] = columns.pop("ids")
    parts = {name: part(digests) for name, digests in columns.items()}
    return Measured(**task_parts(data.task), store=data.store[:16] or "0" * 16, **parts)


def card_changes(held: Measured, now: Mapping[str, str]) -> list[str]:
    """What differs of the task's card (`now`: its `task_parts`)."""
    words = {
        "task": "what the task asks for changed",
        "aggregation": f"aggregation {held.aggregation!r} before, {now['aggregation']!r} now",
    }
    return [word for name, word in words.items() if getattr(held, name) != now[name]]


def part(value: Any) -> str:
    """First 16 hex digits of the SHA-256 of a plain value."""
    return sha256_text(canonical_json(value))[:16]


def _differing(held: Strict, now: Strict, words: dict[str, str]) -> list[str]:
    return [word for name, word in words.items() if getattr(held, name) != getattr(now, name)]
