"""Verify every hostile submission with the command, as a maintainer would; write what happened to docs/hostile.md.

    python benchmarks/hostile_table.py

Each case runs `medssl verify` in a process of its own with a limit of processor time; the table gives exit code,
message, seconds of processor time and peak resident memory.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.hostile.base import copy, write_submission, write_tasks
from benchmarks.hostile.cases import CASES, HARMLESS, MARKER, NEEDS_RERUN

SECONDS = 120
"""Of processor time; a case that takes more is killed by the system and counts as broken."""
OUT = Path(__file__).resolve().parents[1] / "docs" / "hostile.md"


def main() -> None:
    """Make the corpus in a temporary folder, verify it, write the table."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        os.environ["MEDSSL_HOME"] = str(work / "home")
        tasks = write_tasks(work / "tasks")
        honest, other = write_submission(work, tasks), write_submission(work, tasks, "other", seed=1)
        rows = [_verified("(the honest submission)", copy(honest, work / "cases" / "honest"), tasks)]
        for name, spoil in CASES.items():
            place = work / "cases" / name.replace(" ", "-")
            place.mkdir(parents=True)
            spoilt = copy(honest, place)
            here = Path.cwd()
            os.chdir(place)
            spoil(spoilt, other)
            os.chdir(here)
            rows.append(_verified(name, spoilt, tasks))
            print(rows[-1], flush=True)
    OUT.write_text(_page(rows))


def _verified(name: str, folder: Path, tasks: Path) -> str:
    options = ["--rescore", *(["--rerun"] if name in NEEDS_RERUN else []), "--tasks", str(tasks)]
    command = [sys.executable, "-c", "from bench.cli import main; main()", "verify", str(folder), *options]
    with tempfile.TemporaryFile("w+") as printed:
        child = subprocess.Popen(
            command, cwd=folder.parents[2], stdout=printed, stderr=subprocess.STDOUT, preexec_fn=_limited
        )
        _, status, used = os.wait4(child.pid, 0)
        code = child.returncode = os.waitstatus_to_exitcode(status)
        printed.seek(0)
        output = printed.read()
    executed = bool(list(folder.parent.rglob(MARKER))) or (folder.parents[2] / MARKER).exists()
    said = _message(output, folder)
    accepted = "accepted, no effect" if name in HARMLESS else "accepted"
    outcome = "EXECUTED" if executed else {0: accepted, 2: "refused"}.get(code, "BROKE")
    return f"| {name} | {outcome} | {said} | {used.ru_utime + used.ru_stime:.1f} | {used.ru_maxrss / 1024:.0f} |"


def _limited() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def _message(output: str, folder: Path) -> str:
    lines = [line.strip() for line in output.splitlines() if "WRONG" in line or "LOOK" in line or "Error:" in line]
    text = (lines or output.strip().splitlines()[-1:] or [""])[0]
    text = text.replace(str(folder), "submission").removeprefix("Error: ").removeprefix("WRONG    ").strip()
    return text.replace("|", "\\|").replace("<", "&lt;")[:160]


def _page(rows: list[str]) -> str:
    refused, executed, broke = (sum(f"| {word} |" in row for row in rows) for word in ("refused", "EXECUTED", "BROKE"))
    head = (
        "# Hostile submissions\n\nMade by `python benchmarks/hostile_table.py`: each row spoils a valid submission and "
        "gives it to `medssl verify --rescore` (with `--rerun` where the forgery is consistent in itself and only the "
        f"weights can tell).\n\n{len(rows) - 1} cases, {refused} refused, {executed} executed, {broke} broke. Seconds are of"
        " processor time and include starting the program; memory is the peak in MB, resident. The first row is the "
        "submission before it is spoilt.\n\n"
        "| case | outcome | message | s | MB |\n|---|---|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


if __name__ == "__main__":
    main()
