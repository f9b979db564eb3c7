"""Who else watches a run: a JSON-lines log, Weights & Biases, TensorBoard. One module each, with `WATCH`."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from bench.encoders.card import EncoderCard
from bench.runs.records import Record


class Watcher(ABC):
    """Told of every record as it is made, and of all of them at the end. Must never stop a run."""

    @abstractmethod
    def record(self, record: Record) -> None:
        """One unit has finished."""

    @abstractmethod
    def finish(self, records: Sequence[Record]) -> None:
        """The run is over; `records` are all of it, also those made before it was resumed."""


class Watch(ABC):
    """Opens a watcher. `target` is what follows the colon: "jsonl:FILE", "wandb:offline", "tensorboard:FOLDER"."""

    name: ClassVar[str]

    @abstractmethod
    def open(self, target: str, card: EncoderCard, suite: str, fingerprint: str) -> Watcher:
        """Raises RunError when the target is wrong or a library is missing."""
