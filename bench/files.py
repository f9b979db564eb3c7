"""Small file helpers: hashes, canonical JSON, atomic writes, deterministic npz without pickle."""

import ctypes
import errno
import hashlib
import io
import json
import lzma
import os
import shutil
import struct
import sys
import tempfile
import tokenize
import zipfile
import zlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import RunError, SubmissionError, UserError

UNREADABLE = (
    OSError, EOFError, KeyError, ValueError, TypeError, SyntaxError, RuntimeError, OverflowError, MemoryError,
    struct.error, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tokenize.TokenError,
)  # fmt: skip
"""What zipfile, its decompressors and numpy raise on damaged or forged files.

RuntimeError: encrypted, or a method not known. MemoryError: a dictionary of gigabytes. TokenError: the head of an
array that breaks off."""


_HERE, _SWAP = -100, 2
"""AT_FDCWD and RENAME_EXCHANGE of renameat2(2)."""
PARTIAL = ".partial"
"""How the name of a file ends that is not yet whole."""

_LOGIN = "copy or download it again; the address may ask for a login"
DICTIONARY = 128 << 20
"""Bytes that unpacking LZMA may take; a file of one's own asks for 9 million, a forged one for 4 billion."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)
"""How arrays may be packed. A hundred bytes of bzip2 can hold a gigabyte, which zipfile unpacks at once."""
MISTAKEN = (
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself", "git lfs pull"),
    (b"<!doctype", "a web page", _LOGIN),
    (b"<html", "a web page", _LOGIN),
    (b"<?xml", "an XML file", _LOGIN),
)
"""First bytes in lower case, what such a file is, and the cure."""


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, no spaces, full float precision, no NaN: same value, same bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256_text(text: str) -> str:
    """SHA-256 of UTF-8 text, 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """`values` with a hash of them as "seal". It is no key: it tells accidents and not forgers."""
    return {**values, "seal": sha256_text(canonical_json(dict(values)))[:16]}


def unsealed(values: Any, *, where: object) -> Any:
    """Inverse of `sealed`; what has no seal is passed on. Raises SubmissionError where it is of other values."""
    if not isinstance(values, dict) or values.get("seal") is None:
        return values
    bare = {key: value for key, value in values.items() if key != "seal"}
    with suppress(ValueError, RecursionError):  # numbers beyond any, half a character
        if sealed(bare) == values:
            return bare
    fix = "restore it, or make it again"
    raise SubmissionError("was changed after it was written: its seal is of other values", where=where, fix=fix)


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hex digits, read in blocks."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def first_bytes(source: Path | bytes, n: int) -> bytes | None:
    """The first n bytes of a file, or of its content; fewer where it holds fewer, None where it cannot be read."""
    if isinstance(source, bytes):
        return source[:n]
    try:
        with open(source, "rb") as file:
            return file.read(n)
    except OSError:
        return None


def mistaken(head: bytes) -> tuple[str, str] | None:
    """(what, cure) of a file that begins like a text which stands in another file's place; None for any other."""
    begin = head.lstrip().lower()
    return next(((what, cure) for start, what, cure in MISTAKEN if begin.startswith(start)), None)


def sha256_arrays(arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over names, dtypes, shapes and bytes, in name order (memory maps are read in blocks of rows)."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}|{array.dtype.str}|{array.shape}|".encode())
        rows = max(1, (1 << 24) // max(1, array[:1].nbytes)) if array.ndim else 1
        if array.ndim == 0:
            digest.update(array.tobytes())
        for start in range(0, len(array) if array.ndim else 0, rows):
            digest.update(np.ascontiguousarray(array[start : start + rows]).tobytes())
    return digest.hexdigest()


def write_atomic(path: Path, data: bytes | str, *, through: Path | None = None) -> None:
    """Write a whole file or nothing: temporary file, fsync, rename. Raises RunError when it cannot.

    through: folder of the temporary file, on the same file system; default: beside `path`.
    """
    data = data.encode() if isinstance(data, str) else data
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=through or path.parent, prefix=f".{path.name}.", suffix=PARTIAL)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        fix = (
            "free some space and run the same command again" if error.errno == errno.ENOSPC else "choose another folder"
        )
        raise RunError(f"cannot be written: {error.strerror}", where=path, fix=fix) from None


def exchange(fresh: Path, place: Path) -> None:
    """Put the folder `fresh` in the place of `place`; a kill at any instant leaves one of the two there, whole.

    Where the system cannot swap two names at once (Linux can) there is an instant without. Raises OSError, and leaves
    what was there, when the system refuses.
    """
    if place.is_mount():
        raise OSError(errno.EBUSY, "it is a mount point, which cannot be replaced; name a folder inside it")
    if not place.exists():
        os.rename(fresh, place)
    elif _swapped(fresh, place):
        shutil.rmtree(fresh, ignore_errors=True)
    else:
        aside = fresh.with_name(f"{fresh.name}.old")
        os.rename(place, aside)
        try:
            os.rename(fresh, place)
        except OSError:
            os.rename(aside, place)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def _swapped(a: Path, b: Path) -> bool:
    """Swap two names in one step, with renameat2 of Linux; False where there is no such call."""
    call = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    return call is not None and call(_HERE, os.fsencode(a), _HERE, os.fsencode(b), _SWAP) == 0


def remove_leftovers(folder: Path) -> None:
    """Remove what killed processes have left half written below `folder`; nobody else may be writing there."""
    for path in folder.rglob(f".*{PARTIAL}"):
        path.unlink(missing_ok=True)


def npz_bytes(arrays: Mapping[str, np.ndarray], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A compressed npz whose bytes depend only on the arrays (fixed dates, sorted names; no pickle)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(arrays):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(arrays[name], order="C"), allow_pickle=False)
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.compress_type = method
            archive.writestr(info, member.getvalue(), compresslevel=6)
    return buffer.getvalue()


@contextmanager
def readable(path: Path, kind: str = "npz") -> Iterator[None]:
    """What a damaged or forged file raises when it is read in here becomes a UserError that names the file."""
    try:
        yield
    except FileNotFoundError:
        raise UserError("no such file", where=path) from None
    except UNREADABLE as error:
        raise UserError(f"is not a readable {kind} file: {str(error)[:200]}", where=path) from None


def npz_names(path: Path) -> list[str]:
    """Names of the arrays of an npz, none of which is read. Raises UserError, also where two have one name."""
    with readable(path), zipfile.ZipFile(path) as archive:
        return [*_members(archive, path)]


def _members(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """The members of an npz by the names of their arrays. Raises UserError where two have one name."""
    members = [(info.filename.removesuffix(".npy"), info) for info in archive.infolist()]
    if twice := next((name for name, n in Counter(name for name, _ in members).items() if n > 1), None):
        raise UserError(f"holds the array {ascii(twice)[:80]} twice", where=path, fix="save it anew")
    return dict(members)


def missing_folders(folder: Path) -> list[Path]:
    """The folder and those above it that are not there, the deepest first: in this order they can be removed again."""
    return [path for path in (folder, *folder.parents) if not path.exists()]


def read_npz(path: Path, *, max_bytes: int = 1 << 30, only: Collection[str] | None = None) -> dict[str, np.ndarray]:
    """Read an npz without pickle, refusing one that would unpack to more than `max_bytes`. Raises UserError.

    only: names of the arrays to read, those that are there; all by default.
    """
    with readable(path), zipfile.ZipFile(path) as archive:
        members = {n: info for n, info in _members(archive, path).items() if only is None or n in only}
        total = sum(info.file_size for info in members.values())
        if total > max_bytes:
            raise UserError(f"unpacks to {total:,} bytes, over the limit of {max_bytes:,}", where=path)
        return {name: _array_in(archive, info, path) for name, info in members.items()}


def _array_in(archive: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """One array of an npz, in no more memory than it says it needs. Raises UserError, and as `readable` expects."""
    if info.compress_type not in METHODS:
        fix = "save it with numpy.savez_compressed"
        raise UserError(f"{ascii(info.filename)[:80]} is packed in a way that is not read", where=path, fix=fix)
    lzma_packed = info.compress_type == zipfile.ZIP_LZMA
    with io.BytesIO(_unlzma(path, info)) if lzma_packed else archive.open(info) as file:
        if (magic := file.read(len(np.lib.format.MAGIC_PREFIX))) != np.lib.format.MAGIC_PREFIX:
            raise UserError(f"holds {ascii(info.filename)[:80]}, which is no array", where=path)
        file.seek(-len(magic), io.SEEK_CUR)
        return np.lib.format.read_array(file, allow_pickle=False)


def _unlzma(path: Path, info: zipfile.ZipInfo) -> bytes:
    """What a member packed with LZMA holds. zipfile would unpack whatever is there, and take the memory it asks for."""
    with open(path, "rb") as file:
        file.seek(info.header_offset)
        file.seek(sum(struct.unpack("<HH", file.read(30)[26:])), os.SEEK_CUR)
        packed = file.read(info.compress_size)
    decoder = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=DICTIONARY)
    # As a file of its own it begins with the 5 bytes of its properties, and a length that need not be known.
    held = decoder.decompress(packed[4:9] + b"\xff" * 8 + packed[9:], max_length=info.file_size)
    if len(held) != info.file_size or zlib.crc32(held) != info.CRC:
        raise zipfile.BadZipFile(f"bad CRC-32 for file {info.filename!r}")
    return held
