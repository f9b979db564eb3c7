"""Fetching the files of task cards: resumed, checked, atomic, from the address of the card, a mirror or a folder.

<home>/downloads/<name>         the whole file, checked
<home>/downloads/<name>.part    what has arrived so far; the next call goes on from there
<home>/downloads/<name>.bad     a file whose checksum was wrong, kept for a look
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import requests

from bench.data.choose import Chosen
from bench.data.held import HeldFile, digest, downloads
from bench.data.load import read_source
from bench.data.repositories import HOST, Repository
from bench.data.space import require_space
from bench.data.store import lock
from bench.data.task import Task
from bench.errors import DataError, RunError, UserError

ATTEMPTS = 6
"""Attempts in a row that bring nothing before a file is given up; half as many when nobody answers at all."""
MAX_WAIT = 120.0
BLOCK_BYTES = 32 << 10
"""Bytes written at a time; what has arrived of a block when the connection is cut is lost."""
TIMEOUT = (15, 60)
"""Seconds to connect, and between two pieces of data."""
Progress = Callable[[str, int, int | None], None]
"""Called with the file's name, the bytes that are here, and the size of the whole where it is known."""


@dataclass(frozen=True)
class Fetched:
    """Outcome for one file: where it is, or what went wrong."""

    name: str
    status: Literal["present", "copied", "downloaded", "failed"]
    path: Path | None = None
    problem: str = ""
    override: bool = False
    """The checksum is not the card's, and was accepted by an explicit flag."""


@dataclass(frozen=True)
class Coming:
    """What one file will take: the bytes still to come, None where the server does not tell; note: why there are none,
    or none are told."""

    name: str
    bytes: int | None
    note: str = ""


@dataclass(frozen=True)
class Fetcher:
    """Where files may come from, and how patient to be.

    mirror: address of a folder that holds the files by name, instead of the addresses of the cards.
    folders: looked through first; files are copied from there, so that a machine without a network can be seeded.
    """

    mirror: str | None = None
    folders: Sequence[Path] = ()
    accept_checksum: bool = False
    attempts: int = ATTEMPTS
    pause: float = 1.0
    """Seconds before the second attempt; doubles with each attempt."""
    progress: Progress = lambda name, here, whole: None

    def fetch_all(self, files: Sequence[HeldFile], jobs: int = 4) -> list[Fetched]:
        """Fetch every file, some at a time; one failure does not stop the others. Same order as `files`.

        Raises RunError before the first byte when all together do not fit on the disk.
        """
        with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
            require_space(downloads(), sum(coming.bytes or 0 for coming in pool.map(self._coming, files)))
            return list(pool.map(self._outcome, files))

    def coming(self, files: Sequence[HeldFile], jobs: int = 4) -> list[Coming]:
        """What `fetch_all` would download, as far as servers tell before the first byte. Same order as `files`."""
        with ThreadPoolExecutor(max_workers=max(1, jobs)) as pool:
            return list(pool.map(self._coming, files))

    def _coming(self, file: HeldFile) -> Coming:
        target, url = downloads() / file.name, self._address(file)
        if target.is_file():
            return Coming(file.name, 0, "is here")
        if any((folder / file.name).is_file() for folder in self.folders):
            return Coming(file.name, 0, "is copied")
        if url is None:
            return Coming(file.name, None, "the card has no address")
        try:
            with requests.head(url, allow_redirects=True, timeout=TIMEOUT) as reply:
                size = reply.headers.get("Content-Length", "")
        except requests.RequestException:
            return Coming(file.name, None, "no answer")
        if not reply.ok:
            return Coming(file.name, None, f"the server says {reply.status_code} {reply.reason}")
        if not size.isdecimal():
            return Coming(file.name, None, "the server does not tell")
        return Coming(file.name, max(0, int(size) - _size(_part(target))))

    def _address(self, file: HeldFile) -> str | None:
        return f"{self.mirror.rstrip('/')}/{file.name}" if self.mirror else file.url

    def _outcome(self, file: HeldFile) -> Fetched:
        try:
            return self.fetch(file)
        except UserError as error:
            return Fetched(file.name, "failed", problem=str(error))

    def fetch(self, file: HeldFile) -> Fetched:
        """Make sure that the file is among the downloads and is the right one.

        Raises DataError when it cannot be had or has another checksum, RunError when the disk is full.
        """
        target = downloads() / file.name
        with lock(downloads(), file.name):
            if target.is_file():
                return self._checked(file, target, target, "present")
            for folder in self.folders:
                if (folder / file.name).is_file():
                    return self._copied(file, folder / file.name, target)
            if self.folders and not self.mirror:
                tried = ", ".join(map(str, self.folders))
                raise DataError(f"is not in {tried}", where=file.name, fix="without --from-folder it is downloaded")
            return self._downloaded(file, target)

    def _copied(self, file: HeldFile, source: Path, target: Path) -> Fetched:
        part = _part(target)
        require_space(target.parent, source.stat().st_size)
        try:
            shutil.copyfile(source, part)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise RunError(f"cannot be copied: {error.strerror}", where=source) from None
        return self._checked(file, part, target, "copied")

    def _downloaded(self, file: HeldFile, target: Path) -> Fetched:
        url = self._address(file)
        if url is None:
            fix = f"copy it to {downloads()}"
            raise DataError("has no address on its card", where=file.name, fix=fix)
        resumed = _part(target).is_file()
        self._receive(url, file, target)
        try:
            return self._checked(file, _part(target), target, "downloaded")
        except DataError:
            if not resumed:
                raise
        # The first part may have been of another version of the file: once more, from the start.
        self._receive(url, file, target)
        return self._checked(file, _part(target), target, "downloaded")

    def _receive(self, url: str, file: HeldFile, target: Path) -> None:
        part, problem, idle, wait = _part(target), "", 0, 0.0
        while idle < self.attempts:
            time.sleep(wait)
            before = _size(part)
            try:
                self._receive_once(url, file, part)
                return
            except requests.RequestException as error:
                problem, asked = _plain(error), _asked_wait(error)
                answered = error.response is not None or _size(part) > 0
            # An attempt that brought something on is not counted against the address.
            idle = 1 if _size(part) > before else idle + (1 if answered else 2)
            wait = min(MAX_WAIT, asked if asked is not None else self.pause * 2 ** (idle - 1))
        here = f"{_size(part):,} bytes are kept in {part.name}; run again" if _size(part) else "run again later"
        raise DataError(f"cannot be downloaded from {url}: {problem}", where=file.name, fix=here)

    def _receive_once(self, url: str, file: HeldFile, part: Path) -> None:
        here = _size(part)
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={here}-"} if here else {})
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUT) as reply:
            if reply.status_code == 416:
                if _total_of(reply) == here:
                    return
                part.unlink(missing_ok=True)
                raise requests.ConnectionError("the server has another file than the part that is here")
            if reply.status_code in (404, 403, 401, 410):
                raise DataError(f"the server answers {reply.status_code} {reply.reason} for {url}", where=file.name)
            reply.raise_for_status()
            if reply.status_code != 206 or _start_of(reply) != here:
                here = 0  # The server ignored the range: it sends the file from the start.
            whole = _whole_size(reply, here)
            require_space(part.parent, (whole or 0) - here)
            self._append(reply, file, part, here, whole)

    def _append(self, reply: requests.Response, file: HeldFile, part: Path, here: int, whole: int | None) -> None:
        try:
            with open(part, "r+b" if here else "wb") as out:
                out.seek(here)
                for block in reply.iter_content(BLOCK_BYTES):
                    out.write(block)
                    here += len(block)
                    self.progress(file.name, here, whole)
                out.truncate()
                out.flush()
                os.fsync(out.fileno())
        except requests.RequestException:
            raise
        except OSError as error:
            fix = "free some space and run again: it goes on from here" if error.errno == 28 else None
            raise RunError(f"cannot be written: {error.strerror}", where=part, fix=fix) from None
        if whole is not None and here < whole:
            raise requests.ConnectionError(f"the connection was cut after {here:,} of {whole:,} bytes")

    def _checked(
        self, file: HeldFile, path: Path, target: Path, status: Literal["present", "copied", "downloaded"]
    ) -> Fetched:
        override = False
        if file.checksum is not None:
            kind, expected = file.checksum
            found = digest(path, kind)
            override = found != expected
            if override and not self.accept_checksum:
                bad = target.with_name(f"{target.name}.bad")
                os.replace(path, bad)
                raise DataError(
                    f"has {kind} {found}, the card says {expected}; the file is kept as {bad}",
                    where=file.name,
                    fix="run again to fetch it anew; or --accept-checksum, which marks every record",
                )
        os.replace(path, target)
        return Fetched(file.name, status, target, override=override)


def fetch_repositories(chosen: Chosen, *, mirror: str | None, folders: Sequence[Path]) -> list[Fetched]:
    """Fetch what the tasks read out of public repositories; one failure does not stop the others.

    mirror: address of a folder that holds "owner/name". folders: clones there are copied from instead.
    """
    return [_repository(r, sorted(paths), mirror or HOST, folders) for r, paths in _needed(chosen)]


def coming_repositories(chosen: Chosen, *, folders: Sequence[Path]) -> list[Coming]:
    """What `fetch_repositories` would fetch; sizes are not told beforehand."""
    found = [(repository, paths, repository.find(folders)) for repository, paths in _needed(chosen)]
    return [
        Coming(_spoken(r), None, f"{len(paths):,} files of it") if here is None else Coming(_spoken(r), 0, "is here")
        for r, paths, here in found
    ]


def _needed(chosen: Chosen) -> list[tuple[Repository, set[str]]]:
    wanted: dict[Repository, set[str]] = {}
    for task, own in chosen:
        for repository, paths in read_source(task).needs(task, Path(own or ".")).items():
            wanted.setdefault(repository, set()).update(paths)
    return sorted(wanted.items(), key=lambda item: item[0])


def _spoken(repository: Repository) -> str:
    return f"{repository.name} at {repository.commit[:12]}"


def _repository(repository: Repository, paths: Sequence[str], host: str, folders: Sequence[Path]) -> Fetched:
    name = _spoken(repository)
    try:
        fresh = repository.fetch(paths, host=host, folders=folders)
    except UserError as error:
        return Fetched(name, "failed", problem=str(error))
    return Fetched(name, "downloaded" if fresh else "present", repository.find())


def files_of(tasks: Iterable[Task]) -> list[HeldFile]:
    """The downloadable files of tasks, each once. Raises CardError."""
    found: dict[str, HeldFile] = {}
    for task in tasks:
        held = read_source(task).held(task)
        if held is not None and held.url is not None:
            found.setdefault(held.name, held)
    return list(found.values())


def _part(target: Path) -> Path:
    return target.with_name(f"{target.name}.part")


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _whole_size(reply: requests.Response, here: int) -> int | None:
    length = reply.headers.get("Content-Length", "")
    return here + int(length) if length.isdecimal() else None


def _start_of(reply: requests.Response) -> int:
    """First byte of a "Content-Range: bytes 100-199/200", or -1."""
    start = reply.headers.get("Content-Range", "").removeprefix("bytes ").split("-")[0]
    return int(start) if start.isdecimal() else -1


def _total_of(reply: requests.Response) -> int:
    total = reply.headers.get("Content-Range", "").rpartition("/")[2]
    return int(total) if total.isdecimal() else -1


def _asked_wait(error: requests.RequestException) -> float | None:
    """Seconds a busy server asks us to wait (Retry-After), or None."""
    seconds = error.response.headers.get("Retry-After", "") if error.response is not None else ""
    return float(seconds) if seconds.isdecimal() else None


def _plain(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    text = str(error)
    for sign, meaning in (
        ("Name or service not known", "the address is not found (no network?)"),
        ("Temporary failure in name resolution", "the address is not found (no network?)"),
        ("Connection refused", "the connection was refused"),
        ("Failed to establish a new connection", "no connection can be made"),
        ("IncompleteRead", "the connection was cut"),
        ("Connection broken", "the connection was cut"),
    ):
        if sign in text:
            return meaning
    return text[:200]
