"""Verify every hostile submission with the command, as a maintainer would; write what happened to docs/hostile.md.

    python benchmarks/hostile_table.py --before CHECKOUT [--new]

--before: a checkout of an earlier version, whose verdict on the same bytes stands beside; without it those of the page
stay. --new: run the cases that the page does not hold, and leave its other rows as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.hostile import gaming, memoriser, overlooked, smuggled  # noqa: F401 - they add their cases
from benchmarks.hostile.base import copy, write_submission, write_tasks
from benchmarks.hostile.cases import ALARMED, CASES, HARMLESS, MARKER, NEEDS_RERUN

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "hostile.md"
HONEST = "(the honest submission)"


class Row(NamedTuple):
    """A case. before: what the earlier version made of it."""

    name: str
    before: str
    outcome: str
    message: str
    seconds: float
    megabytes: float

    def __str__(self) -> str:
        return "| {} | {} | {} | {} | {:.1f} | {:.0f} |".format(*self)


def main() -> None:
    """Make the corpus in a temporary folder, verify it, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="checkout of an earlier version, to be asked too")
    parser.add_argument("--new", action="store_true", help="only the cases that the page does not hold")
    arguments = parser.parse_args()
    earlier, held = arguments.before, _held()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        os.environ["MEDSSL_HOME"] = str(work / "home")
        tasks = write_tasks(work / "tasks")
        honest, other = write_submission(work, tasks), write_submission(work, tasks, "other", seed=1)
        rows = []
        for name in (HONEST, *CASES):
            if arguments.new and name in held:
                rows.append(held[name])
                continue
            options = ["--rescore", *(["--rerun"] if name in NEEDS_RERUN else []), "--tasks", str(tasks)]
            spoilt = [_spoilt(name, honest, other, work / place) for place in ("cases", "earlier")]
            row = _row(name, spoilt, options, earlier)
            rows.append(row if earlier or name not in held else row._replace(before=held[name].before))
            print(rows[-1], flush=True)
    OUT.write_text(_page(rows))


def _held() -> dict[str, Row]:
    """The rows of the page, by case."""
    lines = [line[2:-2].split(" | ") for line in OUT.read_text().splitlines() if line.startswith("| ")][1:]
    return {name: Row(name, *told, float(s), float(mb)) for name, *told, s, mb in lines}


def _spoilt(name: str, honest: Path, other: Path, where: Path) -> Path:
    place = where / (name if name in CASES else "honest").replace(" ", "-")
    place.mkdir(parents=True)
    folder, here = copy(honest, place), Path.cwd()
    copy(other, place / "submissions")  # the one that stands already where it is verified
    os.chdir(place)
    if name in CASES:
        CASES[name](folder, other)
    os.chdir(here)
    return folder


def _row(name: str, spoilt: list[Path], options: list[str], earlier: Path | None) -> Row:
    now, then = spoilt
    code, printed, seconds, megabytes = _judged(ROOT, now, options)
    outcome = _outcome(code, now)
    outcome = "accepted, no effect" if outcome == "accepted" and name in HARMLESS else outcome
    outcome = "accepted, alarm" if outcome == "accepted" and name in ALARMED and "LOOK" in printed else outcome
    before = _outcome(_judged(earlier, then, options)[0], then) if earlier else "not asked"
    return Row(name, before, outcome, _message(printed, now), seconds, megabytes)


def _judged(checkout: Path, folder: Path, options: list[str]) -> tuple[int, str, float, float]:
    """What the version in `checkout` makes of a folder (benchmarks.hostile.judge, which stays running)."""
    if checkout not in _JUDGES:
        command = [sys.executable, str(ROOT / "benchmarks" / "hostile" / "judge.py")]
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        _JUDGES[checkout] = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    judge = _JUDGES[checkout]
    judge.stdin.write(json.dumps([str(folder), options]) + "\n")
    judge.stdin.flush()
    return json.loads(judge.stdout.readline())


_JUDGES: dict[Path, subprocess.Popen] = {}


def _outcome(code: int, folder: Path) -> str:
    if list(folder.parent.rglob(MARKER)):
        return "EXECUTED"
    return {0: "accepted", 2: "refused"}.get(code, "BROKE")


def _message(output: str, folder: Path) -> str:
    lines = [line.strip() for line in output.splitlines() if "WRONG" in line or "LOOK" in line or "Error:" in line]
    lines.sort(key=lambda line: "LOOK" in line)
    text = (lines or output.strip().splitlines()[-1:] or [""])[0]
    text = text.replace(str(folder), "submission").removeprefix("Error: ").removeprefix("WRONG    ").strip()
    return text.replace("|", "\\|").replace("<", "&lt;")[:160]


def _page(rows: list[Row]) -> str:
    return "\n".join([*_head(rows), "", "| case | before | outcome | message | s | MB |", "|---" * 6 + "|"]) + (
        "\n" + "\n".join(map(str, rows)) + "\n"
    )


def _head(rows: list[Row]) -> Iterator[str]:
    after, before = (Counter(getattr(row, name).split(",")[0] for row in rows[1:]) for name in ("outcome", "before"))
    yield "# Hostile submissions\n"
    yield (
        "Made by `python benchmarks/hostile_table.py`: each row spoils a valid submission and gives it to "
        "`medssl verify --rescore` (with `--rerun` where the forgery is consistent in itself and only the weights can "
        "tell)."
    )
    if before["accepted"] or before["refused"]:
        yield (
            "*before* is the verdict of the version of 2026-11-26 that knew no badges outside submissions (of that of "
            "2026-11-27 from 'sites of a task without sites' to 'onnx of a terabyte'), on the same bytes: "
            f"{before['accepted']} accepted, {before['refused']} refused, {before['BROKE']} ended in a "
            "traceback or not at all."
        )
    counts = ", ".join(f"{after[word]} {word.lower()}" for word in ("refused", "accepted", "EXECUTED", "BROKE"))
    yield f"\n{len(rows) - 1} cases: {counts}. What is accepted has no effect, or is put before the reviewer (alarm).\n"
    yield (
        "Seconds are of processor time, without starting the program. Memory is the peak in MB, resident, most of it "
        "the program itself: the first row is the submission before it is spoilt."
    )


if __name__ == "__main__":
    main()
