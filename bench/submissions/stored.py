"""Weights of a submission kept beside the repository: `stored.json` says the hash of each file, a store has the bytes.

A store is a folder, or its address on the web, that holds each file under its SHA-256. What is fetched from one is
what the submission was made with, or it is refused; which store is asked only the reader says, never the submission.
"""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from bench.errors import RunError, SubmissionError
from bench.files import canonical_json, sha256_file, write_atomic
from bench.strict import Line, Sha256, Strict, parse_json
from bench.submissions.intake import MAX_WEIGHT_BYTES, is_weights

FILE = "stored.json"
MAX_BYTES = 64 * 1024


def _inside(name: str) -> str:
    if not is_weights(name) or any(part in ("", ".", "..") for part in name.split("/")):
        raise ValueError(f"{name[:80]!r} is no file of weights inside a submission")
    return name


class StoredFile(Strict):
    """A file that lies in a store."""

    sha256: Sha256
    bytes: Annotated[int, Field(gt=0, le=MAX_WEIGHT_BYTES)]


class Stored(Strict):
    """`stored.json`. address: where its author has put the files, for people; nothing is fetched from there unasked."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    address: Line | None = None
    files: Annotated[dict[Annotated[str, AfterValidator(_inside)], StoredFile], Field(max_length=64)]


def read_stored(folder: Path) -> Stored | None:
    """What a submission says of its stored files; None where all lie in the folder. Raises SubmissionError."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"is over {MAX_BYTES // 1024} KB")
        found = Stored.model_validate(parse_json(path.read_text(encoding="utf-8"), where=path))
        if twice := [name for name in found.files if (folder / name).exists()]:
            raise ValueError(f"names {twice[0]}, which lies in the folder too")
        if below := [n for n in found.files if any((folder / above).is_file() for above in Path(n).parents)]:
            raise ValueError(f"names {below[0]}, which would lie below a file")
    except (ValueError, ValidationError) as error:
        why = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
        raise SubmissionError(f"is no list of stored files: {why[:200]}", where=path) from None
    return found


def move_out(folder: Path, store: Path, address: str | None = None) -> Stored:
    """Move the weights of a submission into the folder `store`; `stored.json` takes their place. Raises RunError."""
    before = read_stored(folder)
    names = [p.relative_to(folder).as_posix() for p in sorted(folder.rglob("*")) if p.is_file() and p.name != FILE]
    names = [name for name in names if is_weights(name)]
    files = {n: StoredFile(sha256=sha256_file(folder / n), bytes=(folder / n).stat().st_size) for n in names}
    try:
        store.mkdir(parents=True, exist_ok=True)
        for name, file in files.items():
            if not (store / file.sha256).is_file():
                partial = store / f".{file.sha256}.partial"
                shutil.copyfile(folder / name, partial)
                partial.replace(store / file.sha256)
        found = Stored(address=address, files=(before.files if before else {}) | files)
        write_atomic(
            folder / FILE, canonical_json(found.model_dump(mode="json", by_alias=True, exclude_none=True)) + "\n"
        )
        for name in names:
            (folder / name).unlink()
    except OSError as error:
        raise RunError(f"cannot be written: {error.strerror}", where=store, fix="choose another --store") from None
    return found


@contextmanager
def whole(folder: Path, store: str) -> Iterator[Path]:
    """The submission with its stored files in their places: a copy that is gone afterwards, or itself without any.

    store: a folder, or an address on the web. Raises SubmissionError, DataError where a file cannot be had or is
    another one.
    """
    stored = read_stored(folder)
    if stored is None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="medssl-whole-") as place:
        copy = Path(shutil.copytree(folder, Path(place) / folder.name, symlinks=True))
        (copy / FILE).unlink()
        for name, path in zip(stored.files, fetched(list(stored.files.values()), store), strict=True):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy / name)
        yield copy


def fetched(files: Sequence[StoredFile], store: str) -> list[Path]:
    """Where each file is once it is here and has its hash. Raises DataError, RunError."""
    from bench.data.fetch import Fetcher
    from bench.data.held import HeldFile

    web = store.startswith(("https://", "http://"))
    fetcher = Fetcher(mirror=store if web else None, folders=() if web else (Path(store),))
    held = [HeldFile(file=file.sha256, task="", sha256=file.sha256) for file in files]
    return [path for path in (fetcher.fetch(file).path for file in held) if path is not None]
