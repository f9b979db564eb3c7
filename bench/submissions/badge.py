"""Trust states: declared, rescored, reproduced. A badge holds only for the exact bytes it was given to."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from bench.files import write_atomic
from bench.strict import Strict
from bench.words import Badge


class BadgeFile(Strict):
    """`badge.json`: what a maintainer's `medssl verify` established."""

    schema_version: Literal[1] = 1
    badge: Badge
    contents_sha256: str
    """Hash of every file of the submission but the badge itself."""
    verified: str
    """UTC date and time, ISO 8601."""
    medssl: str
    units: int
    """Units that were recomputed."""
    tolerance: float
    """Largest difference in a score that was accepted."""
    largest_difference: float
    """Largest difference in a score that was found."""


def contents_sha256(folder: Path) -> str:
    """Hash over the relative paths and bytes of every file below `folder` but `badge.json`."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "badge.json"):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def write_badge(folder: Path, badge: BadgeFile) -> None:
    """Write `badge.json` into a submission."""
    write_atomic(folder / "badge.json", json.dumps(badge.model_dump(), indent=2, sort_keys=True) + "\n")


def read_badge(folder: Path) -> BadgeFile | None:
    """The badge of a submission, or None when it has none or it was given to other bytes."""
    try:
        badge = BadgeFile.model_validate_json((folder / "badge.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError, UnicodeDecodeError):
        return None
    return badge if badge.contents_sha256 == contents_sha256(folder) else None


def badge_of(folder: Path) -> Badge:
    """The trust state of a submission folder; "declared" without a valid badge."""
    found = read_badge(folder)
    return found.badge if found else "declared"
