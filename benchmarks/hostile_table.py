"""Verify every hostile submission with the command, as a maintainer would; write what happened to docs/hostile.md.

    python benchmarks/hostile_table.py --before CHECKOUT

Each case runs `medssl verify` in a process of its own, forked off, with a limit of processor time; the table gives
exit code, message, seconds of processor time and peak resident memory. --before: a checkout of an earlier version,
whose verdict on the same bytes stands beside.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import stat
import subprocess
import sys
import tempfile
import traceback
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.cli import main as medssl
from benchmarks.hostile import gaming  # noqa: F401 - adds its cases
from benchmarks.hostile.base import copy, write_submission, write_tasks
from benchmarks.hostile.cases import CASES, HARMLESS, MARKER, NEEDS_RERUN

SECONDS = 120
"""Of processor time; a case that takes more is killed by the system and counts as broken."""
PRELOADED = ("bench.submissions.verify", "bench.leaderboard.collect", "bench.encoders.sources.onnx")
"""Imported once, before the cases are forked off."""
OUT = Path(__file__).resolve().parents[1] / "docs" / "hostile.md"


def main() -> None:
    """Make the corpus in a temporary folder, verify it, write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, help="checkout of an earlier version, to be asked too")
    earlier = parser.parse_args().before
    for module in PRELOADED:
        import_module(module)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        os.environ["MEDSSL_HOME"] = str(work / "home")
        tasks = write_tasks(work / "tasks")
        honest, other = write_submission(work, tasks), write_submission(work, tasks, "other", seed=1)
        rows = [_row("(the honest submission)", copy(honest, work / "cases" / "honest"), tasks, earlier)]
        for name, spoil in CASES.items():
            place = work / "cases" / name.replace(" ", "-")
            place.mkdir(parents=True)
            spoilt = copy(honest, place)
            here = Path.cwd()
            os.chdir(place)
            spoil(spoilt, other)
            os.chdir(here)
            rows.append(_row(name, spoilt, tasks, earlier))
            print(rows[-1], flush=True)
    OUT.write_text(_page(rows, earlier))


class Row(NamedTuple):
    """A case. before: what the earlier version made of it. cost: seconds and MB."""

    name: str
    before: str
    outcome: str
    message: str
    cost: str

    def __str__(self) -> str:
        return f"| {self.name} | {self.before} | {self.outcome} | {self.message} | {self.cost} |"


def _row(name: str, folder: Path, tasks: Path, earlier: Path | None) -> Row:
    options = ["--rescore", *(["--rerun"] if name in NEEDS_RERUN else []), "--tasks", str(tasks)]
    before = _before(folder, options, earlier) if earlier else "not asked"
    return Row(name, before, *_verified(name, folder, options))


def _before(folder: Path, options: list[str], checkout: Path) -> str:
    """What the earlier version made of a copy of the same folder."""
    spoilt = Path(shutil.copytree(folder, folder.parent / "before" / folder.name, symlinks=True, copy_function=_copy))
    command = [sys.executable, "-c", "from bench.cli import main; main()", "verify", str(spoilt), *options]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    try:
        done = subprocess.run(command, cwd=spoilt.parent, env=environment, capture_output=True, timeout=10 * SECONDS)
    except subprocess.TimeoutExpired:
        return "BROKE"
    finally:
        shutil.rmtree(spoilt.parent)
    return {0: "accepted", 2: "refused"}.get(done.returncode, "BROKE")


def _copy(source: str, target: str) -> None:
    """A file as it is, also one that is no plain file."""
    if stat.S_ISFIFO(os.lstat(source).st_mode):
        os.mkfifo(target)
    else:
        shutil.copyfile(source, target)


def _verified(name: str, folder: Path, options: list[str]) -> tuple[str, str, str]:
    with tempfile.TemporaryFile("w+") as printed:
        child = os.fork()
        if child == 0:
            _verify(["verify", str(folder), *options], folder.parents[2], printed.fileno())
        _, status, used = os.wait4(child, 0)
        code = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        output = printed.read()
    executed = bool(list(folder.parent.rglob(MARKER))) or (folder.parents[2] / MARKER).exists()
    said = _message(output, folder)
    accepted = "accepted, no effect" if name in HARMLESS else "accepted"
    outcome = "EXECUTED" if executed else {0: accepted, 2: "refused"}.get(code, "BROKE")
    return outcome, said, f"{used.ru_utime + used.ru_stime:.1f} | {used.ru_maxrss / 1024:.0f}"


def _verify(arguments: list[str], where: Path, printed: int) -> None:
    """What the command does, in this process, which ends with it."""
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        os.chdir(where)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        medssl(arguments)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _message(output: str, folder: Path) -> str:
    lines = [line.strip() for line in output.splitlines() if "WRONG" in line or "LOOK" in line or "Error:" in line]
    text = (lines or output.strip().splitlines()[-1:] or [""])[0]
    text = text.replace(str(folder), "submission").removeprefix("Error: ").removeprefix("WRONG    ").strip()
    return text.replace("|", "\\|").replace("<", "&lt;")[:160]


def _page(rows: list[Row], earlier: Path | None) -> str:
    after, before = (Counter(getattr(row, name).split(",")[0] for row in rows[1:]) for name in ("outcome", "before"))
    counts = ", ".join(f"{after[word]} {word.lower()}" for word in ("refused", "accepted", "EXECUTED", "BROKE"))
    told = (
        f" The column *before* is the verdict of an earlier version on the same bytes: {before['accepted']} accepted, "
        f"{before['BROKE']} ended in a traceback or not at all."
    )
    head = (
        "# Hostile submissions\n\nMade by `python benchmarks/hostile_table.py`: each row spoils a valid submission and "
        "gives it to `medssl verify --rescore` (with `--rerun` where the forgery is consistent in itself and only the "
        f"weights can tell).{told if earlier else ''}\n\n{len(rows) - 1} cases: {counts}. What is accepted has no "
        "effect: it is shown as text.\n\n"
        "Seconds are of processor time, without starting the program. Memory is the peak in MB, resident, most of it "
        "the program itself: the first row is the submission before it is spoilt.\n\n"
        "| case | before | outcome | message | s | MB |\n|---|---|---|---|---|---|\n"
    )
    return head + "\n".join(map(str, rows)) + "\n"


if __name__ == "__main__":
    main()
