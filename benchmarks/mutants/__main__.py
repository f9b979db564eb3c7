"""Change the code a little, in every way that `change` knows, and count how often a test notices.

    python -m benchmarks.mutants [--module bench/metrics/resample.py] [--sample 20] [--jobs 2] [--kept FOLDER] [--hand]

Without --module every module of metrics, protocols, budgets, leaderboard and analysis is changed; --sample takes that
many mutants of each, always the same ones. A mutant is run with the tests that call the changed function, in a fork of
one process that has imported everything; the tests of a module are its doctests and the files that `hand.toml` names
for it, or else those of its package. --hand runs the mutants of `hand.toml`, which someone once made and no test
noticed. Survivors that `survivors.toml` explains count apart. Exit status 1: a hand-made mutant survives, or under 95 %
of the others are noticed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tomllib
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path

from bench.files import sha256_file, write_atomic
from benchmarks.mutants.change import Mutant, mutants
from benchmarks.mutants.trial import Reach, killed, reach, start, warm

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).parent
FOLDERS = ("bench/metrics", "bench/protocols", "bench/leaderboard", "bench/analysis")
MODULES = ("bench/data/budgets.py",)
TARGET = 0.95
HAND_CPU = 120.0
"""Seconds of processor time that the tests of a hand-made mutant may take."""


@dataclass
class Outcome:
    """What became of a module's mutants."""

    killed: int = 0
    explained: int = 0
    survived: list[Mutant] = field(default_factory=list)

    @property
    def run(self) -> int:
        """Mutants that were run."""
        return self.killed + self.explained + len(self.survived)


def table(name: str) -> dict:
    """One of the TOML files beside this one."""
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


def modules() -> list[str]:
    """Paths of every module that is changed."""
    found = [p.relative_to(ROOT).as_posix() for folder in FOLDERS for p in sorted((ROOT / folder).rglob("*.py"))]
    return [*MODULES, *found]


def tests_of(module: str) -> list[str]:
    """The tests of a module: its doctests and the files that `hand.toml` names, or else all those of its package.

    Modules of a package have the same ones, so that these are traced once.
    """
    if module in (named := table("hand.toml")["tests"]):
        return [module, *named[module]]
    package = Path(module).parts[1]
    every = sorted(p.relative_to(ROOT).as_posix() for p in (ROOT / "tests" / package).rglob("test_*.py"))
    return [f"bench/{package}", *every]


def chosen(module: str, sample: int | None) -> list[Mutant]:
    """The mutants of a module, or a fixed sample of them."""
    path = ROOT / module
    found = list(mutants(module, path.read_text(encoding="utf-8"), str(path)))
    found.sort(key=lambda m: sha256("\0".join(m.key).encode()).digest())
    return found[:sample]


def hand_made() -> Iterator[tuple[Mutant, list[str]]]:
    """Mutants of `hand.toml`, each with its tests; one whose text is not there exactly once is not run with any."""
    for entry in table("hand.toml")["mutant"]:
        path = ROOT / entry["module"]
        source = path.read_text(encoding="utf-8")
        there = source.count(entry["old"]) == 1
        code = compile(source.replace(entry["old"], entry["new"]), str(path), "exec")
        name = entry["name"] if there else f"{entry['name']}: its text is gone, write it anew"
        yield Mutant(entry["module"], "", 1, name, code), entry["tests"] if there else []


def attempt(work: list[tuple[Mutant, list[str], float]], jobs: int) -> Iterator[tuple[Mutant, bool]]:
    """Run each mutant with its tests, `jobs` at once: (mutant, whether it was noticed)."""
    running: dict[int, Mutant] = {}
    for mutant, tests, seconds in work:
        if not tests:
            yield mutant, False
            continue
        while len(running) >= jobs:
            yield _finished(running)
        running[start(mutant.code, ROOT / mutant.module, tests, seconds, afresh=not mutant.function)] = mutant
    while running:
        yield _finished(running)


def _finished(running: dict[int, Mutant]) -> tuple[Mutant, bool]:
    pid, status = os.wait()
    return running.pop(pid), killed(status)


def run_modules(names: list[str], sample: int | None, jobs: int, kept: Path | None) -> dict[str, Outcome]:
    """Every (sampled) mutant of the modules."""
    explained = {(s["module"], s["function"], s["what"]) for s in table("survivors.toml").get("survivor", [])}
    by_tests: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for name in names:
        by_tests[tuple(tests_of(name))].append(name)
    outcomes: dict[str, Outcome] = defaultdict(Outcome)
    for tests, mine in by_tests.items():
        warm(tests)
        reached = _traced(list(tests), kept)
        work = [(m, *_with(reached, m)) for name in mine for m in chosen(name, sample)]
        left = Counter(mutant.module for mutant, *_ in work)
        for mutant, noticed in attempt(work, jobs):
            outcome = outcomes[mutant.module]
            if noticed:
                outcome.killed += 1
            elif mutant.key in explained:
                outcome.explained += 1
            else:
                outcome.survived.append(mutant)
                print(
                    f"survived: {mutant.module}:{mutant.line} {mutant.function or '(module)'}: {mutant.what}",
                    flush=True,
                )
            left[mutant.module] -= 1
            if not left[mutant.module]:
                print(line_of(mutant.module, outcome), flush=True)
    return outcomes


def _traced(tests: list[str], kept: Path | None) -> Reach:
    """What each test calls, from the folder `kept` where a run of the same sources left it."""
    sources = sorted(p for folder in ("bench", "tests") for p in (ROOT / folder).rglob("*.py"))
    state = sha256("\0".join([*tests, *(sha256_file(p) for p in sources)]).encode()).hexdigest()
    path = kept and kept / f"reach-{state[:16]}.json"
    if path and path.is_file():
        return Reach(**json.loads(path.read_text()))
    found = reach(ROOT, tests)
    if path:
        write_atomic(path, json.dumps(asdict(found)))
    return found


def _with(reached: Reach, mutant: Mutant) -> tuple[list[str], float]:
    tests = reached.tests(mutant.module, mutant.function)
    if not mutant.function:  # a constant is read without a call that could be traced
        tests = [*table("hand.toml")["constants"].get("/".join(Path(mutant.module).parts[:2]), []), *tests]
    return tests, sum(reached.seconds.get(t, 0.0) for t in tests)


def line_of(name: str, outcome: Outcome) -> str:
    """A module's row of the table."""
    share = (outcome.killed + outcome.explained) / outcome.run if outcome.run else 1.0
    counts = f"{outcome.run:5} run, {outcome.killed:5} noticed, {outcome.explained:3} explained"
    return f"{name:44} {counts}, {len(outcome.survived):3} not, {100 * share:5.1f} %"


def run_hand(jobs: int) -> list[str]:
    """The hand-made mutants that no test notices."""
    entries = list(hand_made())
    warm(sorted({t for _, tests in entries for t in tests}))
    found = []
    for mutant, noticed in attempt([(mutant, tests, HAND_CPU) for mutant, tests in entries], jobs):
        print(f"{'noticed ' if noticed else 'SURVIVED'} {mutant.what}", flush=True)
        found += [] if noticed else [mutant.what]
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--module", action="append", help="path of a module, or a folder of them")
    parser.add_argument("--sample", type=int, help="mutants of each module")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--kept", type=Path, help="folder for what each test calls, so that a later run need not trace")
    parser.add_argument("--hand", action="store_true", help="the hand-made mutants only")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    if arguments.hand:
        return int(bool(run_hand(arguments.jobs)))
    wanted = arguments.module or [""]
    names = [m for m in modules() if m.startswith(tuple(wanted))]
    outcomes = run_modules(names, arguments.sample, arguments.jobs, arguments.kept)
    total = Outcome(*(sum(getattr(o, f) for o in outcomes.values()) for f in ("killed", "explained")),
                    [m for o in outcomes.values() for m in o.survived])  # fmt: skip
    print(line_of("all", total))
    return int(total.killed + total.explained < TARGET * total.run)


if __name__ == "__main__":
    sys.exit(main())
