"""Trust states: declared, rescored, reproduced. A badge holds only for the exact bytes it was given to.

A verification that refuses a submission takes nothing away: it writes what it found beside the badge, and while that
stands for these bytes the badge is not believed. The next verification that accepts them removes the refusal.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal, TypeVar

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


class RefusalFile(Strict):
    """`refused.json`: why a maintainer's `medssl verify` did not accept the submission."""

    schema_version: Literal[1] = 1
    contents_sha256: str
    """As in `BadgeFile`."""
    verified: str
    """UTC date and time, ISO 8601."""
    medssl: str
    problems: list[str]


def contents_sha256(folder: Path) -> str:
    """Hash over the relative paths and bytes of every file below `folder` but `badge.json` and `refused.json`."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name not in ("badge.json", "refused.json")):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode())
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def write_badge(folder: Path, badge: BadgeFile) -> None:
    """Write `badge.json` into a submission, which ends a refusal."""
    write_atomic(folder / "badge.json", json.dumps(badge.model_dump(), indent=2, sort_keys=True) + "\n")
    (folder / "refused.json").unlink(missing_ok=True)


def write_refusal(folder: Path, refusal: RefusalFile) -> None:
    """Write `refused.json` into a submission, beside the badge it may have."""
    write_atomic(folder / "refused.json", json.dumps(refusal.model_dump(), indent=2, sort_keys=True) + "\n")


def read_badge(folder: Path) -> BadgeFile | None:
    """The badge of a submission, or None when it has none or it was given to other bytes."""
    return _read(folder, "badge.json", BadgeFile)


def badge_of(folder: Path) -> Badge:
    """The trust state of a submission folder; "declared" without a valid badge, and while a refusal stands."""
    found = read_badge(folder)
    return found.badge if found and _read(folder, "refused.json", RefusalFile) is None else "declared"


Outcome = TypeVar("Outcome", BadgeFile, RefusalFile)


def _read(folder: Path, name: str, schema: type[Outcome]) -> Outcome | None:
    try:
        found = schema.model_validate_json((folder / name).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValidationError, UnicodeDecodeError):
        return None
    return found if found.contents_sha256 == contents_sha256(folder) else None
