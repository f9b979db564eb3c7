"""What the wheel carries of the board: cards, records and badges of the submissions; no predictions, no weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CARRIED = ("badges.jsonl", "withdrawn.toml", "diagnostics-*.csv", "*/encoder.toml", "*/*/records.jsonl*")
"""Patterns below `submissions/`."""


class Board(BuildHookInterface):
    """Adds the files of CARRIED under `bench/_shipped/submissions`, so that boards answer in an empty folder."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        board = Path(self.root) / "submissions"
        for path in sorted(p for pattern in CARRIED for p in board.glob(pattern)):
            build_data["force_include"][str(path)] = f"bench/_shipped/submissions/{path.relative_to(board)}"
