"""What scores on one's own tasks stand beside: encoders that learned nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from bench.cli._print import interval_text

if TYPE_CHECKING:
    from bench.leaderboard.board import Board
    from bench.leaderboard.collect import SuiteResults

REFERENCES = ("raw-pixels", "random-init-cnn")
"""The image itself, and a network with random weights: a pretraining that does not beat them has taught nothing."""


def heading(reference: str) -> str:
    """Title of the column of differences to a reference."""
    return f"over {reference} [95 %]"


def on_board(table: Board, encoder: str, collection: SuiteResults) -> dict[str, str]:
    """On one's own tasks, how far an encoder's score lies over each reference on the board, paired: heading -> text."""
    whole = {row.encoder for row in table.rows if not row.missing}
    cells = {}
    for reference in REFERENCES if collection.origin and encoder in whole else ():
        if reference in whole:
            found = table.against(reference).get(encoder)
            cells[heading(reference)] = interval_text(found.value, found.low, found.high) if found else ""
    return cells


def on_tasks(collection: SuiteResults, encoder: str) -> dict[tuple[str, str, str], str]:
    """The same task by task with all labels: (task, protocol, heading) -> text."""
    from bench.leaderboard.compare import compare

    return {
        (row.task, row.protocol, heading(reference)): interval_text(row.difference, row.low, row.high)
        for reference in REFERENCES
        if collection.origin and reference != encoder and {reference, encoder} <= set(collection.results)
        for row in compare(collection, encoder, reference)
    }


def hint(collections: Sequence[SuiteResults]) -> Iterator[str]:
    """On suites of one's own tasks, the commands that add the references which have no result yet."""
    lines = [line for collection in collections for line in _lacking(collection)]
    if lines:
        yield "What do encoders reach that learned nothing? Score them once:"
        yield from lines


def _lacking(collection: SuiteResults) -> Iterator[str]:
    if not (collection.origin and collection.plan):
        return
    base = f" --suite {quote(collection.plan.base)}" if collection.plan.base else ""
    out = next((result.folder.parent.parent for result in collection.results.values()), Path("runs"))
    to = "" if out == Path("runs") else f" --out {quote(str(out))}"
    for name in REFERENCES:
        if name not in collection.results:
            yield f"  medssl run {name}{base} --tasks {quote(_near(collection.origin))}{to}"


def _near(path: Path) -> str:
    """The path as one would type it here."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
