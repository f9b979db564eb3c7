"""A file a task needs: where it is looked for, and whether it is the one the card means."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bench.data.dataset import SourceDigest
from bench.errors import DataError, RunError
from bench.files import sha256_text, write_atomic
from bench.locate import home

JUST_NOW = 2_000_000_000
"""Nanoseconds; the coarsest clock of a file system."""


@dataclass(frozen=True)
class HeldFile:
    """One file of a task card: name or path, address and checksum, as far as the card gives them."""

    file: str
    task: str
    url: str | None = None
    md5: str | None = None
    sha256: str | None = None

    @property
    def name(self) -> str:
        """Its name in the downloads folder."""
        return Path(self.file).name

    @property
    def checksum(self) -> tuple[str, str] | None:
        """("sha256" or "md5", hex digits) of the card, the stronger one when it gives both."""
        if self.sha256:
            return "sha256", self.sha256
        return ("md5", self.md5) if self.md5 else None

    def find(self, folder: Path) -> Path | None:
        """The file: where the card says, seen from `folder`; else by its name in `folder`; else among the downloads."""
        for path in (folder / Path(self.file).expanduser(), folder / self.name, downloads() / self.name):
            if path.is_file():
                return path
        return None

    def require(self, folder: Path) -> Path:
        """`find`, or a DataError that says how to get the file."""
        if (path := self.find(folder)) is not None:
            return path
        where = f"task {self.task!r}"
        if self.url:
            fix = f"run 'medssl data fetch {self.task}', or copy it to {downloads()}"
            raise DataError(f"{self.name} is not here yet", where=where, fix=fix)
        raise DataError(f"no such file: {folder / self.file}", where=where, fix="correct 'file' in [source]")

    def identity(self, folder: Path, *, accept_checksum: bool) -> SourceDigest:
        """The card's checksum when the file is absent or agrees with it; else the file's own, if that is accepted.

        An absent file is no error here: its prepared copy may well be in the store. Raises DataError.
        """
        path = self.find(folder)
        if path is None and self.checksum is not None:
            return SourceDigest(":".join(self.checksum))
        path = path or self.require(folder)
        if self.checksum is None:
            return SourceDigest(f"sha256:{digest(path, 'sha256')}")
        kind, expected = self.checksum
        found = digest(path, kind)
        if found == expected:
            return SourceDigest(f"{kind}:{expected}")
        if accept_checksum:
            return SourceDigest(f"{kind}:{found}", override=True)
        raise DataError(
            f"{path} has {kind} {found}, the card says {expected}",
            where=f"task {self.task!r}",
            fix="fetch it again; or --accept-checksum to go on with it, which marks every record",
        )


def downloads() -> Path:
    """Where fetched files are kept: `<home>/downloads`."""
    return home() / "downloads"


def digest(path: Path, kind: str) -> str:
    """Hex checksum (`kind`: sha256, md5) of a file, remembered as long as its size and times of change stay."""

    def compute() -> str:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, kind).hexdigest()

    return _remembered(f"{kind}|{path.resolve()}", [_stamp(path)], compute)


def digest_files(paths: Sequence[Path]) -> str:
    """SHA-256 over the contents of many files, in order; remembered as one."""
    paths = [path.resolve() for path in paths]
    stamps = [_stamp(path) for path in paths]

    def compute() -> str:
        whole, known = hashlib.sha256(), dict[Path, bytes]()
        for path in paths:
            if path not in known:  # a volume is named once for each of its slices
                with open(path, "rb") as file:
                    known[path] = hashlib.file_digest(file, "sha256").digest()
            whole.update(known[path])
        return whole.hexdigest()

    return _remembered("|".join(map(str, paths)), stamps, compute)


def _stamp(path: Path) -> list[int]:
    # A copy may bring back an old time of change; the time at which the system itself changed the file tells.
    status = path.stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


def _remembered(what: str, stamps: list[list[int]], compute: Callable[[], str]) -> str:
    stamp = sha256_text(json.dumps(stamps))
    memo = home() / "digests" / f"{sha256_text(what)}.json"
    try:
        known = json.loads(memo.read_text(encoding="utf-8"))
        if known["stamp"] == stamp:
            return known["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = compute()
    if max((max(changed, altered) for _, changed, altered, _ in stamps), default=0) > time.time_ns() - JUST_NOW:
        return found  # another change within the clock's tick would not show
    # A cache shared read-only still serves what is prepared in it.
    with suppress(RunError):
        write_atomic(memo, json.dumps({"digest": found, "stamp": stamp}))
    return found
