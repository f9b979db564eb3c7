"""log.jsonl of a run: one row a step. Numbers that lie on a device are fetched together, now and then."""

import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.errors import RunError
from bench.files import canonical_json, write_atomic

Row = dict[str, Any]
Listener = Callable[[Row], None]
"""Is handed each row of the log as it is written."""


class Log:
    """Rows up to the checkpoint are kept, later ones are written again.

    done: steps of the checkpoint. rate_at: learning rate of a step, from 0.
    """

    def __init__(
        self, path: Path, done: int, listen: Listener | None, *, rate_at: Callable[[int], float], objective: str
    ) -> None:
        self.path, self.listen, self.rate_at, self.objective = path, listen, rate_at, objective
        self._waiting: list[tuple[int, dict[str, Tensor]]] = []
        lines = path.read_text().splitlines() if path.exists() and done else []
        self.rows: list[Row] = [row for row in map(json.loads, lines) if row["step"] <= done]
        for row in self.rows:
            self._tell(row)
        self._since = time.perf_counter()

    def later(self, step: int, values: dict[str, Tensor]) -> None:
        """Keep the numbers of a step, scalars on some device, until they are fetched."""
        self._waiting.append((step, values))

    def fetch(self, further: Callable[[], Row]) -> None:
        """Write the rows that wait, with one transfer; `further`, asked after it, belongs to the last.

        "seconds" is their mean, `further` apart. Raises RunError for a loss that is not finite.
        """
        flat = torch.stack([value.float() for _, values in self._waiting for value in values.values()]).tolist()
        numbers = iter(flat)
        seconds = (time.perf_counter() - self._since) / len(self._waiting)
        for step, values in self._waiting:
            row = dict(zip(values, numbers, strict=False))
            if not math.isfinite(row["loss"]):
                what = f"the loss of {self.objective!r} is {row['loss']} at step {step - 1}"
                raise RunError(what, fix="lower the learning rate")
            last = further() if step == self._waiting[-1][0] else {}
            self.write({"step": step, **row, "rate": self.rate_at(step - 1), "seconds": seconds, **last})
        self._waiting.clear()
        self._since = time.perf_counter()

    def write(self, row: Row) -> None:
        """Write one row now."""
        self.rows.append(row)
        self._tell(row)

    def flush(self) -> None:
        """Write the whole log, atomically, before the checkpoint that refers to it."""
        write_atomic(self.path, "".join(canonical_json(row) + "\n" for row in self.rows))

    def _tell(self, row: Row) -> None:
        if self.listen:
            self.listen(row)
