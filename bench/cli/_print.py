"""How the commands print: tables and live progress, through rich."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


def print_table(title: str, rows: Sequence[Mapping[str, object]], right: Sequence[str] = ()) -> None:
    """Print rows as one table; the columns are the keys of the first row, `right` names those aligned right."""
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
        table.add_row(*(escape("" if v is None else str(v)) for v in row.values()))
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
