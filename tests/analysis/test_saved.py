"""A saved table is read as it was written, or refused with one message: never as other numbers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from bench.analysis.saved import read_saved
from bench.analysis.source import read_diagnostics
from bench.errors import UserError
from tests.analysis.planted import SimulationDesign, plant

FRAME = plant(SimulationDesign(encoders=4))
AT = 7


def but(**cells: object) -> pd.DataFrame:
    """The table with other values in one row."""
    frame = FRAME.copy()
    for column, value in cells.items():
        frame[column] = frame[column].astype(object)
        frame.loc[AT, column] = value
    return frame


def text(frame: pd.DataFrame = FRAME, **options: str) -> str:
    return frame.to_csv(index=False, **options)


@pytest.mark.parametrize(
    "made",
    [
        lambda: text(),
        lambda: "\ufeff" + text(),
        lambda: text().replace("\n", "\r\n"),
        lambda: text(FRAME[sorted(FRAME.columns)].assign(x=1)),
        lambda: text().replace("True", "TRUE").replace("False", "FALSE"),
    ],
    ids=["as it is", "byte-order mark", "crlf", "other order and one column more", "of a spreadsheet"],
)
def test_what_says_the_same_is_read_alike(tmp_path: Path, made: Callable[[], str]) -> None:
    (tmp_path / "t.csv").write_bytes(made().encode())
    found = read_saved(tmp_path / "t.csv")[list(FRAME.columns)]
    pd.testing.assert_frame_equal(found, FRAME, check_dtype=False, check_exact=True)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"value": float("nan")}, "'value' lacks a number"),
        ({"value": float("inf")}, "'value' holds a number that nothing measures"),
        ({"value": "0,9"}, "'value' holds other values than numbers"),
        ({"value": 7.0}, "is 7 in .*, which no predictions have"),
        ({"score": 0.123}, "is not what its value and chance give"),
        ({"score": ""}, "is not what its value and chance give"),
        ({"chance": 1.0}, "'chance' holds 1 or more"),
        ({"low": 2.0, "high": 1.0}, "ends before it begins"),
        ({"primary": "yes"}, "'primary' holds other values than True and False"),
        ({"budget": "10"}, "'budget' holds '10'"),
        ({"budget": "100 %"}, "'budget' holds '100 %'"),
        ({"budget": "50%"}, "is not its budget"),
        ({"seed": 0.5}, "'seed' holds other values than counts"),
        ({"seed": "x"}, "'seed' holds other values than numbers"),
        ({"n_labels": -5}, "'n_labels' holds other values than counts"),
        ({"parameters": "many"}, "'parameters' holds other values than numbers"),
        ({"protocol": ""}, "'protocol' holds 'nan'"),
        ({"protocol": "LINEAR-V1"}, "'protocol' holds 'LINEAR-V1'"),
        ({"encoder": "a "}, "'encoder' holds 'a '"),
        ({"paradigm": "supervized"}, "'paradigm' holds 'supervized'"),
        ({"paradigm": "hybrid"}, "says two things of the encoder"),
        ({"modality": "x-ray"}, "'modality' holds 'x-ray'"),
        ({"modality": "pet"}, "says two things of the task"),
        ({"kind": "Global"}, "'kind' holds 'Global'"),
        ({"split": "Test"}, "'split' holds 'Test'"),
        ({"split": "train"}, "a primary metric is of the split 'train'"),
        ({"metric": "dice"}, "'dice', which is no metric of the target"),
        ({"contaminated": "perhaps"}, "'contaminated' holds 'perhaps'"),
    ],
    ids=lambda given: " ".join(f"{k} {v}" for k, v in given.items()) if isinstance(given, dict) else "",
)
def test_a_value_that_nothing_writes_is_refused(tmp_path: Path, changed: dict, message: str) -> None:
    (tmp_path / "t.csv").write_text(text(but(**changed)))
    with pytest.raises(UserError, match=message):
        read_saved(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: text(pd.concat([FRAME, FRAME.iloc[[AT]]])), "has two rows of one number"),
        (lambda: text(pd.concat([FRAME, FRAME.iloc[[AT]].assign(value=0.5, score=0.0)])), "has two rows of one number"),
        (lambda: text(sep=";", decimal=","), "lacks the columns encoder"),
        (lambda: text(decimal=","), "'value' holds other values than numbers|'fraction' holds other"),
        (lambda: text().splitlines()[0], "holds no rows"),
        (lambda: "", "cannot be read as a table"),
        (lambda: text()[: len(text()) // 2].rpartition("\n")[0] + "\nabc", "holds 'nan', expected a text"),
        (lambda: text(pd.concat([FRAME, FRAME["value"]], axis=1)), "holds the column value twice"),
        (lambda: FRAME.to_json(orient="records"), "its first line is longer than"),
    ],
    ids=["a row twice", "two values of one", "semicolons", "decimal commas", "a head alone", "nothing", "cut off",
         "a column twice", "json"],
)  # fmt: skip
def test_a_file_that_is_another_is_refused(tmp_path: Path, made: Callable[[], str], message: str) -> None:
    (tmp_path / "t.csv").write_text(made())
    with pytest.raises(UserError, match=message):
        read_saved(tmp_path / "t.csv")


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["folder", "fifo", "device"]
)
def test_what_is_no_file_is_not_waited_for(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "t.csv")
    for read in (read_saved, read_diagnostics):
        with pytest.raises(UserError, match="is no file"):
            read(tmp_path / "t.csv")


@pytest.mark.parametrize("value", ["much", "inf"])
def test_diagnostics_are_numbers(tmp_path: Path, value: str) -> None:
    (tmp_path / "d.csv").write_text(f"encoder,rankme\na,1\nb,{value}\n")
    with pytest.raises(UserError, match="'rankme' holds other values than numbers"):
        read_diagnostics(tmp_path / "d.csv")
