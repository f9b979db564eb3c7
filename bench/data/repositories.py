"""Files of a public git repository at one commit: fetched in part, read without a working tree.

<home>/repositories/<owner>+<name>    a bare repository that holds the commit and the files that were asked for

A clone made elsewhere serves as well, without a network: name its parent folder in `MEDSSL_REPOSITORIES` (several are
separated like PATH). It may lie there as <owner>+<name>, <owner>/<name> or <name>, with or without a working tree.
"""

from __future__ import annotations

import os
import re
import subprocess
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path

from bench.data.store import lock
from bench.errors import DataError, RunError
from bench.locate import home

HOST = "https://github.com"
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}/[A-Za-z0-9_.-]{1,100}$"
COMMIT = r"^[0-9a-f]{40}$"
SERVE = "git -c uploadpack.allowFilter=true -c uploadpack.allowAnySHA1InWant=true upload-pack"
"""What a repository on this machine is asked with; a host over the network decides by itself."""
QUIET = {"GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
"""Never ask for a password."""
PARTIAL = {"remote.origin.promisor": "true", "remote.origin.partialclonefilter": "blob:none"}
"""Settings of a fetch in part. git keeps them, and would then fetch absent files while it reads: they are removed."""
MAX_BLOB_BYTES = 256 << 20


@dataclass(frozen=True, order=True)
class Repository:
    """A repository "owner/name" at a commit of 40 hex digits."""

    name: str
    commit: str

    def find(self, folders: Iterable[Path] = ()) -> Path | None:
        """The git folder that holds the commit: below `folders`, `MEDSSL_REPOSITORIES`, else what was fetched."""
        given = os.environ.get("MEDSSL_REPOSITORIES", "")
        roots = [*folders, *(Path(part) for part in given.split(os.pathsep) if part)]
        for place in (*(p for root in roots for p in _places(root, self.name)), self._own()):
            if _holds(place, self.commit):
                return place
        return None

    def require(self, task: str) -> Path:
        """`find`, or a DataError that says how to get it."""
        if (found := self.find()) is not None:
            return found
        fix = f"run 'medssl data fetch {task}', or name the folder of a clone in MEDSSL_REPOSITORIES"
        raise DataError(f"{self.name} at {self.commit[:12]} is not here", where=f"task {task!r}", fix=fix)

    def fetch(self, paths: Sequence[str], *, host: str = HOST, folders: Iterable[Path] = ()) -> bool:
        """Make sure that the files `paths` (a path that ends in "/": all below it) can be read here.

        host: address of a folder that holds "owner/name". folders: clones there are copied from instead. Returns
        whether anything had to be fetched. Raises DataError when the commit or a file cannot be had.
        """
        place = self._own()
        with lock(place.parent, place.name):
            local = next((p for root in folders for p in _places(root, self.name) if _holds(p, self.commit)), None)
            address = local.resolve().as_uri() if local else f"{host.rstrip('/')}/{self.name}"
            fetched = self._fetch_commit(place, address)
            return self._fetch_files(place, paths) or fetched

    def _own(self) -> Path:
        return home() / "repositories" / self.name.replace("/", "+")

    def _fetch_commit(self, place: Path, address: str) -> bool:
        if not (place / "HEAD").is_file():
            place.mkdir(parents=True, exist_ok=True)
            _git(place, "init", "--quiet", "--bare")
        _git(place, "config", "remote.origin.url", address)
        _git(place, "config", "remote.origin.uploadpack", SERVE)
        if _holds(place, self.commit):
            return False
        _fetch(place, "--depth=1", "origin", self.commit)
        return True

    def _fetch_files(self, place: Path, paths: Sequence[str]) -> bool:
        """All absent files in one request, as git itself does before a checkout."""
        wanted = set(tree(place, self.commit, paths, where=self.name).values())
        asked = "".join(f"{digest}\n" for digest in sorted(wanted))
        told = _git(place, "cat-file", "--batch-check=%(objectname) %(objecttype)", text=asked)
        absent = [line.split()[0] for line in told.splitlines() if line.endswith(" missing")]
        if not absent:
            return False
        _fetch(place, "--no-write-fetch-head", "--stdin", "origin", text="".join(f"{digest}\n" for digest in absent))
        return True


def _fetch(place: Path, *arguments: str, text: str = "") -> None:
    settings = {**PARTIAL, "fetch.negotiationAlgorithm": "noop"}
    try:
        _git(
            place, *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
            "fetch", "--quiet", "--no-tags", "--recurse-submodules=no", "--filter=blob:none", *arguments, text=text,
        )  # fmt: skip
    finally:
        for key in (*PARTIAL, "extensions.partialClone"):
            subprocess.run(["git", f"--git-dir={place}", "config", "--unset-all", key], capture_output=True)


def tree(place: Path, commit: str, paths: Collection[str], *, where: str) -> dict[str, str]:
    """Path -> blob of the files `paths` of a commit; of all below a path that ends in "/", and for "" of all.

    Raises DataError for a path that is not in the commit.
    """
    listing = _git(place, "ls-tree", "-r", "-z", commit)
    blobs = {path: head.split()[2] for head, _, path in (row.partition("\t") for row in listing.split("\0")) if path}
    folders = tuple(path for path in paths if path == "" or path.endswith("/"))
    found = {path: blobs[path] for path in paths if path in blobs}
    found |= {path: blob for path, blob in blobs.items() if folders and path.startswith(folders)}
    lost = [p for p in paths if p not in found and not (p in folders and any(f.startswith(p) for f in found))]
    if lost:
        raise DataError(f"{len(lost):,} of {len(paths):,} files are not in the commit, e.g. {lost[0]}", where=where)
    return found


class CommitFiles:
    """Reads files of one commit, many through one process. Close it, or use it as a context manager."""

    def __init__(self, place: Path, repository: Repository) -> None:
        self.repository, self._place = repository, place
        self._process = subprocess.Popen(
            ["git", f"--git-dir={place}", "cat-file", "--batch"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=os.environ | QUIET,
        )  # fmt: skip

    def __enter__(self) -> CommitFiles:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    @cached_property
    def _paths(self) -> list[str]:
        return sorted(tree(self._place, self.repository.commit, [""], where=self.repository.name))

    def below(self, folder: str) -> list[str]:
        """Paths of all files below a folder ("masks/"), sorted. Raises DataError when there is none."""
        start = bisect_left(self._paths, folder)
        found = list(takewhile(lambda path: path.startswith(folder), self._paths[start:]))
        if not found:
            raise DataError("holds no files", where=f"{self.repository.name}:{folder}")
        return found

    def read(self, path: str) -> bytes:
        """The bytes of one file. Raises DataError when it is not in the commit, was not fetched, or is too large."""
        assert self._process.stdin
        assert self._process.stdout
        where = f"{self.repository.name}:{path}"
        if "\n" in path:
            raise DataError("is no path of a file", where=where)
        self._process.stdin.write(f"{self.repository.commit}:{path}\n".encode())
        self._process.stdin.flush()
        head = self._process.stdout.readline().split()
        if len(head) != 3 or head[1] != b"blob" or int(head[2]) > MAX_BLOB_BYTES:
            raise DataError("cannot be read: not in the commit, or not fetched", where=where, fix="medssl data fetch")
        content = self._process.stdout.read(int(head[2]))
        self._process.stdout.read(1)
        return content


@contextmanager
def opened(repositories: Mapping[str, Repository], task: str) -> Iterator[dict[str, CommitFiles]]:
    """A reader for each repository. Raises DataError when one of them is not here."""
    files = {name: CommitFiles(repository.require(task), repository) for name, repository in repositories.items()}
    try:
        yield files
    finally:
        for reader in files.values():
            reader.__exit__()


def _places(root: Path, name: str) -> Iterator[Path]:
    for folder in (name.replace("/", "+"), name, name.partition("/")[2]):
        for inner in ("", ".git", "repo", "repo/.git"):
            yield root / folder / inner


def _holds(place: Path, commit: str) -> bool:
    if not (place / "HEAD").is_file():
        return False
    asked = ["git", f"--git-dir={place}", "cat-file", "-e", f"{commit}^{{tree}}"]
    return subprocess.run(asked, capture_output=True, env=os.environ | QUIET).returncode == 0


def _git(place: Path, *arguments: str, text: str = "") -> str:
    try:
        done = subprocess.run(
            ["git", f"--git-dir={place}", *arguments], input=text.encode(), capture_output=True, env=os.environ | QUIET
        )
    except FileNotFoundError:
        raise RunError("the program git is not installed", fix="install git") from None
    if done.returncode:
        said = re.sub(r"\s+", " ", done.stderr.decode(errors="replace")).strip()[:300]
        raise DataError(f"git failed: {said}", where=place.name, fix="look at address and network")
    return done.stdout.decode(errors="surrogateescape")
