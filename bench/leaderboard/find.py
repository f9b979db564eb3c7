"""Results on disk, suite by suite; what cannot be read is named and stops nothing."""

from __future__ import annotations

import gc
from collections.abc import Callable, Container, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

from bench.errors import UserError
from bench.submissions.badge import Verification, read_verdicts, verdict_of
from bench.submissions.folder import Results, read_result, result_folders, unsealed_folders
from bench.words import Badge

Verdicts = Callable[[Path], dict[tuple[str, str], Verification]]
AHEAD = 2
"""Folders that are read at a time."""


class FoundResults(NamedTuple):
    """Results of one encoder on one suite. local: from a run folder of one's own, so without a verdict."""

    result: Results
    verdict: Verification | None
    local: bool

    @property
    def badge(self) -> Badge:
        """The trust state."""
        return self.verdict.badge if self.verdict and not self.verdict.problems else "declared"


@dataclass
class Found:
    """suites: suite -> encoder -> entry. left_out: folder -> why it is in none of them."""

    suites: dict[str, dict[str, FoundResults]] = field(default_factory=dict)
    left_out: dict[Path, str] = field(default_factory=dict)

    def add(self, entry: FoundResults) -> None:
        """Add the results of a folder, unless its encoder's name is taken."""
        result = entry.result
        suite, name = self.suites.setdefault(result.suite, {}), result.card.name
        if name not in suite:
            suite[name] = entry
        elif not entry.local or suite[name].result.card.sha256 != result.card.sha256:
            # one's own run of what has been submitted already goes without a word
            first = suite[name].result.folder
            self.left_out[result.folder] = f"the encoder name {name!r} is taken by {first}"


def suites_in(roots: Sequence[Path]) -> list[str]:
    """Names of the suites with results below some folders."""
    return sorted({folder.name for root in roots for folder in result_folders(root)})


def find(roots: Sequence[Path], local: Sequence[Path], suites: Container[str] | None = None) -> Found:
    """Results below submission folders (`roots`) and run folders of one's own (`local`), in this order.

    suites: only those of these suites are read; all by default.
    """
    found, verdicts = Found(), cache(read_verdicts)
    with _uncollected(), ThreadPoolExecutor(AHEAD) as pool:  # one unpacks while the other reads
        for root in [*roots, *local]:
            for folder in unsealed_folders(root):
                found.left_out[folder] = "is not finished; run the same command again"
            wanted = [folder for folder in result_folders(root) if suites is None or folder.name in suites]
            for folder, read in zip(wanted, pool.map(partial(_entry, root in local, verdicts), wanted), strict=True):
                if isinstance(read, str):
                    found.left_out[folder] = read
                else:
                    found.add(read)
    return found


def _entry(own: bool, verdicts: Verdicts, folder: Path) -> FoundResults | str:
    """The results in a folder, or why they cannot be read."""
    try:
        result = read_result(folder)
        return FoundResults(result, None if own else verdict_of(folder.parent, result.suite, verdicts), own)
    except UserError as error:
        return str(error)
    except (ArithmeticError, ValueError, LookupError, RecursionError, MemoryError) as error:
        # A stranger's folder must not stop the boards of everybody, whatever no check thought of.
        return f"cannot be read ({type(error).__name__}: {str(error)[:200]})"


@contextmanager
def _uncollected() -> Iterator[None]:
    """Inside, no garbage is collected: records are trees of small objects, and hold none."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()
