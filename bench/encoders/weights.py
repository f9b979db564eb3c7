"""Weights files: found beside the card or in an installed package, hashed before reading, never executed."""

from __future__ import annotations

import importlib.metadata
import os
import stat
import warnings
import zipfile
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from bench.encoders.shards import joint_sha256
from bench.encoders.source import Place
from bench.errors import EncoderError
from bench.files import sha256_file

MAX_BYTES = 32 << 30


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
    found = {path.name: sha256_file(path) for path in paths}
    actual = joint_sha256(found) if len(paths) > 1 else found[paths[0].name]
    if sha256 is None:
        raise EncoderError("the card does not say the weights' sha256", where=where, fix=f'add sha256 = "{actual}"')
    if actual != sha256:
        raise EncoderError(
            f"{paths[0].name} has sha256 {actual}, the card says {sha256}",
            where=where,
            fix="the file is another version or damaged; never skip this check",
        )
    return actual


def read_state(path: Path, *, where: str) -> dict[str, object]:
    """What a `.safetensors`, or a `.pth`, `.pt`, `.bin` or `.ckpt` file holds, read without running anything in it.

    The second kind is a pickle: torch's `weights_only` reader allows tensors and plain containers and refuses the
    rest before it is built. Raises EncoderError.
    """
    if path.suffix == ".safetensors":
        return _read_safetensors(path, where)
    if path.suffix in (".pth", ".pt", ".bin", ".ckpt"):
        return _read_torch(path, where)
    raise EncoderError(
        f"{path.name} is not a weights file", where=where, fix="use .safetensors, .pth, .pt, .bin or .ckpt"
    )


def _read_safetensors(path: Path, where: str) -> dict[str, Tensor]:
    try:
        return load_file(path, device="cpu")
    except (SafetensorError, OSError, ValueError, KeyError, RuntimeError) as error:
        raise EncoderError(f"{path.name} is not a valid safetensors file: {str(error)[:200]}", where=where) from None


def _read_torch(path: Path, where: str) -> dict[str, object]:
    _refuse_compressed(path, where)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about the pickle protocol; a refusal says more
            return torch.load(path, map_location="cpu", weights_only=True)
    except (
        UnpicklingError,
        RuntimeError,
        ValueError,
        EOFError,
        OSError,
        KeyError,
        IndexError,
        TypeError,
        AttributeError,
        AssertionError,
        OverflowError,
        MemoryError,
        UnicodeDecodeError,
    ) as error:
        raise EncoderError(
            f"{path.name} cannot be read as tensors only: {str(error).splitlines()[0][:200]}",
            where=where,
            fix="save the state dict alone, as safetensors or with torch.save(model.state_dict(), ...)",
        ) from None


def _refuse_compressed(path: Path, where: str) -> None:
    """torch stores its members uncompressed; a compressed one could unpack to any size."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            packed = any(i.compress_type != zipfile.ZIP_STORED for i in archive.infolist())
            total = sum(i.file_size for i in archive.infolist())
    except zipfile.BadZipFile as error:
        raise EncoderError(f"{path.name} is a damaged archive: {error}", where=where) from None
    if packed or total > 2 * path.stat().st_size:
        raise EncoderError(f"{path.name} is a compressed archive; torch does not write those", where=where)


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
