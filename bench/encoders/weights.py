"""Weights files: found beside the card or in an installed package, hashed before reading, never executed."""

import importlib.metadata
import os
import stat
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from bench.encoders.mistaken import AGAIN, refuse_mistaken
from bench.encoders.shards import joint_sha256
from bench.encoders.source import Place
from bench.encoders.torch_files import read_torch
from bench.errors import EncoderError
from bench.files import sha256_file

MAX_BYTES = 32 << 30
BLANK = "0" * 64
"""The sha256 of a template: not filled in yet."""


def inside(name: str, place: Place, *, where: str) -> Path:
    """The regular file `name` of the card's folder.

    Raises EncoderError when it is missing, is not a regular file, or lies (also through a link) outside the folder
    and `place.allow_outside` is not set.
    """
    root = place.folder.resolve()
    try:
        path = (root / name).resolve()
    except (OSError, ValueError, RuntimeError) as error:
        raise EncoderError(f"{name[:200]!r} is not a usable path: {error}", where=where) from None
    if not path.is_relative_to(root) and not place.allow_outside:
        raise EncoderError(
            f"{name[:200]!r} leads out of the card's folder",
            where=where,
            fix="move the file beside the card, or pass --allow-outside for your own files",
        )
    return _regular(path, where)


def in_package(package: str, name: str, *, where: str) -> Path:
    """The one file of an installed Python distribution whose path ends with `name`; nothing is imported.

    Raises EncoderError when the distribution or the file is missing, or `name` fits several files.
    """
    try:
        files = importlib.metadata.distribution(package).files or []
    except importlib.metadata.PackageNotFoundError:
        raise EncoderError(
            f"the package {package!r} is not installed", where=where, fix=f"pip install {package}"
        ) from None
    found = [f for f in files if f.as_posix() == name or f.as_posix().endswith("/" + name)]
    if len(found) != 1:
        what = "no file" if not found else f"{len(found)} files"
        raise EncoderError(f"{what} called {name[:200]!r} in the package {package!r}", where=where)
    return _regular(Path(found[0].locate()).resolve(), where)


def verify(path: Path, sha256: str | None, *, where: str) -> str:
    """The file's SHA-256, or EncoderError when the card states another or none."""
    return verify_all([path], sha256, where=where)


def verify_all(paths: list[Path], sha256: str | None, *, where: str) -> str:
    """The same for weights in several files: their joint SHA-256 (`bench.encoders.shards`)."""
    actual = sha256_of(paths, where=where)
    if sha256 is None:
        raise EncoderError("the card does not say the weights' sha256", where=where, fix=f'add sha256 = "{actual}"')
    if sha256 == BLANK:
        fix = f'write sha256 = "{actual}"'
        raise EncoderError(f"the sha256 of {paths[0].name} is still the template's blank", where=where, fix=fix)
    if actual != sha256:
        raise EncoderError(
            f"{paths[0].name} has sha256 {actual}, the card says {sha256}",
            where=where,
            fix="the file is another version or damaged; never skip this check",
        )
    return actual


def sha256_of(paths: list[Path], *, where: str) -> str:
    """SHA-256 of a file, or the joint one of several. Raises EncoderError for what is plainly no weights."""
    for path in paths:
        refuse_mistaken(path, where=where)
    found = {path.name: sha256_file(path) for path in paths}
    return joint_sha256(found) if len(paths) > 1 else found[paths[0].name]


def read_state(path: Path, *, where: str) -> dict[str, object]:
    """What a `.safetensors` file, or any file of `torch.save`, holds, read without running anything in it.

    Which of the two it is, its first bytes tell: a file is often called by the other's name (`.pth`, `.bin`, `.ckpt`,
    `.pth.tar`, `.torch`, none at all). Raises EncoderError.
    """
    refuse_mistaken(path, where=where)
    if is_safetensors(path) or (path.suffix == ".safetensors" and not is_torch_file(path)):
        return dict(_read_safetensors(path, where))
    if is_torch_file(path):
        return read_torch(path, where=where)
    raise EncoderError(
        f"{path.name} is not a weights file", where=where, fix="use .safetensors, or a file of torch.save"
    )


def is_safetensors(path: Path) -> bool:
    """Whether a file begins as safetensors do: the length of a JSON header, then the header."""
    with open(path, "rb") as file:
        head = file.read(9)
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size


def is_torch_file(path: Path) -> bool:
    """Whether a file begins as `torch.save` writes it, today or before: a zip archive or a pickle."""
    with open(path, "rb") as file:
        head = file.read(4)
    return head[:4] == b"PK\x03\x04" or head[:1] == b"\x80" or path.suffix in (".pth", ".pt", ".bin", ".ckpt")


def _read_safetensors(path: Path, where: str) -> dict[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        what = f"{path.name} is not a valid safetensors file: {str(error)[:200]}"
        raise EncoderError(what, where=where, fix=f"where it is cut short or damaged: {AGAIN}") from None


def _regular(path: Path, where: str) -> Path:
    try:
        status = os.stat(path)
    except FileNotFoundError:
        fix = "put it beside the card, or name another under [source]"
        raise EncoderError(f"no such file: {path.name}", where=where, fix=fix) from None
    except OSError as error:
        raise EncoderError(f"{path.name}: {error.strerror}", where=where) from None
    if not stat.S_ISREG(status.st_mode):
        raise EncoderError(f"{path.name} is not a regular file", where=where)
    if status.st_size > MAX_BYTES:
        raise EncoderError(f"{path.name} is {status.st_size:,} bytes, over the limit of {MAX_BYTES:,}", where=where)
    return path
