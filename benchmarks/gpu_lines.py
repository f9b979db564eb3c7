"""Lines of `benchmarks/gpu.py` as they are measured: each by itself, within the time there is, written at once."""

from __future__ import annotations

import gc
import math
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

import torch
from joblib import cpu_count

from bench.files import write_atomic
from bench.markers import refresh, replaced, table

HEAD = ("line", "measured", "bare pass of the same run", "aim")


@dataclass(frozen=True)
class Line:
    """One measurement: what, its value, what the bare pass of the same run gave, and the aim."""

    what: str
    value: str
    bare: str = ""
    aim: str = ""
    failed: bool = False

    @property
    def cells(self) -> tuple[str, ...]:
        """As they stand in the table."""
        return self.what, self.value, self.bare, self.aim


class OutOfTimeError(BaseException):
    """The time is over. No Exception: a run would keep that as the failure of a unit, and go on."""


def measured(what: str, measure: Callable[[], Iterator[Line]], deadline: float) -> Iterator[Line]:
    """The lines of `measure` as they come; one that says why, where it fails or `deadline` (monotonic) passes."""
    if time.monotonic() >= deadline:
        yield Line(what, "not begun: the time was over", failed=True)
        return
    why = ""
    try:
        with _until(deadline):
            yield from measure()
    except OutOfTimeError:
        why = "broken off: the time was over"
    except Exception as error:
        traceback.print_exc()
        why = f"failed: {type(error).__name__}: {(str(error).splitlines() or [''])[0][:200]}"
    if why:  # out here, where the error no longer holds what lay on the device
        yield Line(what, why, failed=True)
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


Measure = tuple[str, Callable[[], Iterator[Line]]]
"""What is measured, and how: by itself, so that what goes wrong leaves the other lines alone."""


@dataclass(frozen=True)
class Sizes:
    """How large everything is."""

    device: str
    images: int
    side: int
    batches: tuple[int, ...]
    scale: float
    steps: int

    @property
    def kind(self) -> str:
        """Of the device, without its number."""
        return torch.device(self.device).type

    @classmethod
    def of(cls, device: str, small: bool) -> Sizes:
        """Full size, or small enough for a rehearsal."""
        return cls(device, 8, 64, (4,), 0.002, 3) if small else cls(device, 4096, 224, (128, 256, 512), 1.0, 40)


def seconds(work: Callable[[], object], device: str) -> float:
    """Seconds of `work`, with all that it set going on the device."""
    wait = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    wait()
    started = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - started


@contextmanager
def _until(deadline: float) -> Iterator[None]:
    """Raises OutOfTimeError inside when the deadline comes."""
    if math.isinf(deadline):
        yield
        return

    def over(number: int, frame: FrameType | None) -> None:
        raise OutOfTimeError

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, max(1e-3, deadline - time.monotonic()))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass
class Page:
    """Prints each line, and writes all so far into `out`: a page with the table "gpu", or a file of its own.

    Raises UserError at once for a page without that table.
    """

    out: Path | None
    device: str
    lines: list[Line] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.out and self.out.is_file():
            replaced(self.out.read_text(encoding="utf-8"), "gpu", "", where=self.out)

    @property
    def failed(self) -> bool:
        """Whether a line could not be measured."""
        return any(line.failed for line in self.lines)

    def add(self, line: Line) -> None:
        """Print and write."""
        self.lines.append(line)
        print(f"| {' | '.join(line.cells)} |", flush=True)
        if not self.out:
            return
        text = f"Measured on {_machine(self.device)}.\n\n" + table(HEAD, [each.cells for each in self.lines])
        if self.out.is_file():
            refresh(self.out, {"gpu": text})
        else:
            write_atomic(self.out, f"<!-- table gpu -->\n{text}\n<!-- end gpu -->\n")


def _machine(device: str) -> str:
    cuda = torch.device(device).type == "cuda"
    on = torch.cuda.get_device_name(device) if cuda else f"a CPU ({torch.get_num_threads()} threads)"
    return f"{on}, {cpu_count()} cores, torch {torch.__version__}, Python {sys.version.split()[0]}"
