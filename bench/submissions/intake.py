"""The first look at a folder that arrived: which files it holds, how many and how large, before any is read."""

import hashlib
import os
import re
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench.errors import SubmissionError
from bench.files import METHODS, UNREADABLE, sha256_file
from bench.runs.journal import records_file

MAX_FILES = 5000
MAX_BYTES = 20 * 1024**2
"""Of everything but weights and features."""
MAX_WEIGHT_BYTES = 4 * 1024**3
MAX_UNPACKED_BYTES = 256 * 1024**2
"""Of one predictions file; masks stored as bits then take eight times this in memory, 2 GB."""

DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?|.*\.")
"""Names that are devices on Windows, whatever follows the first dot, or lose their last dot there."""
_NAME = r"[a-z0-9][a-z0-9._-]{0,127}"
_WEIGHTS = re.compile(r"(?ai)[a-z0-9][a-z0-9._/-]{0,200}\.(safetensors|pth|pt|bin|ckpt|onnx|parquet|npz|pt2|json)")
_KNOWN = (
    re.compile(r"encoder\.toml|training\.json|README\.md|stored\.json"),
    re.compile(rf"{_NAME}/records\.jsonl(\.bz2)?"),
    re.compile(rf"{_NAME}/(predictions|cases|condensed)/{_NAME}\.npz"),
    re.compile(rf"{_NAME}/probes/[0-9a-f]{{16}}\.npz"),
)


def inspect(folder: Path) -> None:
    """Refuse a folder with links, special files, unexpected names, too many files or too many bytes.

    Raises SubmissionError naming the first such file. Reads no file's contents.
    """
    if folder.is_symlink():
        raise SubmissionError("is a link, expected a folder", where=folder)
    total, weights, names, beside = 0, 0, dict[str, str](), set[Path]()
    for n, path in enumerate(_walk(folder)):
        relative = path.relative_to(folder).as_posix()
        if n >= MAX_FILES:
            raise SubmissionError(f"holds more than {MAX_FILES} files", where=folder)
        if not stat.S_ISREG((status := path.lstat()).st_mode):
            raise SubmissionError("is a link or a special file; only plain files are accepted", where=_shown(relative))
        if _clashes(relative, names):
            raise SubmissionError("cannot stand in one folder on Windows and macOS", where=_shown(relative))
        if path.name in ("badge.json", "refused.json"):
            fix = "remove it: only 'medssl verify' gives badges, and keeps them beside the folder"
            raise SubmissionError("is not a file a submission may hold", where=_shown(relative), fix=fix)
        if any(pattern.fullmatch(relative) for pattern in _KNOWN):
            total += status.st_size
        elif _WEIGHTS.fullmatch(relative):
            weights += status.st_size
            beside.add(path)
        else:
            raise SubmissionError("is not a file a submission may hold", where=_shown(relative), fix="remove it")
    if strange := next((p for p in sorted(beside) if records_file(folder / p.relative_to(folder).parts[0])), None):
        what = "is not a file that results hold"  # a plan of its own, say, or weights that the badge would not cover
        raise SubmissionError(what, where=_shown(strange.relative_to(folder).as_posix()), fix="remove it")
    if total > MAX_BYTES:
        raise SubmissionError(f"holds {total / 1e6:.1f} MB without weights, over the limit of 20 MB", where=folder)
    if weights > MAX_WEIGHT_BYTES:
        raise SubmissionError(f"holds {weights / 1e9:.1f} GB of weights, over the limit of 4 GB", where=folder)


def _clashes(relative: str, names: dict[str, str]) -> bool:
    """Whether a path has the name of a device, or is another that was seen but for the case of letters; adds it."""
    parts = relative.split("/")
    paths = ["/".join(parts[:n]) for n in range(1, len(parts) + 1)]
    other = any(names.setdefault(path.casefold(), path) != path for path in paths)
    return other or any(DEVICES.fullmatch(part.casefold()) for part in parts)


def is_weights(name: str) -> bool:
    """Whether a path inside a submission is one of weights or features: what is neither card nor results."""
    return not any(pattern.fullmatch(name) for pattern in _KNOWN) and bool(_WEIGHTS.fullmatch(name))


def bytes_sha256(folder: Path) -> str:
    """Hash over the relative paths and bytes of every file below `folder`."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder).as_posix()}\0{sha256_file(path)}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()


def _walk(folder: Path) -> Iterator[Path]:
    for root, folders, files in os.walk(folder, followlinks=False):
        folders.sort()
        for name in sorted(files) + [f for f in folders if (Path(root) / f).is_symlink()]:
            yield Path(root) / name


def _shown(name: str) -> str:
    """A file name as it may be printed: no control characters, not endless."""
    return ascii(name)[1:-1][:200]


def inspect_npz(path: Path) -> None:
    """Refuse an npz whose members lie about their size, unpack too large, or hold objects.

    Raises SubmissionError. Reads headers only: a header that announces more than its member holds would make a
    reader allocate it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > MAX_UNPACKED_BYTES or len(members) > MAX_FILES:
                what = f"unpacks to {total / 1e6:.0f} MB in {len(members)} arrays, over the limit"
                raise SubmissionError(what, where=path.name)
            if len({member.filename for member in members}) < len(members):
                raise SubmissionError("holds two arrays of one name", where=path.name)
            for member in members:
                _check_member(archive, member, path.name)
    except UNREADABLE as error:
        raise SubmissionError(f"is not a readable npz file: {str(error)[:200]}", where=path.name) from None


def _check_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, where: str) -> None:
    if not member.filename.endswith(".npy"):
        raise SubmissionError(f"holds {_shown(member.filename)!r}, which is no array", where=where)
    if member.compress_type not in METHODS:
        raise SubmissionError(f"{_shown(member.filename)!r} is packed in a way that is not read", where=where)
    with archive.open(member) as file:
        try:
            version = np.lib.format.read_magic(file)
            read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
            shape, _, dtype = read(file)
        except (ValueError, KeyError, SyntaxError, TypeError, RecursionError, MemoryError) as error:
            what = f"array {_shown(member.filename)!r} has a broken header: {str(error)[:100]}"
            raise SubmissionError(what, where=where) from None
        stated = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if dtype.hasobject or dtype.kind not in "uifb":
            raise SubmissionError(f"array {_shown(member.filename)!r} holds {dtype}, not numbers", where=where)
        if min(shape, default=0) < 0 or file.tell() + stated != member.file_size:
            raise SubmissionError(
                f"array {_shown(member.filename)!r} states {stated} bytes and holds {member.file_size - file.tell()}",
                where=where,
            )
