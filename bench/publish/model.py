"""What the pages show, as plain typed data: filled from records (`from_records`), drawn by `pages`.

Nothing here computes a score: every number arrives from records, boards and analyses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from bench.analysis.advisor import Answer
from bench.analysis.between import Between
from bench.analysis.claim import Claim
from bench.analysis.verdict import Verdict
from bench.data.task import Task
from bench.encoders.card import EncoderCard
from bench.leaderboard.board import BoardRow, Cell
from bench.leaderboard.volumes import VolumeCosts
from bench.metrics import SCORING
from bench.publish.anchors import Anchor
from bench.publish.snapshots import History
from bench.recipes import RECIPES
from bench.submissions.badge import Verification
from bench.submissions.withdrawn import Withdrawal
from bench.words import Badge, Kind

BOARD_TITLES = {recipe.slug: recipe.name for recipe in RECIPES}
ARCHITECTURE_TITLES = {"vit": "ViT", "cnn": "CNN"}
Contaminated = Literal["yes", "no", "unknown"]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its 95 % interval; NaN ends where none is known."""

    value: float
    low: float = float("nan")
    high: float = float("nan")

    @classmethod
    def of(cls, row: BoardRow) -> Estimate:
        """The score of a row of a board."""
        return cls(*(float("nan") if v is None else v for v in (row.score, row.low, row.high)))


Curve = tuple[tuple[float, Estimate], ...]
"""Score at each share of labels, ascending."""


@dataclass(frozen=True, slots=True)
class RunDetails:
    """Who made the numbers of one encoder, when, with what, and where the exact bytes are."""

    suite: str
    commands: tuple[str, ...]
    created: str
    """UTC time of the first record, ISO 8601."""
    finished: str
    medssl: str
    python: str
    device: str
    platform: str
    precision: str
    suite_fingerprint: str
    card_sha256: str
    weights_sha256: str | None = None
    packages: Mapping[str, str] = field(default_factory=dict)
    records: int = 0
    records_file: str | None = None
    """Address of the records, byte for byte as sent: within the site, or in the repository."""
    records_sha256: str | None = None
    override: bool = False
    """Whether data with another checksum than the card's was accepted."""
    refused: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EncoderView:
    """One encoder with what is known of its trust and its cost."""

    card: EncoderCard
    badge: Badge = "declared"
    verdicts: tuple[Verification, ...] = ()
    """What the verifications behind the badge recomputed, of each suite; none where it is declared."""
    local: bool = False
    """From a run folder of the reader's own, not yet submitted."""
    parameters: int = 0
    flops: int | None = None
    """Of one input: an image, or a volume where the encoder takes volumes."""
    seconds: float | None = None
    """Seconds of feature extraction over the suite's tasks."""
    peak_memory_mb: float | None = None
    evidence: tuple[RunDetails, ...] = ()
    contamination: Mapping[str, tuple[Contaminated, str]] = field(default_factory=dict)
    """Task -> state and the reason for it."""

    @property
    def name(self) -> str:
        """Name on the card."""
        return self.card.name

    @property
    def title(self) -> str:
        """Title on the card with its architecture as people write it: "MAE, VIT, tiny" -> "MAE, ViT, tiny"."""
        spelled = ARCHITECTURE_TITLES.get(self.card.architecture)
        return re.sub(rf"\b{spelled}\b", spelled, self.card.title, flags=re.IGNORECASE) if spelled else self.card.title

    @property
    def reference(self) -> bool:
        """Whether this is a reference row: listed at its score, without a rank."""
        return self.card.paradigm == "reference"


@dataclass(frozen=True)
class UncontaminatedBoard:
    """A board under the contamination switch, rows in the order of the board.

    cells: (rows, columns), NaN where nothing is left. replicates: (r, rows, columns). unranked: why a row has no rank
    then, else "".
    """

    cells: np.ndarray
    replicates: np.ndarray
    unranked: tuple[str, ...]


@dataclass(frozen=True)
class BoardView:
    """One ranked table, best first.

    replicates: float32 (r, rows, columns), bootstrap replicates of the cells in the order of `rows`, NaN where
    unknown. clean: the board without contaminated cells, None where that is the board
    itself. curves: encoder -> score of the board at each share of labels, where the suite has several.
    """

    suite: str
    name: str
    """A key of BOARD_TITLES."""
    columns: tuple[Cell, ...]
    rows: tuple[BoardRow, ...]
    replicates: np.ndarray
    clean: UncontaminatedBoard | None = None
    curves: Mapping[str, Curve] = field(default_factory=dict)
    definition: str = ""
    note: str = ""
    volumes: Mapping[str, VolumeCosts] = field(default_factory=dict)
    """Encoder -> what a volume of the board's tasks costs it; of flat images nothing."""

    @property
    def title(self) -> str:
        """Title of the tab."""
        return BOARD_TITLES[self.name]

    def flops(self, encoder: EncoderView) -> int | None:
        """Forward FLOPs of a case: of an image, or, on a board of volumes, of a volume with all its slices."""
        mine = self.volumes.get(encoder.name)
        return encoder.flops if mine is None else mine.flops

    @cached_property
    def points(self) -> np.ndarray:
        """float64 (rows, columns), the scores in the cells, NaN where a row has none."""
        return cell_points(self.rows, self.columns)


def cell_points(rows: Sequence[BoardRow], columns: Sequence[Cell]) -> np.ndarray:
    """float64 (rows, columns), the scores of `rows` in the cells `columns`, NaN where a row has none."""
    found = [[r.cells[c.key].value if c.key in r.cells else np.nan for c in columns] for r in rows]
    return np.array(found, float).reshape(len(rows), len(columns))


@dataclass(frozen=True, slots=True)
class ExamplePicture:
    """A picture that may be shown: address within the site, and what it shows."""

    image: str
    caption: str
    outline: str | None = None
    """Address of the outline of the true mask, for a dense task."""


@dataclass(frozen=True, slots=True)
class CaseImage:
    """A test image that may be shown. group: its size of lesion, or its class. truth: in words, of a global task."""

    image: str
    id: str
    group: str
    truth: str = ""
    truth_outline: str | None = None


@dataclass(frozen=True, slots=True)
class EncoderAnswers:
    """What one encoder says of the images shown, and how it does on all test images.

    values: Dice (dense) or the probability given to the truth (global) of each image shown. drawn: address of a
    picture of the predicted mask against the true one, None where the mask is not at hand. failed: of `of` test
    images, those with Dice 0, or with a probability under one half for the truth. quartiles: of the values of all.
    """

    values: tuple[float, ...]
    said: tuple[str, ...]
    drawn: tuple[str | None, ...]
    failed: int
    of: int
    quartiles: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Cases:
    """Test images of a task with what encoders say of them. how: how they were chosen."""

    how: str
    images: tuple[CaseImage, ...]
    answers: Mapping[str, EncoderAnswers]


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task with its anchors and, where the licence allows, some of its images."""

    task: Task
    sizes: Mapping[str, int] = field(default_factory=dict)
    anchors: tuple[Anchor, ...] = ()
    """What scores are to be read against: chance, answers without looking, the ceiling of the patch grid."""
    samples: tuple[ExamplePicture, ...] = ()
    cases: Cases | None = None
    volumes: Mapping[str, VolumeCosts] = field(default_factory=dict)
    """Encoder -> what a volume costs it; of flat images nothing."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Scores with all labels: points (e, t) and replicates (e, t, r) on shared resamples, NaN where unknown."""

    encoders: tuple[str, ...]
    tasks: tuple[str, ...]
    points: np.ndarray
    replicates: np.ndarray


@dataclass(frozen=True, slots=True)
class SuiteView:
    """A suite with its boards and its results.

    results: one row per encoder x task x protocol x budget x split x metric, the mean over seeds, with the columns
        of `bench.publish.export.RESULT_COLUMNS`.
    pairs: what the pages that compare encoders need.
    """

    name: str
    title: str
    description: str
    synthetic: bool
    fingerprint: str
    tasks: Mapping[str, TaskView]
    boards: tuple[BoardView, ...]
    results: pd.DataFrame
    main: Mapping[Kind, str] = field(default_factory=dict)
    """Kind -> the protocol whose full-label result stands for a task ("global" -> "linear-v1")."""
    pairs: Pairs | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Encoder -> why its results on this suite are not shown."""
    diagnostics: pd.DataFrame | None = None
    """Label-free diagnostics behind some claims, one row an encoder (bench.analysis.diagnostics)."""
    fares: str = ""
    """How the advice does on tasks it has not seen, beside always taking the overall best."""
    scoring: int = SCORING
    """Version of the set of metrics that scored its results."""
    between: Between | None = None
    """Of synthetic images: whether they order encoders as the real images of another suite do."""


@dataclass(frozen=True, slots=True)
class ClaimView:
    """A claim of the ledger with its verdict on one suite's results."""

    claim: Claim
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class ProtocolView:
    """A protocol as its page shows it."""

    name: str
    title: str
    kind: str
    board: str
    params: Mapping[str, object]
    sha256: str
    text: str = ""


@dataclass(frozen=True)
class SiteView:
    """Everything the site shows."""

    version: str
    fingerprint: str
    """SHA-256 over every record and diagnostic shown and the aggregation; the version of the data."""
    date: str
    """Date of the newest record, ISO 8601: the site has no other clock."""
    suites: tuple[SuiteView, ...]
    encoders: Mapping[str, EncoderView]
    protocols: Sequence[ProtocolView] = ()
    claims: Mapping[str, Sequence[ClaimView]] = field(default_factory=dict)
    """Suite -> every claim judged on its results."""
    advice: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    """Suite -> the advisor's answer to every question its page can ask."""
    history: History = field(default_factory=History)
    """Earlier versions of the boards, oldest first."""
    base: str = ""
    """Address the site is served from, with its last slash; empty when it is not known."""
    repository: str = ""
    """Address of the source repository, without a last slash; empty when it is not known."""
    withdrawn: Sequence[Withdrawal] = ()
    """Results that were taken back, and why; newest first."""
    demo: bool = False
    """Made-up numbers (load tests): every page says so."""
