"""The features of a task's splits: encoded, or read from the cache, when first needed."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.data.dataset import TaskData
from bench.data.task import Task
from bench.encoders.base import Encoder
from bench.encoders.features import Features
from bench.features.cache import FeatureCache, feature_key
from bench.features.extract import extract
from bench.features.looks import looked_at
from bench.features.probe import Probe
from bench.features.resident import Resident
from bench.identity import Measure, Measured

TELL_SECONDS = 2.0
"""How often it is told how many images are encoded."""


class SplitFeatures:
    """Of one encoder and task."""

    def __init__(
        self,
        encoder: Encoder,
        task: Task,
        measure: Measure,
        cache: FeatureCache | None,
        batch_size: int | None,
        progress: Callable[[str], None],
        resident: Resident,
    ) -> None:
        self.encoder, self.task, self.measure, self.cache = encoder, task, measure, cache
        self.batch_size, self.progress, self.resident = batch_size, progress, resident
        self.held: dict[tuple[str, bool], Features] = {}
        """Features by split, and whether they have a grid."""
        self.seconds = 0.0
        """Of encoding and reading so far."""

    def of(self, data: TaskData, measured: Measured, name: str, dense: bool) -> Features:
        """Of the split `name`; dense: with a grid. measured: `bench.identity.measured` of the data."""
        if (name, dense) not in self.held:
            self.held[name, dense] = self._made(data, measured, name, dense)
        return self.held[name, dense]

    def _made(self, data: TaskData, measured: Measured, name: str, dense: bool) -> Features:
        split = data.splits[name]
        if self.encoder.precomputed:
            return self.encoder.lookup(self.task.name, name, split.ids)
        looked_at(self.encoder, split)
        self.progress(f"{self.task.name}: encoding {len(split)} {name} images")
        started = last = time.perf_counter()
        encoded = 0

        def count(images: int) -> None:
            nonlocal encoded, last
            encoded += images
            if time.perf_counter() - last >= TELL_SECONDS:
                last = time.perf_counter()
                self.progress(f"{self.task.name}: encoding {encoded:,} of {len(split):,} {name} images")

        def make() -> Features:
            return extract(
                self.encoder,
                looked_at(self.encoder, split),
                dense=dense,
                batch_size=self.batch_size,
                aggregation=self.task.aggregation,
                progress=count,
                spacing=split.spacing,
                sizes=split.sizes,
                resident=self.resident,
            )

        features = self.cache.get(*self._address(data, measured, name, dense), make) if self.cache else make()
        self.seconds += time.perf_counter() - started
        return features

    def _address(self, data: TaskData, measured: Measured, name: str, dense: bool) -> tuple[str, Probe]:
        """Where the features of a split are kept."""
        card = self.encoder.card.preprocessing
        images = data.digests[f"{name}.{'images' if card.input is None else 'intensities'}"]
        if card.spacing is not None:
            images += data.digests.get(f"{name}.spacing", "")
        images += data.digests.get(f"{name}.sizes", "")
        computed = self.measure.computed(self.task.name, dense)
        return feature_key(computed, self.encoder.layout, images, measured.aggregation, dense), self.measure.probe(
            dense
        )
