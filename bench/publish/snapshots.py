"""The archive of the boards: what `data/history.json` holds."""

import json
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from bench.errors import UserError
from bench.strict import Line, Name, Prose, Sha256, Strict

MAX_BYTES = 64 * 1024**2


class Standing(Strict):
    """One row of a board as it stood."""

    encoder: Name
    version: Line
    title: Line
    badge: Line
    score: float | None
    low: float | None = None
    high: float | None = None
    rank: int | None = None
    rank_low: int | None = None
    rank_high: int | None = None
    tier: int | None = None


class BoardSnapshot(Strict):
    """One board as it stood."""

    suite: Name
    suite_title: Line
    fingerprint: Line
    aggregation: int = 1
    """How scores were averaged (bench.recipes.AGGREGATION)."""
    board: Name
    rows: Annotated[list[Standing], Field(max_length=100_000)]


class Snapshot(Strict):
    """Every board under one fingerprint of the data."""

    data: Sha256
    date: Line
    medssl: Line
    boards: list[BoardSnapshot]
    withdrawn: dict[Name, Prose] = {}


class History(Strict):
    """Every version, oldest first."""

    versions: list[Snapshot] = []


def read_history(path: Path) -> History:
    """The versions of an earlier site. Raises UserError when the file is not one of ours."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise UserError(f"is over the limit of {MAX_BYTES:,} bytes", where=path)
        return History.model_validate(json.loads(path.read_text(encoding="utf-8-sig")))
    except FileNotFoundError:
        raise UserError("no such file", where=path) from None
    except (ValueError, ValidationError, RecursionError) as error:
        raise UserError(f"is not a history of boards: {str(error)[:200]}", where=path) from None
