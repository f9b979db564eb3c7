"""`--watch jsonl:FILE`: one line a finished unit, for any program that can read JSON."""

import json
from collections.abc import Sequence
from pathlib import Path

from bench.encoders.card import EncoderCard
from bench.errors import RunError
from bench.runs.records import Record
from bench.runs.watch import Watch, Watcher


class _Lines(Watcher):
    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - open as long as the run
        except OSError as error:
            raise RunError(f"cannot be written: {error.strerror}", where=path) from None

    def record(self, record: Record) -> None:
        self._write(
            {
                "event": "unit",
                "created": record.made_by.created,
                "unit": record.unit.key,
                "status": record.status,
                "metric": record.metric,
                "value": record.primary.value if record.primary else None,
                "seconds": record.cost.seconds,
            }
        )

    def finish(self, records: Sequence[Record]) -> None:
        self._write({"event": "finished", "units": len(records)})
        self._file.close()

    def _write(self, values: dict) -> None:
        self._file.write(json.dumps(values, sort_keys=True) + "\n")
        self._file.flush()


class JsonLines(Watch):
    """Appends, so that a resumed run goes on in the same file."""

    name = "jsonl"

    def open(self, target: str, card: EncoderCard, suite: str, fingerprint: str) -> Watcher:
        return _Lines(Path(target or "run.jsonl"))


WATCH = JsonLines()
