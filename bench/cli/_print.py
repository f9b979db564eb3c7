"""How the commands print: tables and live progress, through rich."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from bench.analysis.source import ResultsTable

WIDE = 400
"""Columns where the output is no terminal: a row stays one line, for grep and for logs."""
FEWEST, GAP = 10, 3
"""Letters that a column cut short still shows, and the room between columns."""

SILENCE = 10.0
"""Seconds after which a command that is not watched on a terminal says what it is doing."""

out = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE)
err = Console(stderr=True, highlight=False)


def print_table(
    title: str, rows: Sequence[Mapping[str, object]], right: Sequence[str] = (), cut: Sequence[str] = ()
) -> None:
    """Print rows as one table whose columns are the keys of the first row.

    right: columns aligned right. cut: columns that end in an ellipsis where the terminal is too narrow, and are left
    out, the last one first, where not even `FEWEST` letters of each would fit; others wrap. Where nothing more can go,
    lines are longer than the terminal is wide.
    """
    if not rows:
        out.print(escape(title))
        return
    texts = [{c: "" if value is None else str(value) for c, value in row.items()} for row in rows]
    columns = _fitting(texts, cut)
    whole = {*right, "name", "encoder"}
    widths = {c: max(len(c), *(len(row[c]) for row in texts)) for c in columns}
    least = sum(w if c in whole else min(w, FEWEST) for c, w in widths.items()) + GAP * len(columns)
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.width = least if least > out.width else None
    for column in columns:
        table.add_column(
            column.replace("_", " "),
            justify="right" if column in right else "left",
            no_wrap=column in whole,
            overflow="fold",
        )
    for row in texts:
        table.add_row(
            *(Text(row[c], no_wrap=True, overflow="ellipsis") if c in cut else escape(row[c]) for c in columns)
        )
    out.print(table, crop=False)


def _fitting(texts: Sequence[Mapping[str, str]], cut: Sequence[str]) -> list[str]:
    """The columns there is room for: those of `cut` go, the last one first, while the table is too wide."""
    columns = list(texts[0])
    widths = {c: max(len(c), *(len(row[c]) for row in texts)) for c in columns}
    least = {c: min(w, FEWEST) if c in cut else w for c, w in widths.items()}
    for column in reversed([c for c in columns if c in cut]):
        if sum(least[c] for c in columns) + GAP * len(columns) <= out.width:
            break
        columns.remove(column)
    return columns


def say_left_out(folders: Mapping[Path, str], encoders: Mapping[str, Mapping[str, str]] | None = None) -> None:
    """Say on standard error which folders of results were not used, and of which suite's encoders something was not."""
    reasons = {str(folder): why.removeprefix(f"{folder}: ") for folder, why in folders.items()}
    reasons |= {
        f"{name} on {suite}": why for suite, by_name in (encoders or {}).items() for name, why in by_name.items()
    }
    for what, why in reasons.items():
        err.print(f"Left out: {what}: {why}", markup=False, soft_wrap=True)


def say_missing(missing: Mapping[str, Exception]) -> None:
    """Say on standard error why the data of tasks could not be had, without which intervals are approximated."""
    for task, why in missing.items():
        err.print(f"Without its data: {task}: {why}", markup=False, soft_wrap=True)


def say_source(found: ResultsTable) -> None:
    """Say on standard error what an answer rests on where that was not asked for: its suite, and what was left out."""
    if found.others:
        names = " or ".join(f"--suite {name}" for name in found.others)
        err.print(f"On the results of {found.suite}; there are also those of {names}", markup=False, soft_wrap=True)
    for what, why in found.left_out.items():
        err.print(f"Left out: {what}: {why.removeprefix(f'{what}: ')}", markup=False, soft_wrap=True)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress display on standard error; where that is no terminal, nothing before the end."""
    with Progress(*_columns(), console=err, transient=False) as progress:
        yield progress


@contextmanager
def transient_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """A bar that is told (done, total), shown on a terminal only and gone when `what` is done."""
    # Standard output goes past the bar, and must not go into it where it is a file.
    here, stdout = err.is_terminal, sys.stdout.isatty()
    shown = Progress(*_columns(), console=err, transient=True, disable=not here, redirect_stdout=stdout)
    with shown:

        def seen(done: int, total: int) -> None:
            row = shown.task_ids[0] if shown.task_ids else shown.add_task(what)
            shown.update(row, completed=done, total=total, visible=done < total)

        yield seen


@contextmanager
def passing_line() -> Iterator[Callable[[str], None]]:
    """Shows what takes the time in one line that is gone afterwards; off a terminal, a plain line now and then."""
    if not err.is_terminal:
        yield now_and_then()
        return
    with err.status("") as status:
        yield lambda line: status.update(escape(line))


def now_and_then() -> Callable[[str], None]:
    """Prints the first line it is told after each `SILENCE`, on standard error."""
    last = time.monotonic()

    def told(line: str) -> None:
        nonlocal last
        if time.monotonic() - last >= SILENCE:
            last = time.monotonic()
            err.print(line, markup=False, soft_wrap=True)

    return told


def _columns() -> tuple[ProgressColumn, ...]:
    return (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )


def interval_text(value: float, low: float | None, high: float | None) -> str:
    """ "0.912 [0.880, 0.941]", or the value alone; what rounds to zero has no sign.

    >>> interval_text(-0.0001, -0.2, 0.0)
    '0.000 [-0.200, 0.000]'
    """
    return f"{value:z.3f}" if low is None or high is None else f"{value:z.3f} [{low:z.3f}, {high:z.3f}]"
