"""A long table that somebody saved, and perhaps a spreadsheet had since: what it says is checked before it counts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
from pandas.api.types import is_bool_dtype, is_numeric_dtype

from bench.budget import Budget
from bench.errors import UserError
from bench.files import first_bytes
from bench.leaderboard.frame import COLUMNS, normalised
from bench.metrics.interval import MOST
from bench.protocols.base import base_split
from bench.strict import named, one_line
from bench.submissions.consistent import EXACT, values_of
from bench.words import MODALITIES, PARADIGMS, TESTS, Badge, Extent, Kind, Target

WORDS = {
    "paradigm": (*PARADIGMS, "unknown"), "kind": get_args(Kind), "modality": MODALITIES, "extent": get_args(Extent),
    "target": get_args(Target), "badge": get_args(Badge), "contaminated": ("yes", "no", "unknown"),
    "takes": ("image", "volume"),
}  # fmt: skip
NAMES, LINES = ("encoder", "task", "protocol"), ("origin", "corpus", "split", "metric", "board", "method")
COUNTS = ("parameters", "seed", "n_labels", "scoring", "size")
AMOUNTS = ("flops", "volume_seconds", "volume_memory_mb", "pretrain_images", "labels_per_class", "fraction")
KEY = ("suite", "encoder", "task", "protocol", "budget", "seed", "split", "metric")
OF_TASK = ("kind", "modality", "extent", "target", "origin", "corpus", "synthetic", "left_out")
OF_ENCODER = ("paradigm", "objective", "method", "architecture", "controlled_track", "comparable", "repeat_of")
HEAD = 1 << 16
"""Bytes that the names of all columns need at most."""
ROUNDED = 1e-6
"""By how much a score may differ from what its value and the chance of a guess give."""


def read_saved(path: Path) -> pd.DataFrame:
    """A table with the columns of `bench.leaderboard.frame.COLUMNS`, of a .csv or .parquet file. Raises UserError."""
    if not path.is_file():
        raise UserError("is no file", where=path, fix="give a table that 'medssl runs export' wrote")
    head = first_bytes(path, HEAD) or b""
    if path.suffix == ".csv" and len(head) == HEAD and not {*b"\r\n"} & {*head}:
        raise UserError(f"is no table: its first line is longer than {HEAD:,} bytes", where=path)
    try:
        frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, low_memory=False)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot be read as a table: {str(error)[:200]}", where=path) from None
    if missing := [name for name in COLUMNS if name not in frame]:
        fix = "save bench.leaderboard's long table, with commas between columns and points in numbers"
        raise UserError(f"lacks the columns {', '.join(missing)}", where=path, fix=fix)
    if twice := [name for name in COLUMNS if f"{name}.1" in frame]:
        raise UserError(f"holds the column {twice[0]} twice", where=path)
    if frame.empty:
        raise UserError("holds no rows", where=path, fix="give a table that 'medssl runs export' wrote")
    if wrong := next(_wrong(frame), None):
        raise UserError(wrong, where=path, fix="export the results again: medssl runs export")
    return frame


def _wrong(frame: pd.DataFrame) -> Iterator[str]:
    """What is wrong with a table, in words."""
    yield from _texts(frame)
    yield from _numbers(frame)
    yield from _scores(frame)
    key = [name for name in KEY if name in frame]
    if (twice := frame.duplicated(key)).any():
        yield f"has two rows of one number: {_row(frame, twice)} is told twice"
    for owner, columns in (("task", OF_TASK), ("encoder", OF_ENCODER)):
        for column in columns:
            several = frame[[owner, column]].drop_duplicates()[owner]
            if (again := several.duplicated()).any():
                yield f"says two things of the {owner} {several[again].iloc[0]!r}: {column} differs between rows"


def _texts(frame: pd.DataFrame) -> Iterator[str]:
    checks = dict.fromkeys(NAMES, named) | dict.fromkeys(LINES, one_line) | {"budget": Budget}
    for column in (*checks, *WORDS):
        for value in frame[column].unique():
            if not isinstance(value, str) or value != value.strip():
                yield f"column {column!r} holds {str(value)[:60]!r}, expected a text"
            elif column in WORDS and value not in WORDS[column]:
                yield f"column {column!r} holds {value[:60]!r}, expected one of {', '.join(WORDS[column])}"
            else:
                try:
                    checks.get(column, str)(value)
                except ValueError as error:
                    yield f"column {column!r} holds {value[:60]!r}: {error}"
    splits = [str(split) for split in frame["split"].unique()]
    if strange := next((s for s in splits if base_split(s) not in (*TESTS, "train")), None):
        yield f"column 'split' holds {strange[:60]!r}, expected one of {', '.join(TESTS)}"
    for column in ("primary", "synthetic"):
        if not is_bool_dtype(frame[column]):
            yield f"column {column!r} holds other values than True and False"
            return
    if (frame["primary"] & (frame["split"] == "train")).any():
        yield "a primary metric is of the split 'train'"


def _numbers(frame: pd.DataFrame) -> Iterator[str]:
    for column in ("value", "chance", "score", "low", "high", *COUNTS, *AMOUNTS):
        numbers = frame[column]
        if not is_numeric_dtype(numbers) and numbers.notna().any():
            yield f"column {column!r} holds other values than numbers"
            return
        found = numbers.to_numpy(float, na_value=np.nan)
        if column in ("value", "chance", *COUNTS) and np.isnan(found).any():
            yield f"column {column!r} lacks a number"
        if column in COUNTS and ((found < 0) | (found != np.floor(found))).any():
            yield f"column {column!r} holds other values than counts"
        if np.isinf(found).any() or (column in AMOUNTS and (found < 0).any()):
            yield f"column {column!r} holds a number that nothing measures"


def _scores(frame: pd.DataFrame) -> Iterator[str]:
    for (name, target), rows in frame.groupby(["metric", "target"], observed=True):
        if (ends := values_of(name, target)) is None:
            yield f"holds {name[:60]!r}, which is no metric of the target {target!r}"
            continue
        low, high = max(ends[0], -MOST), min(ends[1], MOST)
        if (beyond := (rows["value"] < low - EXACT) | (rows["value"] > high + EXACT)).any():
            yield f"{name[:60]} is {rows['value'][beyond].iloc[0]:g} in {_row(rows, beyond)}, which no predictions have"
    if (crossed := frame["low"] > frame["high"]).any():
        yield f"the interval of {_row(frame, crossed)} ends before it begins"
    primary = frame[frame["primary"]]
    if (primary["chance"] >= 1).any():
        yield "column 'chance' holds 1 or more, where no score can be above a guess"
    off = (primary["score"] - normalised(primary["value"], primary["chance"])).abs()
    if (apart := ~(off <= ROUNDED)).any():
        yield f"the score of {_row(primary, apart)} is not what its value and chance give"
    shares = frame["budget"].map({text: Budget(text).share for text in frame["budget"].unique()})
    if (other := (shares - frame["fraction"]).abs() > ROUNDED).any():
        yield f"the fraction of {_row(frame, other)} is not its budget"


def _row(frame: pd.DataFrame, where: pd.Series) -> str:
    """The first row of those, in words."""
    row = frame[where].iloc[0]
    return f"{row['encoder']} on {row['task']}, {row['protocol']} at {row['budget']}, {row['metric']}"[:200]
