"""Where the analyses get their table: records on disk, or a saved long table."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from bench.analysis.saved import read_saved
from bench.data.task import read_suite, suite_names
from bench.discover import pick
from bench.encoders.card import EncoderCard
from bench.errors import UserError
from bench.locate import shipped


class ResultsTable(NamedTuple):
    """The long table of a suite, and the shipped diagnostics of its encoders where there are any.

    others: suites with results that were not asked for. left_out: encoder or folder -> why it is not in the table.
    """

    frame: pd.DataFrame
    diagnostics: pd.DataFrame | None
    suite: str | None = None
    others: Sequence[str] = ()
    left_out: Mapping[str, str] = {}


def read_results_table(path: Path | None = None, suite: str | None = None, *, beside: bool = False) -> ResultsTable:
    """The results of a saved table (.parquet, .csv), of a folder, or by default of the shipped submissions.

    beside: a folder's results count beside the shipped ones of the same suite, not alone. Without a suite, real images
    go before synthetic ones. Raises UserError when there is nothing, when the suite is unknown, or when several suites
    are in a folder and none is chosen (their results do not compare).
    """
    if path is not None and path.suffix in (".parquet", ".csv"):
        return _of_suite(read_saved(path), suite)
    from bench.leaderboard.collect import collect, default_roots
    from bench.leaderboard.find import suites_in

    roots, local = ([path], []) if path is not None else default_roots()
    if path is not None and beside:
        own = [name for name, c in collect([path]).items() if len(c.frame)]
        suite = suite or _one_of(own, None, default=False) if own else suite
        roots = [path, *default_roots()[0]]
    there = suites_in([*roots, *local])
    for wanted in (_wanted(there, suite, default=path is None), there):
        gathered = collect(roots, local=local, suites=wanted)
        if found := {name: c for name, c in gathered.items() if len(c.frame)}:
            break
    left_out = {str(folder): why for folder, why in gathered.left_out.items()}
    if not found:
        raise UserError("holds no results", where=path or "submissions", fix="run an encoder first: medssl run")
    real_first = sorted(found, key=lambda name: (bool(found[name].frame["synthetic"].all()), -len(found[name].frame)))
    name = _one_of(real_first, suite, default=path is None)
    left_out |= found[name].left_out
    others = [other for other in there if other != name] if suite is None else []
    frame = found[name].frame
    return ResultsTable(frame, shipped_diagnostics(name, found[name].cards), name, others, left_out)


def _wanted(there: Sequence[str], suite: str | None, *, default: bool) -> Collection[str]:
    """The suites to read: that asked for, or where one is chosen by default the shipped ones of real images."""
    if suite is not None:
        return [suite] if suite in there else there
    cards = shipped("tasks") / "suites"
    ours = [name for name in there if name in suite_names()] if default else []
    return [name for name in ours if not read_suite(cards / f"{name}.toml").synthetic] or there


def _of_suite(frame: pd.DataFrame, suite: str | None) -> ResultsTable:
    """A saved table, of one suite where it names several."""
    if "suite" not in frame:
        return ResultsTable(frame, None)
    name = _one_of(list(dict.fromkeys(frame["suite"])), suite, default=False)
    return ResultsTable(frame[frame["suite"] == name].drop(columns="suite"), None, name)


def _one_of(found: Collection[str], suite: str | None, *, default: bool) -> str:
    """The suite asked for, the only one, or (default) the first that is shipped."""
    if suite is not None:
        pick(dict.fromkeys(found), suite, what="suite, or one without results:")
        return suite
    shipped_ones = [name for name in found if name in suite_names()]
    if len(found) > 1 and not (default and shipped_ones):
        raise UserError(f"results of {len(found)} suites", fix=f"choose one with --suite: {', '.join(sorted(found))}")
    return shipped_ones[0] if len(found) > 1 else next(iter(found))


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
    if not path.is_file():
        raise UserError("is no file", where=path)
    try:
        frame = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read as a table: {str(error)[:200]}", where=path) from None
    if "encoder" not in frame or frame["encoder"].duplicated().any():
        raise UserError("needs a column 'encoder' with each name once", where=path)
    numbers = frame.drop(columns=["encoder", "card_sha256"], errors="ignore")
    if odd := next((n for n in numbers if not is_numeric_dtype(numbers[n]) or np.isinf(numbers[n]).any()), None):
        raise UserError(f"column {str(odd)[:60]!r} holds other values than numbers", where=path)
    return frame.set_index("encoder")
