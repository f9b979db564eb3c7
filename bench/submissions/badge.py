"""Trust states: declared, rescored, reproduced. A badge holds only for the exact bytes it was given to, and says what
it covers.

Badges lie outside what they are given to: `badges.jsonl` beside the folders of submissions, a line an encoder and
suite, written by a maintainer's `medssl verify`. Nothing inside a submission can give it one. A verification that
refuses takes nothing away: while it stands for these bytes the badge is not believed; the next that accepts ends it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from filelock import FileLock
from pydantic import Field, model_validator

from bench.errors import RunError, UserError
from bench.files import canonical_json, sealed, sha256_file, unsealed, write_atomic
from bench.runs.journal import records_file
from bench.strict import Line, Name, Sha256, Strict, parse_json
from bench.submissions import stored as stored_files
from bench.submissions.sampling import enough
from bench.words import Badge

FILE = "badges.jsonl"
RULES = 2
"""Version of what a badge takes. 1 called reproduced what had a few units run again, whatever else was checked."""
RANK: tuple[Badge, ...] = get_args(Badge)
Count = Annotated[int, Field(ge=0, le=10**7)]


class Coverage(Strict):
    """What of a suite's results was recomputed. units: those that are done."""

    units: Count
    rescored: Count = 0
    """Units of which every number was recomputed from what was sent."""
    primary: Count = 0
    """Units of which the primary metric alone was: a compact submission keeps no more of them."""
    rerun: Count = 0
    """Units run again from the weights, their predictions compared."""
    whole: bool = False
    """Whether all that was sent was recomputed: everything that feeds a board, from scoring version 2 on."""

    contract: Annotated[str, Field(max_length=100)] = ""
    """What became of the encoder's contract; "" where it was not told."""

    @property
    def badge(self) -> Badge:
        """What it amounts to: reproduced takes all of rescored, and enough units run again."""
        if not self.whole:
            return "declared"
        return "reproduced" if self.units and self.rerun >= enough(self.units) else "rescored"

    @property
    def text(self) -> str:
        """In words, e.g. "20 of 592 units rescored, of 73 the primary metric, 58 run again, contract holds"."""
        found = [f"{self.rescored:,} of {self.units:,} units rescored"]
        found += [f"of {self.primary:,} the primary metric"] if self.primary else []
        found += [f"{self.rerun:,} run again"] if self.rerun else []
        return ", ".join([*found, self.contract] if self.contract else found)


class Verification(Strict):
    """A line of `badges.jsonl`: what a verification of one suite established."""

    schema_: Annotated[Literal[2], Field(alias="schema")] = 2
    encoder: Name
    suite: Name
    contents_sha256: Sha256
    """Hash of what was verified (`contents_sha256`)."""
    badge: Badge
    covers: Coverage
    problems: list[str] = []
    """Why a later verification refused it; while there are any, the badge is not believed."""
    nonce: str = ""
    """With the hash it draws the units that were run again (bench.submissions.sampling)."""
    rules: int = RULES
    verified: Line
    """UTC date and time, ISO 8601."""
    medssl: Line
    tolerance: float = 0.0
    """Largest difference in a score that was accepted, and found."""
    largest_difference: float = 0.0

    @model_validator(mode="after")
    def _earned(self) -> Self:
        if RANK.index(self.badge) > RANK.index(self.covers.badge):
            raise ValueError(f"is {self.badge}, and what it covers makes {self.covers.badge}")
        return self

    @property
    def text(self) -> str:
        """What it covers, by which version, when."""
        earlier = "" if self.rules == RULES else ", by earlier rules"
        return f"{self.covers.text}; medssl {self.medssl}, {self.verified[:10]}{earlier}"


def contents_sha256(folder: Path, suite: str) -> str:
    """Hash over the relative paths and bytes of a submission's files: its results on `suite`, its card, its weights.

    It is the same whether weights lie in the folder or in a store. Raises SubmissionError for an unreadable list of
    stored files.
    """
    stored = stored_files.read_stored(folder)
    known = {folder / name: file.sha256 for name, file in stored.files.items()} if stored else {}
    here = (p for p in folder.rglob("*") if p.is_file() and p != folder / stored_files.FILE)
    digest = hashlib.sha256()
    for path in sorted(p for p in (*here, *known) if not _is_of_another(p, folder, suite)):
        digest.update(f"{path.relative_to(folder).as_posix()}\0".encode(errors="surrogateescape"))
        digest.update(bytes.fromhex(known.get(path) or sha256_file(path)))
    return digest.hexdigest()


def _is_of_another(path: Path, folder: Path, suite: str) -> bool:
    top = path.relative_to(folder).parts[0]
    return top != suite and path.parent != folder and records_file(folder / top) is not None


def read_verdicts(root: Path) -> dict[tuple[str, str], Verification]:
    """(encoder, suite) -> verdict, of a folder of submissions. Raises SubmissionError, CardError."""
    path = root / FILE
    found: dict[tuple[str, str], Verification] = {}
    for verdict in _lines(path) if path.is_file() else ():
        if (key := (verdict.encoder, verdict.suite)) in found:  # an older line would bring back what a later one ended
            raise UserError(f"holds two verdicts on {' and '.join(key)}", where=path, fix="leave the newest")
        found[key] = verdict
    return found


def write_verdicts(root: Path, verdicts: Callable[[], list[Verification]]) -> None:
    """Put verdicts into `badges.jsonl`, each in the place of the one its suite had. Others that write wait meanwhile.

    verdicts: called while nobody else writes, so that it may look at what stands there. Raises RunError, and as
    `read_verdicts`.
    """
    lock = FileLock(root / f".{FILE}.lock")
    try:
        lock.acquire()
    except OSError as error:
        raise RunError(f"cannot be written: {error.strerror}", where=root / FILE) from None
    try:
        found = read_verdicts(root) | {(v.encoder, v.suite): v for v in verdicts()}
        lines = (
            canonical_json(sealed(found[key].model_dump(mode="json", by_alias=True))) + "\n" for key in sorted(found)
        )
        write_atomic(root / FILE, "".join(lines))
    finally:
        lock.release()


def verdict_of(
    folder: Path, suite: str, read: Callable[[Path], Mapping[tuple[str, str], Verification]] = read_verdicts
) -> Verification | None:
    """The verdict on a submission's results on `suite`, where it stands for these bytes. Raises as `read_verdicts`.

    read: what reads the verdicts of a folder of submissions; who asks for many keeps what was read.
    """
    found = read(folder.parent).get((folder.name, suite))
    return found if found and found.contents_sha256 == contents_sha256(folder, suite) else None


def badge_of(folder: Path, suite: str) -> Badge:
    """The trust state of results; "declared" without a verdict on these bytes, and while a refusal stands."""
    found = verdict_of(folder, suite)
    return found.badge if found and not found.problems else "declared"


def _lines(path: Path) -> Iterator[Verification]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot be read: {error}", where=path) from None
    for number, line in enumerate(text.splitlines(), 1):
        where = f"{path}:{number}"
        yield Verification.parse(unsealed(parse_json(line, where=where), where=where), where=where)
