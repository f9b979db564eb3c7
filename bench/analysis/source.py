"""Where the analyses get their table: records on disk, or a saved long table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from bench.encoders.card import EncoderCard
from bench.errors import UserError
from bench.leaderboard.frame import COLUMNS
from bench.locate import shipped
from bench.strict import nearest


class ResultsTable(NamedTuple):
    """The long table, and the shipped diagnostics of its encoders where there are any."""

    frame: pd.DataFrame
    diagnostics: pd.DataFrame | None


def read_results_table(path: Path | None = None, suite: str | None = None) -> ResultsTable:
    """The results of a saved table (.parquet, .csv), of a folder, or by default of the shipped submissions.

    Raises UserError when there is nothing, when the suite is unknown, or when several suites are there and none is
    chosen (their results do not compare).
    """
    if path is not None and path.suffix in (".parquet", ".csv"):
        return ResultsTable(_saved(path), None)
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
    return ResultsTable(found[name].frame, shipped_diagnostics(name, found[name].cards))


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
    return _diagnosed(path).drop(columns="card_sha256", errors="ignore")


def shipped_diagnostics(suite: str, cards: Mapping[str, EncoderCard]) -> pd.DataFrame | None:
    """Those of `submissions/diagnostics-SUITE.csv` that were measured with these very cards; None without any."""
    path = shipped("submissions") / f"diagnostics-{suite}.csv"
    if not path.is_file():
        return None
    frame = _diagnosed(path)
    if "card_sha256" not in frame:
        raise UserError("needs a column 'card_sha256'", where=path, fix="write it with benchmarks/diagnostics.py")
    same = [name in cards and cards[name].sha256 == row.card_sha256 for name, row in frame.iterrows()]
    return frame[same].drop(columns="card_sha256") if any(same) else None


def _diagnosed(path: Path) -> pd.DataFrame:
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read as a table: {str(error)[:200]}", where=path) from None
    if "encoder" not in frame or frame["encoder"].duplicated().any():
        raise UserError("needs a column 'encoder' with each name once", where=path)
    return frame.set_index("encoder")
