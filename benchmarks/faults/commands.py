"""Break everything but a run at its writes: submitting, building the site, preparing data, the cache of boards.

    python -m benchmarks.faults.commands [--trials 25] [--only TEXT]

A command finds what it made before, is broken off at a write (killed, or no space from there on), and is given again.
Before the second time the place must hold the old or the new, whole; after it the new and nothing else. On a file
system of a fixed size, where that can be mounted, the writes themselves fail, not only what opens and flushes files.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from signal import SIGKILL

import torch

from bench.budget import FULL, Budget
from bench.data.load import load_task
from bench.encoders.load import REFERENCE
from bench.errors import UserError
from bench.files import sha256_file
from bench.leaderboard.collect import collect
from bench.leaderboard.replicates import all_replicates
from bench.publish.from_records import SiteFiles, site_view
from bench.publish.writer import PART, write_site
from bench.runs.options import RunSpec
from bench.runs.plan import own_cards
from bench.runs.run import run
from bench.submissions.bundle import bundle
from bench.submissions.labels import write_labels
from benchmarks.faults.arena import CRASHED, NOT_ANSWERED, Place, at_write, die, wait
from benchmarks.faults.trials import no_space
from benchmarks.hostile.base import write_tasks

SUITE = """schema = 1
name = "tasks"
title = "Fault injection"
tasks = ["which"]
protocols = [{ name = "linear-v2", budgets = ["10%", "100%"], seeds = 2 }]
"""

LINEAR = [("linear", Budget("10%")), ("linear", FULL)]
"""What boards read of it."""


@dataclass(frozen=True)
class Command:
    """What is done at a place. before: makes the old results there, where there are some."""

    name: str
    do: Callable[[Place], None]
    before: Callable[[Place], None] = lambda place: None


def commands(folder: Path) -> list[Command]:
    """Every command, on one small run below `folder`."""
    torch.set_num_threads(1)
    tasks, suite = write_tasks(folder / "tasks"), folder / "suite.toml"
    suite.write_text(SUITE)
    os.environ["MEDSSL_HOME"] = str(folder / "warm")
    run(RunSpec.of("colour-histogram", str(suite), str(tasks), out=str(folder / "runs"), command="x"))
    card = REFERENCE / "colour-histogram.toml"
    task, beside = own_cards(tasks)["which"]
    data = load_task(task, folder=beside)
    sent = bundle(card, folder / "runs", folder / "sent", ["tasks"]).folder
    found = collect([sent.parent], tasks=tasks)
    files, collection = SiteFiles(), found["tasks"]
    view = site_view(found, files)
    all_replicates(collection.results["colour-histogram"], collection.at_hand, LINEAR)

    def submit(place: Place, compact: bool) -> None:
        bundle(card, folder / "runs", place.out, ["tasks"], compact=compact)

    def boards(place: Place) -> None:
        result = collection.results["colour-histogram"]
        _, approximated = all_replicates(result, collection.at_hand, LINEAR)
        if approximated:
            raise AssertionError("a cache that takes nothing changed the boards")

    return [
        Command("`submit`", lambda p: submit(p, False), lambda p: submit(p, True)),
        Command("`submit --compact`", lambda p: submit(p, True), lambda p: submit(p, False)),
        Command(
            "`site build`: the pages",
            lambda p: write_site(view, p.out / "site", files=files.bytes) and None,
            lambda p: write_site(replace(view, version="0"), p.out / "site", files=files.bytes) and None,
        ),
        Command("boards: the cache of replicates", boards),
        Command("`data prepare`: the store", lambda p: load_task(task, folder=beside) and None),
        Command("`data labels`", lambda p: write_labels(data, p.out) and None),
    ]


def child(command: Command, place: Place, begin: Callable[[], None] = lambda: None) -> int:
    """Exit code of the command in a process of its own, broken as `begin` arranges it."""
    if pid := os.fork():
        return wait(pid)
    code = 0
    os.environ["MEDSSL_HOME"] = str(place.home)
    try:
        begin()
        command.do(place)
    except UserError as error:
        place.message.write_text(str(error))
        code = NOT_ANSWERED
    except BaseException as error:
        place.message.write_text(f"{type(error).__name__}: {error}")
        code = CRASHED
    os._exit(code)


def tree(folder: Path) -> dict[str, str]:
    """Hash of each file below a folder, less locks and what only says when it was looked at."""
    skip = (".lock", "checked.json")
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and not p.name.endswith(skip))
    return {str(p.relative_to(folder)): sha256_file(p) for p in files}


@dataclass
class Outcome:
    """Counts over the trials of one fault; all but trials, kills and messages must be zero."""

    trials: int = 0
    kills: int = 0
    messages: int = 0
    halves: int = 0
    nameless: int = 0
    crashed: int = 0
    different: int = 0
    litter: int = 0

    @property
    def clean(self) -> bool:
        """Whether nothing went wrong."""
        return not (self.halves or self.nameless or self.crashed or self.different or self.litter)


def judge(command: Command, place: Place, code: int, old: dict, new: dict, outcome: Outcome) -> None:
    """Look at what a broken command left, give it again, and count what is wrong."""
    outcome.trials += 1
    outcome.kills += code == -SIGKILL
    outcome.messages += code == NOT_ANSWERED
    outcome.crashed += code not in (0, NOT_ANSWERED, -SIGKILL)
    if code == NOT_ANSWERED and str(place.root / "disk") not in place.message.read_text():
        outcome.nameless += 1
    visible = {name: digest for name, digest in tree(place.out).items() if not name.startswith(".")}
    outcome.halves += visible not in (old, new)
    outcome.crashed += child(command, place) != 0
    after = tree(place.out)
    outcome.litter += any(PART not in name for name in set(after) - set(new))  # a build half made is swept in an hour
    outcome.different += any(after.get(name) != digest for name, digest in new.items())


def broken(command: Command, root: Path, trials: int) -> Iterator[tuple[str, Outcome]]:
    """Every fault of one command."""

    first = Place(root / "before")
    (first.root / "disk").mkdir(parents=True)
    first.out.mkdir()
    os.environ["MEDSSL_HOME"] = str(first.home)
    command.before(first)

    def place(name: str) -> Place:
        shutil.copytree(first.root, root / name, symlinks=True)
        os.environ["MEDSSL_HOME"] = str(Place(root / name).home)
        return Place(root / name)

    whole = place("whole")
    old = tree(whole.out)
    assert child(command, whole, at_write(whole, 0, die)) == 0, whole.message.read_text()
    new, points = tree(whole.out), len((whole.root / "points").read_text().split())
    chosen = range(1, points + 1, max(1, points // trials))
    for name, then, lasting in (("no space from a write on", no_space, True), ("kill -9 at a write", die, False)):
        outcome = Outcome()
        for number in chosen:
            at = place(f"{name[:4].strip()}-{number}")
            judge(command, at, child(command, at, at_write(at, number, then, lasting=lasting)), old, new, outcome)
            shutil.rmtree(at.root)
            print(f"\r{command.name}: {name}, {outcome.trials} of {len(chosen)}", end="", file=sys.stderr, flush=True)
        yield f"{name} ({len(chosen)} of {points})", outcome
    if os.geteuid() == 0 and (outcome := _small_disks(command, place, old, new)):
        yield "disk of a fixed size", outcome


SHARES = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
"""Room on the disks of a fixed size, as a share of what the command adds to one."""


def _small_disks(command: Command, place: Callable[[str], Place], old: dict, new: dict) -> Outcome | None:
    outcome, need = Outcome(), 0
    for share in (None, *SHARES):  # the first has room, and says how much is needed
        at = place(f"disk-{share}")
        disk, kept = at.root / "disk", at.root / "kept"
        disk.rename(kept)
        disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", disk]).returncode:
            return None
        try:
            subprocess.run(["cp", "-a", f"{kept}/.", str(disk)], check=True)
            (disk / "filler").write_bytes(b"\0")  # a page: on a disk of no pages there would be no limit
            before = _used(disk)
            if share is not None:
                _resize(disk, before + int(share * need))
            code = child(command, at)
            _resize(disk, 1 << 30)
            if share is None:
                need = _used(disk) - before
            else:
                judge(command, at, code, old, new, outcome)
        finally:
            subprocess.run(["umount", "-l", str(disk)], check=True)
    return outcome


def _used(disk: Path) -> int:
    found = os.statvfs(disk)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


def _resize(disk: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=25, help="write points of each command that are tried, about")
    parser.add_argument("--only", default="", help="commands whose name holds this text")
    options = parser.parse_args()
    print("| command | fault | trials | kills | messages | half | nameless | crashed | different | litter |")
    print("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    clean = True
    with tempfile.TemporaryDirectory() as folder:
        for number, command in enumerate(c for c in commands(Path(folder)) if options.only in c.name):
            for fault, found in broken(command, Path(folder) / f"broken-{number}", options.trials):
                print(
                    f"| {command.name} | {fault} | " + " | ".join(str(n) for n in vars(found).values()) + " |",
                    flush=True,
                )
                clean &= found.clean
    sys.exit(0 if clean else 1)


if __name__ == "__main__":
    main()
