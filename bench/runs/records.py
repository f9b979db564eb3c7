"""The record: the outcome of one unit, with its provenance, as one JSON line."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, StringConstraints

from bench.budget import Budget
from bench.errors import SubmissionError
from bench.features.volume_cost import VolumeCost
from bench.files import canonical_json, sealed, unsealed
from bench.identity import Identity
from bench.metrics import Scoring
from bench.metrics.interval import Interval
from bench.strict import Grown, Line, Name, Sha256, Strict, made_plain, parse_json

MAX_RECORD_BYTES = 256 * 1024
EARLIEST, LATEST = 2000, 2100
"""Years a record may be of. One of a day that is not over yet makes no site newer than today (bench.publish)."""

Chosen = Annotated[float, Field(ge=-1e12, le=1e12)] | Annotated[int, Field(ge=-(10**12), le=10**12)]
Told = Annotated[str, StringConstraints(max_length=4000), AfterValidator(made_plain)]
"""A message of a program, or a command, as it came, less what cannot be seen."""


def utc(text: str) -> str:
    """`text`, where it is a date and time as ISO 8601 has it, between EARLIEST and LATEST. Raises ValueError."""
    if not EARLIEST <= datetime.fromisoformat(text).year <= LATEST:
        raise ValueError(f"is not between {EARLIEST} and {LATEST}")
    return text


class Unit(Strict):
    """task x protocol x budget x seed: the smallest thing that runs, is journalled, is retried."""

    task: Name
    protocol: Name
    budget: Budget
    seed: Annotated[int, Field(ge=0, le=10**6)]

    @property
    def key(self) -> str:
        """Unique within a run and safe as a file name, e.g. "breastus.linear-v1.10pct.3"."""
        return f"{self.task}.{self.protocol}.{self.budget.slug}.{self.seed}"


class Cost(Grown):
    """What the unit cost. Seconds and memory are the only parts of a record that differ between equal runs."""

    later: ClassVar[frozenset[str]] = frozenset({"volume", "features_mb"})

    seconds: Annotated[dict[Line, Annotated[float, Field(ge=0, le=1e8)]], Field(max_length=20)] = {}
    """By stage: "extract", "solve", "score". Extraction is shared by the units of one encoder x task; of units that are
    solved side by side, the first has the seconds of all."""
    peak_memory_mb: Annotated[float, Field(ge=0, le=1e8)] | None = None
    """MiB the process held at most while the task ran so far, mapped files not counted (`bench.memory`). In
    earlier records the highest resident size since the process began, these included."""
    parameters: Annotated[int, Field(ge=0, le=10**13)] = 0
    flops_per_image: Annotated[int, Field(ge=0, le=10**18)] | None = None
    """Forward multiply-adds times two, at the encoder's input size, of an image; of a volume where the encoder takes
    volumes whole. None where not countable."""
    volume: VolumeCost | None = None
    """What one volume takes; None for flat images."""
    features_mb: Annotated[dict[Line, Annotated[float, Field(ge=0, le=1e8)]], Field(max_length=2)] = {}
    """Features of the task as the unit ran: what lay on the GPU ("device"), and what found no room there ("host")."""

    @property
    def flops(self) -> int | None:
        """Of a case: an image, or a volume with all its slices."""
        if self.flops_per_image is None or self.volume is None:
            return self.flops_per_image
        return self.flops_per_image * self.volume.inputs


class Provenance(Strict):
    """Who made the record, with what, when."""

    command: Told
    created: Annotated[Line, AfterValidator(utc)]
    """UTC time, ISO 8601."""
    medssl: Line
    python: Line
    packages: Annotated[dict[Line, Line], Field(max_length=200)]
    platform: Line
    device: Line
    precision: Line
    threads: Annotated[int, Field(ge=0, le=10**5)]
    suite: Line
    suite_fingerprint: Sha256
    checksum_override: bool = False
    """True when data with another checksum than the card's was accepted by an explicit flag."""


Status = Literal["done", "refused", "failed"]


class Record(Grown):
    """The outcome of a unit. A missing value is None, never NaN; a refused or failed unit is a record too."""

    later: ClassVar[frozenset[str]] = frozenset({"leakage"})

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    status: Status
    reason: Told = ""
    encoder: Name
    encoder_version: Line
    card_sha256: Sha256
    weights_sha256: Sha256 | None = None
    unit: Unit
    data_sha256: Sha256
    protocol_sha256: Sha256
    scoring: Scoring = 1
    """Version of the set of metrics (`bench.metrics.SCORING`) that scored it; the first records do not state theirs."""
    n_labels: Annotated[int, Field(ge=0, le=10**10)]
    """Labelled training images used."""
    metric: Line
    """Name of the primary metric."""
    metrics: Annotated[dict[Line, Annotated[dict[Line, Interval], Field(max_length=500)]], Field(max_length=100)] = {}
    """Test split name -> metric name -> value with interval."""
    chosen: Annotated[dict[Line, Chosen | Line], Field(max_length=50)] = {}
    warnings: Annotated[list[Told], Field(max_length=200)] = []
    predictions: Line | None = None
    """Relative path of the npz with the predictions."""
    predictions_sha256: Sha256 | None = None
    cost: Cost = Cost()
    identity: Identity | None = None
    """What was measured, by content; None in a record of an earlier version."""
    leakage: dict[Line, Interval] = {}
    """What the features know of the site (`bench.runs.leakage`), where the task names sites."""
    made_by: Provenance

    @property
    def primary(self) -> Interval | None:
        """The primary metric on "test", or None when the unit was not done."""
        return self.metrics.get("test", {}).get(self.metric)

    def to_json(self) -> str:
        """One line, full precision, sorted keys: same record, same bytes. `seal` is a hash of all the rest."""
        return canonical_json(sealed(self.model_dump(mode="json", by_alias=True)))

    @classmethod
    def from_json(cls, text: str, *, where: object = "record") -> Self:
        """Inverse of `to_json`. Raises SubmissionError for oversized or malformed JSON and for a broken seal, CardError
        for the schema."""
        if len(text) > MAX_RECORD_BYTES:
            raise SubmissionError(f"a record of {len(text):,} characters is over the limit", where=where)
        values = unsealed(parse_json(text, where=where), where=where)  # earlier versions wrote no seal
        return cls.parse(values, where=where)

    def without_times(self) -> dict[str, Any]:
        """The record as plain data less seconds, memory and date: equal between equal runs."""
        values = self.model_dump(mode="json", by_alias=True)
        values["cost"].pop("seconds")
        values["cost"].pop("peak_memory_mb")
        values["cost"].pop("volume", None)
        values["cost"].pop("features_mb", None)
        values["made_by"].pop("created")
        return values
