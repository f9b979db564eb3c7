"""One small run, and everything needed to break it: write points, children that can be killed, a strict referee."""

from __future__ import annotations

import json
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch

from bench.errors import UserError
from bench.files import canonical_json
from bench.runs.journal import Journal
from bench.runs.options import RunSpec
from bench.runs.records import Record
from bench.runs.run import run
from benchmarks.hostile.base import write_tasks

SUITE = """schema = 1
name = "faults"
title = "Fault injection"
tasks = ["where", "which"]
protocols = [
    { name = "knn-v1", budgets = ["10%", "100%"], seeds = 3 },
    { name = "linear-v1", budgets = ["100%"], seeds = 1 },
    { name = "dense-retrieval-v1", budgets = ["n=4"], seeds = 2 },
]
"""
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "os.truncate", "os.link", "os.symlink"}
"""Audit events of the interpreter that change the file system; `open` for writing and fsync are counted beside them."""
REMOVALS = {"os.remove", "os.rmdir"}
NEEDS_SPACE = {"open", "os.mkdir", "fsync"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
NOT_ANSWERED, CRASHED = 2, 70
"""Exit codes of a child: one message for the user, and a traceback (which is always a fault of ours)."""


@dataclass(frozen=True)
class Place:
    """Where one trial writes: results, cache, and what the child reports (outside both)."""

    root: Path

    @property
    def out(self) -> Path:
        return self.root / "disk" / "out"

    @property
    def home(self) -> Path:
        return self.root / "disk" / "home"

    @property
    def made(self) -> Path:
        return self.root / "made"

    @property
    def message(self) -> Path:
        return self.root / "message"


@dataclass(frozen=True)
class Arena:
    """The run that every trial repeats."""

    folder: Path
    spec: RunSpec

    @classmethod
    def build(cls, folder: Path) -> Arena:
        """Write the tasks and suite below `folder`, and run them once."""
        tasks = write_tasks(folder / "tasks", dark=150, bright=190)
        suite = folder / "faults.toml"
        suite.write_text(SUITE)
        torch.set_num_threads(1)
        arena = cls(
            folder, RunSpec.of("raw-pixels", str(suite), str(tasks), threads=1, command="medssl run raw-pixels")
        )
        run(arena.spec.but(out=str(folder / "warm")))  # so that a forked child has nothing left to import
        return arena

    def place(self, name: str) -> Place:
        """A fresh place for a trial."""
        place = Place(self.folder / name)
        (place.root / "disk").mkdir(parents=True)
        return place

    def child(self, place: Place, begin: Callable[[], None] = lambda: None, **changes: object) -> int:
        """Fork a process that calls `begin` and runs; returns its id. It has its own cache and says what it made."""
        place.made.write_text("")
        pid = os.fork()
        if pid:
            return pid
        os.environ["MEDSSL_HOME"] = str(place.home)
        os._exit(self._run(place, begin, changes))

    def _run(self, place: Place, begin: Callable[[], None], changes: dict[str, object]) -> int:
        def report(_: str, record: Record | None) -> None:
            if record is not None:
                with open(place.made, "a") as file:
                    file.write(record.unit.key + "\n")

        try:
            begin()
            run(self.spec.but(out=str(place.out), **changes), report)
        except UserError as error:
            place.message.write_text(str(error))
            return NOT_ANSWERED
        except BaseException as error:
            place.message.write_text(f"{type(error).__name__}: {error}")
            return CRASHED
        return 0


def wait(pid: int) -> int:
    """Exit code of a child; -9 when it was killed."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def kill(pid: int) -> None:
    """SIGKILL: the process gets no chance to do anything more."""
    os.kill(pid, signal.SIGKILL)


def die() -> None:
    """SIGKILL to oneself, in the middle of whatever is going on."""
    kill(os.getpid())
    time.sleep(60)


def at_write(
    place: Place, number: int, then: Callable[[], None], *, torn: bool = False, lasting: bool = False
) -> Callable[[], None]:
    """For `begin`: call `then` just before the `number`-th change of a file below the place (0: never).

    torn: count only flushes to disk, and cut the file in half first, as if the system had not written the rest.
    lasting: call it also before every later change that needs space.
    """

    def begin() -> None:
        seen, flush = 0, os.fsync
        disk, log = str(place.root / "disk"), place.root / "points"

        def point(what: str) -> None:
            nonlocal seen
            seen += 1
            if number == 0:
                with open(log, "a") as file:
                    file.write(what + "\n")
            elif seen == number or (lasting and seen > number and what in NEEDS_SPACE):
                then()

        def hook(event: str, arguments: tuple) -> None:
            if torn or (event != "open" and event not in CHANGES):
                return
            below = event in REMOVALS and arguments[1] != -1  # removal of a tree, relative to an open folder
            if event == "open" and not (isinstance(arguments[2], int) and arguments[2] & WRITING):
                return
            if below or str(arguments[0]).startswith(disk):
                point(event)

        def fsync(handle: int) -> None:
            if torn and seen + 1 == number and stat.S_ISREG(os.fstat(handle).st_mode):
                os.ftruncate(handle, os.fstat(handle).st_size // 2)
            point("fsync")
            flush(handle)

        sys.addaudithook(hook)
        os.fsync = fsync

    return begin


def write_points(arena: Arena, place: Place) -> list[str]:
    """Kind of every change of a file that one whole run makes, in order."""
    assert wait(arena.child(place, at_write(place, 0, die))) == 0, place.message.read_text()
    return (place.root / "points").read_text().split()


@dataclass(frozen=True)
class State:
    """What a run folder holds: records by unit key (as written, and without times), predictions, other files."""

    records: dict[str, str]
    plain: dict[str, str]
    predictions: dict[str, bytes]
    files: frozenset[str]

    @classmethod
    def of(cls, place: Place) -> State:
        """Read it as the next run would. Raises UserError when a record is damaged."""
        folder = place.out / "raw-pixels" / "faults"
        records = Journal(folder).records()
        return cls(
            {key: record.to_json() for key, record in records.items()},
            {key: canonical_json(record.without_times()) for key, record in records.items()},
            {p.name: p.read_bytes() for p in sorted(folder.glob("predictions/*.npz"))},
            frozenset(str(p.relative_to(place.out)) for p in place.out.rglob("*") if p.is_file()),
        )


@dataclass(frozen=True)
class Verdict:
    """What the referee found after the restart. All counts but `kept` must be zero."""

    kept: int = 0
    lost: int = 0
    repeated: int = 0
    twice: int = 0
    different: int = 0
    litter: int = 0
    crashed: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.repeated or self.twice or self.different or self.litter or self.crashed)


def restart(arena: Arena, place: Place, reference: State) -> Verdict:
    """Give the same command again and compare with the uninterrupted run."""
    before = State.of(place)
    if (code := wait(arena.child(place))) != 0:
        return Verdict(len(before.records), crashed=f"exit code {code}: {place.message.read_text()}")
    after, made = State.of(place), place.made.read_text().split()
    lines = (place.out / "raw-pixels" / "faults" / "records.jsonl").read_text().splitlines()
    keys = [Record.from_json(line).unit.key for line in lines]
    predictions = sum(after.predictions.get(name) != data for name, data in reference.predictions.items())
    return Verdict(
        kept=len(before.records),
        lost=len(set(reference.plain) - set(keys)) + sum(after.records[k] != r for k, r in before.records.items()),
        repeated=len(set(made) & set(before.records)),
        twice=len(keys) - len(set(keys)) + len(made) - len(set(made)),
        different=sum(after.plain.get(k) != r for k, r in reference.plain.items()) + predictions,
        litter=len(after.files - reference.files),
    )


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Fail rather than hang."""

    def late(*_: object) -> None:
        raise TimeoutError(f"a trial took over {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def reference_of(arena: Arena) -> tuple[State, list[str], float]:
    """The uninterrupted run: what it leaves, its write points, its seconds."""
    place = arena.place("reference")
    points = write_points(arena, place)
    again = arena.place("reference-again")
    started = time.perf_counter()
    assert wait(arena.child(again)) == 0, again.message.read_text()
    seconds = time.perf_counter() - started
    first, second = State.of(place), State.of(again)
    assert (first.plain, first.predictions) == (second.plain, second.predictions), "two whole runs differ"
    assert json.loads(next(iter(first.records.values())))["status"] in ("done", "refused")
    return first, points, seconds
