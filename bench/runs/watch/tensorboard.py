"""`--watch tensorboard:FOLDER`: scores by number of labelled images."""

from collections.abc import Sequence
from typing import Any

from bench.encoders.card import EncoderCard
from bench.errors import RunError
from bench.runs.records import Record
from bench.runs.watch import Watch, Watcher


class _Writer(Watcher):
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def record(self, record: Record) -> None:
        if record.primary:
            u = record.unit
            self._writer.add_scalar(f"{u.task}/{u.protocol}/seed {u.seed}", record.primary.value, record.n_labels)

    def finish(self, records: Sequence[Record]) -> None:
        self._writer.close()


class TensorBoard(Watch):
    """The step of each point is the number of labelled images."""

    name = "tensorboard"

    def open(self, target: str, card: EncoderCard, suite: str, fingerprint: str) -> Watcher:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise RunError("TensorBoard is not installed", fix="pip install 'medssl-bench[tensorboard]'") from None
        return _Writer(SummaryWriter(f"{target or 'tensorboard'}/{card.name}-{suite}"))


WATCH = TensorBoard()
