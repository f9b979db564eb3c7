"""Break a small run in every way we know, give the same command again, and compare with an uninterrupted run.

    python benchmarks/faults_table.py [--every 1] [--only TEXT] [--rows rows.json] [--out docs/faults.md]

--every N: only every N-th write point. --only: kinds of fault whose name holds this text. --rows: keep finished rows
in this file, and take those that are in it as they are. The disk of a fixed size needs the right to mount; without it
that row is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.faults import trials
from benchmarks.faults.arena import Arena, State, patience, reference_of
from benchmarks.faults.trials import Trial

Row = tuple[str | int, ...]
Kinds = dict[str, Callable[[], Iterator[Trial]]]


def main() -> None:
    """Run every kind of fault, print a row as it is done, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--only", default="")
    parser.add_argument("--rows", type=Path)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDSSL_HOME"] = f"{folder}/warm"
        arena = Arena.build(Path(folder))
        reference, points, seconds = reference_of(arena)
        print(f"{len(reference.records)} units, {len(points)} write points: {dict(Counter(points))}", flush=True)
        known = kinds(arena, reference, points, seconds, options.every)
        rows = [_kept(options.rows, name, kind) for name, kind in known.items() if options.only in name]
    text = PAGE.format(
        units=len(reference.records),
        points=len(points),
        what=", ".join(f"{n} {what.removeprefix('os.')}" for what, n in Counter(points).most_common()),
        trials=sum(row[1] for row in rows),
        kills=sum(row[2] for row in rows),
        rows="\n".join("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows),
    )
    if options.out:
        options.out.write_text(text)
    if any(sum(row[4:]) for row in rows):
        raise SystemExit("a fault was not survived")


def kinds(arena: Arena, reference: State, points: list[str], seconds: float, every: int) -> Kinds:
    """Name of each kind of fault -> its trials."""
    n = len(points)
    found: Kinds = {
        "kill -9 before a write point": lambda: trials.killed_at(arena, reference, range(1, n + 1, every)),
        "kill -9 at a flush, file cut in half": lambda: trials.killed_at(
            arena, reference, range(1, points.count("fsync") + 1, every), torn=True
        ),
        "kill -9 at a random instant": lambda: trials.killed_sometime(arena, reference, seconds, max(1, 40 // every)),
        "kill -9 again and again until done": lambda: trials.killed_until_done(
            arena, reference, n // 12, max(1, 6 // every)
        ),
        "`medssl run` killed": lambda: trials.command_killed(arena, reference, 0, max(1, 6 // every), seconds),
        "`--executor processes`: command or worker killed": lambda: trials.command_killed(
            arena, reference, 2, max(1, 6 // every), 6 * seconds
        ),
        "no space left from a write point on": lambda: trials.disk_full_at(
            arena, reference, range(1, n + 1, 7 * every)
        ),
        "cache folder gone at a write point": lambda: trials.cache_unplugged_at(
            arena, reference, range(40, n + 1, 17 * every)
        ),
        "a file of the cache damaged": lambda: trials.cache_damaged(arena, reference, max(1, 12 // every)),
        "two runs on one folder": lambda: trials.two_at_once(arena, reference, seconds, max(2, 10 // every)),
        "clock jumps by ten years": lambda: trials.clock_jumps(arena, reference, range(60, n + 1, 29 * every)),
    }
    if _may_mount():
        found["disk of 0.5 to 8 MiB"] = lambda: trials.disk_of(arena, reference, range(512, 8193, 480 * every))
    return found


def _kept(path: Path | None, name: str, kind: Callable[[], Iterator[Trial]]) -> Row:
    rows = json.loads(path.read_text()) if path and path.exists() else {}
    if name in rows:
        return tuple(rows[name])
    row = _row(name, kind)
    if path:
        path.write_text(json.dumps(rows | {name: row}, indent=1))
    return row


def _row(name: str, kind: Callable[[], Iterator[Trial]]) -> Row:
    started, done = time.perf_counter(), []
    with patience(7200):
        for trial in kind():
            done.append(trial)
            if not trial.verdict.clean:
                print(name, trial, flush=True)
    verdicts = [trial.verdict for trial in done]
    row = (
        name,
        len(done),
        sum(trial.kills for trial in done),
        f"{min(v.kept for v in verdicts)} to {max(v.kept for v in verdicts)}",
        sum(v.lost for v in verdicts),
        sum(v.repeated for v in verdicts),
        sum(v.twice for v in verdicts),
        sum(v.different for v in verdicts),
        sum(v.litter for v in verdicts),
        sum(bool(v.crashed) for v in verdicts),
    )
    print(*row, f"{time.perf_counter() - started:.0f} s", sep=" | ", flush=True)
    return row


def _may_mount() -> bool:
    with tempfile.TemporaryDirectory() as folder:
        if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True).returncode:
            return False
        subprocess.run(["umount", folder], check=True)
        return True


PAGE = """# Faults

What is left of a run that is broken off, and what the same command makes of it when it is given again. Made by
`python benchmarks/faults_table.py --out docs/faults.md`, which breaks one small run ({units} units: two tasks, three
protocols) in {trials} trials, with {kills} SIGKILLs of a process that writes. After each trial the command is
repeated and its results are compared with those of a run that nothing disturbed.

A *write point* is an operation that changes the file system below the results or the cache, as the interpreter's audit
events show them; the run has {points}: {what}.

| fault | trials | kills | units kept | lost | repeated | twice | different | litter | crashed |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|
{rows}

- *units kept*: finished before the fault (least to most over the trials), and found again with the same bytes, times
  included.
- *lost*: units without a record at the end, or finished ones whose bytes changed. *repeated*: finished units that ran
  again. *twice*: units with two records. *different*: records that differ from the undisturbed run's in anything but
  times (seconds, memory, date), or predictions files that differ in a byte. *litter*: files that the undisturbed run
  does not leave.
- *crashed*: the broken run, or the restart, ended in anything but success, SIGKILL, or one message for the user; or a
  worker outlived its command.

A short version of the same is part of the tests (`tests/runs/test_faults.py`). Not covered: a power cut under a disk
that reports a flush before it has made it.
"""


if __name__ == "__main__":
    main()
