"""Where the analyses get their table: records on disk, or a saved long table."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bench.errors import UserError
from bench.leaderboard.frame import COLUMNS
from bench.strict import nearest


def read_results_table(path: Path | None = None, suite: str | None = None) -> pd.DataFrame:
    """The long table of a saved table (.parquet, .csv), a folder of results, or by default the shipped submissions.

    Raises UserError when there is nothing, when the suite is unknown, or when several suites are there and none is
    chosen (their results do not compare).
    """
    if path is not None and path.suffix in (".parquet", ".csv"):
        return _saved(path)
    from bench.leaderboard.collect import collect, default_roots

    roots, local = ([path], []) if path is not None else default_roots()
    found = {name: c for name, c in collect(roots, local=local).items() if len(c.frame)}
    if not found:
        raise UserError("holds no results", where=path or "submissions", fix="run an encoder first: medssl run")
    if suite is None and len(found) > 1:
        raise UserError(f"results of {len(found)} suites", fix=f"choose one: {', '.join(sorted(found))}")
    name = suite or next(iter(found))
    if name not in found:
        near = nearest(name, list(found))
        fix = f"did you mean {near!r}?" if near else f"one of: {', '.join(found)}"
        raise UserError(f"no results on the suite {name!r}", fix=fix)
    return found[name].frame


def _saved(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, low_memory=False)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read as a table: {str(error)[:200]}", where=path) from None
    if missing := [name for name in COLUMNS if name not in frame]:
        raise UserError(
            f"lacks the columns {', '.join(missing)}", where=path, fix="save bench.leaderboard's long table"
        )
    return frame


def read_diagnostics(path: Path) -> pd.DataFrame:
    """A CSV of label-free diagnostics: a column "encoder", then one column a diagnostic. Raises UserError."""
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read as a table: {str(error)[:200]}", where=path) from None
    if "encoder" not in frame or frame["encoder"].duplicated().any():
        raise UserError("needs a column 'encoder' with each name once", where=path)
    return frame.set_index("encoder")
