"""Passes what happens in a run on to whoever watches; a watcher that fails is dropped, never the run."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from bench.discover import members, pick
from bench.encoders.card import EncoderCard
from bench.runs.records import Record
from bench.runs.watch import Watcher

Report = Callable[[str, Record | None], None]
"""Called with a message while work goes on, and with each finished record."""


class Watched:
    """A Report that also tells the watchers."""

    def __init__(self, report: Report, watchers: dict[str, Watcher]) -> None:
        self._report, self._watchers = report, watchers

    def __call__(self, message: str, record: Record | None) -> None:
        self._report(message, record)
        if record is not None:
            self._tell(lambda watcher: watcher.record(record))

    def finish(self, records: list[Record]) -> list[Record]:
        """Tell the watchers that the run is over; returns the records."""
        self._tell(lambda watcher: watcher.finish(records))
        return records

    def _tell(self, call: Callable[[Watcher], None]) -> None:
        for name, watcher in list(self._watchers.items()):
            try:
                call(watcher)
            except Exception as error:
                warnings.warn(f"--watch {name} stopped: {error}", stacklevel=2)
                del self._watchers[name]


@contextmanager
def watching(
    watches: Sequence[str], card: EncoderCard, suite: str, fingerprint: str, report: Report
) -> Iterator[Watched]:
    """Open every "name:target" of `watches`. Raises UserError for an unknown name or a wrong target."""
    known = members("bench.runs.watch", "WATCH")
    named = {text: pick(known, text.partition(":")[0], what="watcher", where="--watch") for text in watches}
    opened = {text: watch.open(text.partition(":")[2], card, suite, fingerprint) for text, watch in named.items()}
    yield Watched(report, opened)
