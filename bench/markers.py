"""Markdown tables, and their places in a hand-written page: between `<!-- table NAME -->` and `<!-- end NAME -->`."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.errors import UserError
from bench.files import write_atomic

BEGIN, END = "<!-- table {} -->", "<!-- end {} -->"


def refresh(page: Path, tables: Mapping[str, str]) -> None:
    """Write the page anew with each table in its place. Raises UserError when a place is missing."""
    text = page.read_text(encoding="utf-8")
    for name, table in tables.items():
        text = replaced(text, name, table, where=page)
    write_atomic(page, text)


def replaced(text: str, name: str, table: str, *, where: object = None) -> str:
    """`text` with the named table put between its markers. Raises UserError when they are missing.

    >>> replaced("<!-- table a -->old<!-- end a -->", "a", "new")
    '<!-- table a -->\\nnew\\n<!-- end a -->'
    """
    begin, end = BEGIN.format(name), END.format(name)
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if not pattern.search(text):
        raise UserError(f"has no table {name!r}", where=where, fix=f"add the lines '{begin}' and '{end}'")
    return pattern.sub(lambda _: f"{begin}\n{table}\n{end}", text)


def table(head: Sequence[str], rows: Iterable[Sequence[Any]], *, right: Collection[int] = ()) -> str:
    """A Markdown table; cells are shown by `str`, the columns numbered in `right` stand flush right.

    >>> print(table(["a", "b"], [["x|y", 1]], right=[1]))
    | a | b |
    |---|--:|
    | x/y | 1 |
    """
    rule = "|" + "|".join("--:" if i in right else "---" for i in range(len(head))) + "|"
    lines = [f"| {' | '.join(str(cell).replace('|', '/') for cell in row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], rule, *lines[1:]])
