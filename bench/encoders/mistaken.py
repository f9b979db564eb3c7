"""Files that are not what their name says: pointers, web pages, archives, weights of other libraries."""

import zipfile
from pathlib import Path

from bench.errors import EncoderError
from bench.files import UNREADABLE, first_bytes, mistaken

AGAIN = "copy or download it again"
UNPACK = "unpack it first"
BEGIN = (
    (b"\x1f\x8b", "is packed with gzip", UNPACK),
    (b"bzh", "is packed with bzip2", UNPACK),
    (b"\xfd7zxz", "is packed with xz", UNPACK),
    (b"\x28\xb5\x2f\xfd", "is packed with zstd", UNPACK),
    (b"\x89hdf", "is HDF5, as TensorFlow and Keras write it", "load it there, and export it as ONNX"),
    (b"gguf", "is GGUF, weights for llama.cpp", "take the repository's safetensors"),
)
"""First bytes in lower case, what such a file is, and the cure; beside `bench.files.MISTAKEN`."""
BOM = b"\xef\xbb\xbf"
BINARY = (".pth", ".pt", ".bin", ".ckpt", ".safetensors", ".onnx", ".pt2", ".tar", ".torch")
"""Endings of files that are never text."""
FLAX = ".msgpack"
HEAD_BYTES = 512


def refuse_mistaken(path: Path, *, where: object) -> None:
    """EncoderError when a file is empty or plainly something that no adapter reads, naming what it is."""
    head = first_bytes(path, HEAD_BYTES) or b""
    kind = _foreign(head)
    if kind is None and _plain(head).startswith(b'{"'):
        kind = ("is JSON text", AGAIN)
    elif kind is None and path.suffix in BINARY and (text := _text(head)):
        kind = (f"is text, not weights: {text[:60]!r}", AGAIN)
    if head[257:262] == b"ustar":
        kind = ("is a tar archive of other files", UNPACK)
    elif path.suffix == FLAX:
        kind = ("is of Flax", "load it there, and save it with save_pretrained of transformers, or export it as ONNX")
    elif head.startswith(b"PK") and (inside := _other_files(path)):
        kind = (f"is a zip archive of other files ({inside[:80]})", UNPACK)
    if kind:
        raise EncoderError(f"{path.name} {kind[0]}", where=where, fix=kind[1])


def refuse_mistaken_json(path: Path, name: str, *, where: object) -> None:
    """The same of a file that should be JSON, which messages call `name`."""
    head = first_bytes(path, HEAD_BYTES) or b""
    kind = _foreign(head)
    if kind is None and not _plain(head).startswith((b"{", b"[")) and (text := _text(head)):
        kind = (f"is text, not JSON: {text[:60]!r}", AGAIN)
    if kind:
        raise EncoderError(f"{name} {kind[0]}", where=where, fix=kind[1])


def _foreign(head: bytes) -> tuple[str, str] | None:
    """(what a file is by its first bytes, the cure) where that is neither weights nor JSON."""
    if not head:
        return "is empty", AGAIN
    if found := mistaken(_plain(head)):
        return f"is {found[0]}", found[1]
    return next(((what, fix) for mark, what, fix in BEGIN if _plain(head).startswith(mark)), None)


def _plain(head: bytes) -> bytes:
    return head.removeprefix(BOM).lstrip().lower()


def _text(head: bytes) -> str | None:
    """The beginning of a file if it is text of several words; an old pickle is printable, and its first line is one."""
    try:
        text = head.decode("ascii").strip()
    except UnicodeDecodeError:
        return None
    return text if " " in text.split("\n")[0] and "".join(text.split()).isprintable() else None


def _other_files(path: Path) -> str | None:
    """A weights file inside a zip archive that somebody packed."""
    if not zipfile.is_zipfile(path):
        return None
    try:
        with zipfile.ZipFile(path) as archive:
            return next((n for n in archive.namelist() if n.endswith(WEIGHTS)), None)
    except UNREADABLE:
        return None  # damaged, which its reader tells


WEIGHTS = (".pth", ".ckpt", ".bin", ".safetensors", ".onnx", ".h5", ".tar", ".pth.tar")
