"""Results that were taken back: `withdrawn.toml` of a submissions folder."""

import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from bench.strict import Line, Name, Prose, Strict, read_toml


class Withdrawal(Strict):
    """Results that were taken back, and why."""

    encoder: Name
    version: Line
    """Version of the card; a later version may stand on the boards."""
    date: date
    reason: Annotated[Prose, Field(min_length=1, max_length=1000)]

    def covers(self, encoder: str, version: str) -> bool:
        """Whether results of this version are meant, however it is written: "1", "1.0" and "v1" are one version."""
        return encoder == self.encoder and _plain(version) == _plain(self.version)

    @property
    def text(self) -> str:
        """The reason with its date, as the change log tells it."""
        return f"{self.reason} ({self.date.isoformat()})"


def _plain(version: str) -> str:
    return re.sub(r"(\.0+)+$", "", re.sub(r"\b0+(?=\d)", "", version.strip().casefold().removeprefix("v")))


class Withdrawals(Strict):
    """`withdrawn.toml`: `schema = 1`, then a `[[withdrawn]]` table each."""

    schema_: Literal[1] = Field(alias="schema")
    withdrawn: Annotated[list[Withdrawal], Field(max_length=10_000)] = []


def read_withdrawals(roots: Iterable[Path]) -> list[Withdrawal]:
    """Everything withdrawn from some submissions folders, newest first. Raises CardError."""
    paths = [p for p in (root / "withdrawn.toml" for root in roots) if p.is_file()]
    found = [w for p in paths for w in Withdrawals.parse(read_toml(p), where=p).withdrawn]
    return sorted(found, key=lambda w: (w.date, w.encoder, w.version), reverse=True)
