"""One encoder x task: features once, then every protocol, budget and seed on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from bench.checks.cost import flops_per_image
from bench.data.budgets import Subset, subsets, why_invalid
from bench.data.dataset import TaskData
from bench.data.load import load_task
from bench.data.task import Task
from bench.encoders.base import Encoder
from bench.encoders.features import Features
from bench.encoders.volumes import lost
from bench.errors import NotForThisEncoderError, UserError
from bench.features.cache import FeatureCache
from bench.features.looks import looked_at
from bench.features.resident import Resident
from bench.features.volume_cost import VolumeCost, volume_cost
from bench.files import sha256_arrays
from bench.identity import Identity, Measure, Measured, measured
from bench.memory import PeakMemory
from bench.metrics import SCORING
from bench.metrics.calibration import chosen_temperature
from bench.metrics.interval import Interval
from bench.metrics.products import Weights
from bench.metrics.resample import resample_counts
from bench.metrics.scored import score
from bench.metrics.truth import Truth
from bench.protocols.base import Labelled, Prediction, Problem, Protocol, UnitSizes, Unlabelled, base_split
from bench.runs.leakage import Marked, leakage
from bench.runs.provenance import provenance
from bench.runs.records import Cost, Record, Status, Unit
from bench.runs.split_features import SplitFeatures

DATA = "data: "
"""How warnings begin that are about the data and not about a protocol."""
FLAT = "the encoder gives every image the same features: nothing can be told from them"
Result = tuple[Record, dict[str, np.ndarray]]


@dataclass(frozen=True)
class Setting:
    """What is the same for every task of a run."""

    command: str
    suite: str
    fingerprint: str
    scoring: int = SCORING
    accept_checksum: bool = False
    precision: str = "fp32"
    batch_size: int | None = None
    cache: FeatureCache | None = None
    measure: Measure | None = None
    """The encoder's part of each record's identity; measured anew for the task where there is none."""
    progress: Callable[[str], None] = lambda message: None


def score_task(
    encoder: Encoder,
    task: Task,
    folder: Path | None,
    units: list[Unit],
    protocols: Mapping[str, Protocol],
    done: Collection[str],
    setting: Setting,
) -> Iterator[Result]:
    """(record, predictions by test split) of every unit not in `done`, protocol by protocol.

    A unit that does not apply gives a refused record with the reason; one whose protocol raises gives a failed
    record. EncoderError and DataError end the task: they are the user's to mend.
    """
    pending = [unit for unit in units if unit.key not in done]
    if not pending:
        return
    work = Work(encoder, task, folder, setting)
    with work.memory.watched():
        for name in dict.fromkeys(unit.protocol for unit in pending):
            yield from work.run(protocols[name], [unit for unit in pending if unit.protocol == name])


class Work:
    """The data, features and shared resamples of one encoder x task, each made when first needed."""

    def __init__(self, encoder: Encoder, task: Task, folder: Path | None, setting: Setting) -> None:
        self.encoder, self.task, self.folder, self.setting = encoder, task, folder, setting
        self.measure = setting.measure or Measure(encoder)
        self.memory = PeakMemory()
        self.resident = Resident.of(encoder.device)
        self.features = SplitFeatures(
            encoder, task, self.measure, setting.cache, setting.batch_size, setting.progress, self.resident
        )
        self.together = encoder.device.type == "cuda"

    @cached_property
    def data(self) -> TaskData:
        self.setting.progress(f"{self.task.name}: reading images")
        return load_task(self.task, folder=self.folder, accept_checksum=self.setting.accept_checksum)

    @cached_property
    def _told(self) -> list[str]:
        """What is known about the data, as warnings of every record."""
        volumes, card = self.data.train, self.encoder.card.preprocessing
        unseen = None if card.depth is None else lost(volumes.images.shape[1:-1], card, volumes.spacing)
        return [f"{DATA}{note}" for note in (*self.data.notes, *([unseen] if unseen else []))]

    def _flat(self, protocol: Protocol) -> list[str]:
        return [FLAT] if self._features("train", protocol.reads_grid).is_flat else []

    @cached_property
    def measured(self) -> Measured:
        """The data's part of each record's identity."""
        return measured(self.data)

    @cached_property
    def counts(self) -> Mapping[str, Weights]:
        """Test split -> resample counts (B, n), the same for every encoder, where the encoder computes."""
        drawn = {n: resample_counts(self.task.name, n, s.ids, s.groups) for n, s in self.data.tests.items()}
        if self.encoder.device.type != "cuda":
            return drawn
        return {name: torch.from_numpy(counts.T).to(self.encoder.device).T for name, counts in drawn.items()}

    @cached_property
    def truths(self) -> Mapping[str, Truth]:
        """Test split -> what metrics find in its labels, the same for every unit."""
        return {name: Truth(test.labels) for name, test in self.data.tests.items()}

    def run(self, protocol: Protocol, units: list[Unit]) -> Iterator[Result]:
        ready: list[tuple[Unit, Subset]] = []
        for unit in units:
            drawn = self.drawn(protocol, unit)
            if isinstance(drawn, str):
                yield self._without_result(protocol, unit, "refused", drawn)
            else:
                ready.append((unit, drawn))
        if ready:
            yield from self._predict(protocol, ready)

    def drawn(self, protocol: Protocol, unit: Unit) -> Subset | str:
        """The rows of a unit, or why the protocol or the budget does not apply to this task."""
        if reason := protocol.refuses(self.task) or protocol.refuses_budget(unit.budget):
            return reason
        train = self.data.train
        try:
            drawn = subsets(self.task, train.labels, train.groups, unit.budget, [unit.seed])[0]
        except UserError as error:
            return error.what
        return why_invalid(self.task, train.labels, drawn) or drawn

    def _predict(self, protocol: Protocol, ready: list[tuple[Unit, Subset]]) -> Iterator[Result]:
        status: Literal["refused", "failed"] = "failed"
        finished, reason, again = 0, "", False
        try:
            problem = self._problem(protocol, [subset for _, subset in ready])
            self.setting.progress(f"{self.task.name}: {protocol.name}")
            started = time.perf_counter()
            for prediction in protocol.predict(problem, [subset for _, subset in ready]):
                seconds = time.perf_counter() - started
                yield self._scored(protocol, ready[finished][0], prediction, seconds)
                finished += 1
                started = time.perf_counter()
        except NotForThisEncoderError as error:
            reason, status = f"{error.what} ({error.fix})" if error.fix else error.what, "refused"
        except UserError:
            raise
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"[:1000]
            again = isinstance(error, torch.OutOfMemoryError) and self.resident.spill()
        if again:  # out here, where nothing of the solver that failed is held any more
            yield from self._predict(protocol, ready[finished:])
        elif reason:
            for unit, _ in ready[finished:]:
                yield self._without_result(protocol, unit, status, reason)

    def _problem(self, protocol: Protocol, subsets: list[Subset]) -> Problem:
        dense = protocol.reads_grid
        mask_size = self.data.train.labels.shape[1:] if self.task.kind == "dense" else None
        problem = Problem(
            self.task,
            self._labelled("train", dense),
            self._labelled("val", dense),
            {n: Unlabelled(self._features(n, dense), s.images, s.spacing, s.sizes) for n, s in self.data.tests.items()},
            mask_size,
            self.encoder,
            self.resident,
            self.together,
        )
        kept = (array for held in self.features.held.values() for array in held.arrays)
        together = len(subsets) if self.together else 1
        sizes = (self._sizes(protocol, problem, subset, together) for subset in subsets)
        self.resident.reserve(max(map(protocol.memory_bytes, sizes)), kept)
        return problem

    def _sizes(self, protocol: Protocol, problem: Problem, subset: Subset, together: int) -> UnitSizes:
        val = len(problem.val.labels) if subset.full else 0
        tests, pixels = tuple(map(len, self.data.tests.values())), self.data.train.images[0].nbytes
        shape = problem.train.features.parts(protocol.reads_grid)
        return UnitSizes(self.task, len(subset.rows), val, tests, pixels, *shape, together)

    def _labelled(self, name: str, dense: bool) -> Labelled:
        split = self.data.splits[name]
        return Labelled(
            self._features(name, dense), split.labels, split.groups, split.images, split.sizes, split.spacing
        )

    def _features(self, name: str, dense: bool) -> Features:
        return self.features.of(self.data, self.measured, name, dense)

    def _scored(self, protocol: Protocol, unit: Unit, prediction: Prediction, solve_seconds: float) -> Result:
        started = time.perf_counter()
        outputs = dict(prediction.outputs)
        temperature = chosen_temperature(prediction.chosen)
        metrics = {name: self._metrics(output, base_split(name), temperature) for name, output in outputs.items()}
        if self.task.metric not in metrics.get("test", {self.task.metric: None}):
            reason = f"{self.task.metric} is not defined on these test images"
            return self._without_result(protocol, unit, "refused", reason)
        seconds = {
            "extract": self.features.seconds,
            "solve": solve_seconds,
            "score": time.perf_counter() - started,
        }
        record = self._record(protocol, unit, "done", self._cost(seconds), metrics=metrics, prediction=prediction)
        return record, outputs

    @cached_property
    def _leakage(self) -> dict[str, Interval]:
        """What the features of the training images know of their site."""
        train = self.data.train
        if "site" not in train.strata:
            return {}
        labels = train.labels if train.labels.ndim == 1 and train.labels.dtype.kind == "i" else None
        return leakage(
            self.task.name,
            Marked(self._features("train", False).vectors, train.strata["site"], train.groups, train.ids, labels),
        )

    def _metrics(self, output: np.ndarray, split: str, temperature: float | None) -> dict[str, Interval]:
        test, resamples = self.data.tests[split], self.counts[split]
        scoring, truth = self.setting.scoring, self.truths[split]
        return score(
            self.task, output, test, resamples=resamples, temperature=temperature, scoring=scoring, truth=truth
        )

    def _without_result(self, protocol: Protocol, unit: Unit, status: Status, reason: str) -> Result:
        return self._record(protocol, unit, status, self._cost({}), reason=reason), {}

    def _cost(self, seconds: dict[str, float]) -> Cost:
        return Cost(
            seconds=seconds,
            peak_memory_mb=self.memory.look(),
            parameters=self._parameters,
            flops_per_image=self._flops,
            volume=self._volume if seconds else None,
            features_mb=self.resident.megabytes if seconds else {},
        )

    @cached_property
    def _volume(self) -> VolumeCost | None:
        """What encoding one test volume takes, measured apart: features may have come from the cache."""
        test = self.data.tests["test"]
        if test.images.ndim != 5 or test.sizes is not None or self.encoder.precomputed:
            return None
        spacing = None if test.spacing is None else test.spacing[:1]
        how, dense = self.task.aggregation, self.task.kind == "dense"
        return volume_cost(
            self.encoder, looked_at(self.encoder, test)[:1], aggregation=how, spacing=spacing, dense=dense
        )

    @cached_property
    def _parameters(self) -> int:
        return self.encoder.parameters

    @cached_property
    def _flops(self) -> int | None:
        return flops_per_image(self.encoder)

    def _record(
        self,
        protocol: Protocol,
        unit: Unit,
        status: Status,
        cost: Cost,
        *,
        reason: str = "",
        metrics: Mapping[str, dict[str, Interval]] | None = None,
        prediction: Prediction | None = None,
    ) -> Record:
        card, setting = self.encoder.card, self.setting
        return Record(
            status=status,
            reason=reason,
            encoder=card.name,
            encoder_version=card.version,
            card_sha256=card.sha256,
            weights_sha256=self.encoder.weights_sha256,
            unit=unit,
            data_sha256=self.data.sha256,
            protocol_sha256=protocol.sha256_on(self.task),
            scoring=setting.scoring,
            metric=self.task.metric,
            identity=Identity(
                encoder=self.measure.computed(self.task.name, protocol.reads_grid),
                data=self.measured,
                text=self.measure.texts(self.task) if protocol.reads_text else None,
            ),
            made_by=provenance(
                command=setting.command,
                suite=setting.suite,
                fingerprint=setting.fingerprint,
                device=self.encoder.device,
                precision=setting.precision,
                checksum_override=self.data.checksum_override,
            ),
            cost=cost,
            n_labels=0 if prediction is None else len(prediction.subset.rows),
            metrics=dict(metrics or {}),
            chosen={} if prediction is None else dict(prediction.chosen),
            warnings=[] if prediction is None else [*self._told, *self._flat(protocol), *prediction.warnings],
            predictions=None if prediction is None else f"predictions/{self.task.name}.npz",
            predictions_sha256=None if prediction is None else sha256_arrays(prediction.outputs),
            leakage={} if prediction is None or protocol.reads_grid else self._leakage,
        )
