"""The faults: one generator each of (name of a place, verdict), drawn from the write points of a whole run."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import bench.runs.provenance
from benchmarks.faults.arena import NOT_ANSWERED, Arena, Place, State, Verdict, at_write, die, kill, restart, wait

REPOSITORY = Path(__file__).resolve().parents[2]
SIGKILL = -9


@dataclass(frozen=True)
class Trial:
    """One fault: how often a process was killed in it, and what the referee says after the restart."""

    kills: int
    verdict: Verdict


def killed_at(arena: Arena, reference: State, points: Sequence[int], *, torn: bool = False) -> Iterator[Trial]:
    """SIGKILL just before each of `points`; `torn`: at a flush, with the file cut in half."""
    for number in points:
        place = arena.place(f"{'torn' if torn else 'point'}-{number}")
        code = wait(arena.child(place, at_write(place, number, die, torn=torn)))
        yield _judged(arena, place, reference, code, (SIGKILL, 0))


def killed_sometime(arena: Arena, reference: State, seconds: float, trials: int) -> Iterator[Trial]:
    """SIGKILL from outside, at a random instant of the run."""
    rng = random.Random(0)
    for number in range(trials):
        place = arena.place(f"instant-{number}")
        pid = arena.child(place)
        time.sleep(rng.uniform(0, seconds))
        kill(pid)
        yield _judged(arena, place, reference, wait(pid), (SIGKILL, 0))


def killed_until_done(arena: Arena, reference: State, step: int, trials: int) -> Iterator[Trial]:
    """The same command given again and again, each time killed `step` to 3 x `step` changes later, until done."""
    rng = random.Random(1)
    for number in range(trials):
        place, kills = arena.place(f"again-{number}"), 0
        while wait(arena.child(place, at_write(place, rng.randint(step, 3 * step), die))) == SIGKILL:
            kills += 1
        yield Trial(kills, restart(arena, place, reference))


def disk_full_at(arena: Arena, reference: State, points: Sequence[int]) -> Iterator[Trial]:
    """From a write point on, nothing more can be written ("no space left on device"); space is then made."""
    for number in points:
        place = arena.place(f"full-{number}")
        code = wait(arena.child(place, at_write(place, number, no_space, lasting=True)))
        yield _judged(arena, place, reference, code, (NOT_ANSWERED, 0))


def disk_of(arena: Arena, reference: State, sizes: Sequence[int]) -> Iterator[Trial]:
    """A file system of so many KiB holds results and cache; it is then enlarged. Needs the right to mount."""
    for kib in sizes:
        place = arena.place(f"disk-{kib}")
        _mount(place, f"size={kib}k")
        try:
            code = wait(arena.child(place))
            _mount(place, "remount,size=1g")
            yield _judged(arena, place, reference, code, (NOT_ANSWERED, 0))
        finally:
            subprocess.run(["umount", "-l", place.root / "disk"], check=True)


def cache_unplugged_at(arena: Arena, reference: State, points: Sequence[int]) -> Iterator[Trial]:
    """At a write point the cache folder is gone, with all that was in it."""
    for number in points:
        place = arena.place(f"unplugged-{number}")

        def unplug(place: Place = place) -> None:
            if place.home.is_dir():
                os.rename(place.home, place.root / "unplugged")

        code = wait(arena.child(place, at_write(place, number, unplug)))
        yield _judged(arena, place, reference, code, (NOT_ANSWERED, 0))


def cache_damaged(arena: Arena, reference: State, trials: int) -> Iterator[Trial]:
    """After a kill, one file of the cache is cut in half or has a byte changed; the run goes on with it."""
    rng = random.Random(2)
    for number in range(trials):
        place = arena.place(f"damaged-{number}")
        code = wait(arena.child(place, at_write(place, rng.randint(120, 200), die)))
        files = sorted(p for p in place.home.rglob("*.npy") if "features" in p.parts or number % 2)
        damaged = rng.choice(files)
        data = damaged.read_bytes()
        half = data[: len(data) // 2]
        flipped = data[:-1] + bytes([data[-1] ^ 1])
        damaged.write_bytes(half if "store" in damaged.parts or number % 4 < 2 else flipped)
        yield _judged(arena, place, reference, code, (SIGKILL,))


def two_at_once(arena: Arena, reference: State, seconds: float, trials: int) -> Iterator[Trial]:
    """Two runs on one folder: one is told so and stops; in every other trial the other is then killed."""
    rng = random.Random(3)
    for number in range(trials):
        place = arena.place(f"two-{number}")
        first = arena.child(place)
        time.sleep(rng.uniform(0, seconds / 2))
        second = arena.child(place)
        if number % 2:
            kill(first)
        codes = {wait(first), wait(second)}
        verdict = restart(arena, place, reference)
        allowed = {0, NOT_ANSWERED, SIGKILL} if number % 2 else {0, NOT_ANSWERED}
        fine = codes <= allowed and (number % 2 or 0 in codes)
        yield Trial(number % 2, verdict if fine else Verdict(crashed=f"exit codes {codes}"))


def clock_jumps(arena: Arena, reference: State, points: Sequence[int]) -> Iterator[Trial]:
    """At a write point the clock jumps by ten years, back or forth; after a kill so do the times of all files."""
    for index, number in enumerate(points):
        place, years = arena.place(f"clock-{number}"), (-10, 10)[index % 2]
        code = wait(arena.child(place, at_write(place, number, lambda years=years: _jump(years))))
        for path in place.root.rglob("*"):
            os.utime(path, (time.time() + years * 3e7,) * 2)
        yield _judged(arena, place, reference, code, (0,))


def command_killed(arena: Arena, reference: State, workers: int, trials: int, span: float) -> Iterator[Trial]:
    """The whole command (`medssl run`) as a process of its own, killed at a random instant after it began to write.

    workers: with so many worker processes, of which in every other trial one is killed instead of the command.
    """
    rng = random.Random(4)
    for number in range(trials):
        place = arena.place(f"command-{workers}-{number}")
        process = _command(arena, place, workers)
        while not place.out.exists() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(rng.uniform(0, span))
        children = _children(process.pid)
        kill(children[-1] if children and number % 2 else process.pid)
        code = process.wait()
        trial = _judged(arena, place, reference, code, (SIGKILL, NOT_ANSWERED, 0))
        yield trial if _gone(children) else Trial(1, Verdict(crashed="a worker outlived its command"))


def no_space() -> None:
    """What the system says when the disk is full."""
    raise OSError(28, os.strerror(28))


def _judged(arena: Arena, place: Place, reference: State, code: int, expected: tuple[int, ...]) -> Trial:
    if code not in expected:
        return Trial(
            0, Verdict(crashed=f"exit code {code}: {place.message.read_text() if place.message.exists() else ''}")
        )
    trial = Trial(int(code == SIGKILL), restart(arena, place, reference))
    if trial.verdict.clean:
        shutil.rmtree(place.root, ignore_errors=True)
    return trial


def _mount(place: Place, options: str) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", place.root / "disk"], check=True)


def _jump(years: int) -> None:
    """Let this process believe that it is another time."""
    real, offset = time.time, years * 365.25 * 86400
    time.time = lambda: real() + offset

    class Elsewhen(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:
            return datetime.now(UTC) + timedelta(seconds=offset)

    bench.runs.provenance.datetime = Elsewhen


def _command(arena: Arena, place: Place, workers: int) -> subprocess.Popen:
    options = [
        "--suite",
        arena.spec.what.suite,
        "--tasks",
        arena.spec.what.tasks,
        "--out",
        str(place.out),
        "--threads",
        "1",
    ]
    if workers:
        options += ["--executor", "processes", "--workers", str(workers)]
    run = (
        "import sys; from bench.cli import main; from bench.runs import provenance\n"
        f"provenance.command_line = lambda: {arena.spec.command!r}\n"  # the same in every record as in the reference
        "main(sys.argv[1:])"
    )
    return subprocess.Popen(
        [sys.executable, "-c", run, "run", "raw-pixels", *options],
        env=os.environ | {"MEDSSL_HOME": str(place.home), "PYTHONPATH": str(REPOSITORY)},
        stdout=subprocess.DEVNULL,
        stderr=open(place.message, "w"),
    )


def _children(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True).stdout.split()
    return [int(child) for child in found]


def _gone(children: list[int], seconds: float = 90) -> bool:
    """Whether the processes end by themselves within some seconds; those that do not are ended."""
    until = time.monotonic() + seconds
    left = children
    while left and time.monotonic() < until:
        left = [pid for pid in left if Path(f"/proc/{pid}").exists()]
        time.sleep(0.1)
    for pid in left:
        kill(pid)
    return not left
