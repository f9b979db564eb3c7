"""How the commands print: tables and live progress, through rich."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

WIDE = 400
"""Columns where the output is no terminal: a row stays one line, for grep and for logs."""

out = Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else WIDE)
err = Console(stderr=True, highlight=False)


def print_table(
    title: str, rows: Sequence[Mapping[str, object]], right: Sequence[str] = (), cut: Sequence[str] = ()
) -> None:
    """Print rows as one table whose columns are the keys of the first row.

    right: columns aligned right. cut: columns that end in an ellipsis where the terminal is too narrow; others wrap.
    """
    table = Table(title=escape(title), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in rows[0] if rows else ():
        numeric = column in right
        table.add_column(
            column.replace("_", " "),
            justify="right" if numeric else "left",
            no_wrap=numeric or column == "name",
            overflow="fold",
        )
    for row in rows:
        texts = {column: "" if value is None else str(value) for column, value in row.items()}
        table.add_row(
            *(Text(t, no_wrap=True, overflow="ellipsis") if c in cut else escape(t) for c, t in texts.items())
        )
    out.print(table)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress display on standard error; silent lines when it is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=err, transient=False) as progress:
        yield progress


def interval_text(value: float, low: float | None, high: float | None) -> str:
    """ "0.912 [0.880, 0.941]", or the value alone."""
    return f"{value:.3f}" if low is None or high is None else f"{value:.3f} [{low:.3f}, {high:.3f}]"
