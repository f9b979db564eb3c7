"""Files that `torch.save` wrote, read as inert data: tensors and plain containers, and nothing runs.

Training scripts save more than weights: arguments (`argparse.Namespace`, OmegaConf, Lightning's attribute dicts),
numpy scalars, paths, whole modules. torch's `weights_only` reader refuses these classes. Here each one is given a
stand-in that holds its values and can do nothing; the class itself is never imported. What the standard library could
do (`os`, `subprocess`, `builtins.eval`, ...) is refused, not stood in for.
"""

import io
import pickletools
import re
import sys
import warnings
import zipfile
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bench.encoders.mistaken import AGAIN
from bench.errors import EncoderError

PLAIN = {
    "argparse.Namespace", "collections.defaultdict", "collections.deque", "decimal.Decimal", "fractions.Fraction",
    "functools.partial", "types.SimpleNamespace", "copyreg._reconstructor",
    *(f"builtins.{kind}" for kind in ("int", "float", "str", "bool", "list", "dict", "tuple", "frozenset", "object")),
    *(f"builtins.{kind}" for kind in ("range", "slice", "complex", "bytearray", "Ellipsis")), "re._compile",
}  # fmt: skip
PLAIN_MODULES = ("datetime", "pathlib", "uuid", "enum", "typing")
"""What training scripts leave in their files of the standard library: plain data."""
MAX_GLOBALS = 1000
MAX_OPCODES = 20_000_000
ERRORS = (
    RuntimeError, ValueError, EOFError, OSError, KeyError, IndexError, TypeError, AttributeError, AssertionError,
    OverflowError, MemoryError, RecursionError,
)  # fmt: skip
"""What torch's reader raises on damaged or forged files; its UnpicklingError is named apart."""


class Inert:
    """Stands in for an object of a class that is not imported; `state` is what the file said about it.

    Made without arguments it is an OrderedDict instead, the one mapping torch's reader fills and updates.
    """

    def __new__(cls, *args: Any) -> Any:
        return super().__new__(cls) if args else OrderedDict()

    def __init__(self, *args: Any) -> None:
        self.state: Any = args

    def __setstate__(self, state: Any) -> None:
        self.state = state


class InertDict:
    """Stands in for a mapping that is made with arguments and then filled."""

    def __new__(cls, *args: Any) -> Any:
        return OrderedDict()


def read_torch(path: Path, *, where: str) -> Any:
    """What a file of `torch.save` holds: tensors in plain containers. Raises EncoderError; nothing in it runs."""
    from pickle import UnpicklingError

    _refuse_cut(path, where)
    _refuse_compressed(path, where)
    try:
        names = foreign_names(path)
        _refuse_capable(path, names, where)
        stand_ins: list[Any] = [(InertDict if name.endswith(".defaultdict") else Inert, name) for name in names]
        with warnings.catch_warnings(), torch.serialization.safe_globals(stand_ins):
            warnings.simplefilter("ignore", UserWarning)  # about the pickle protocol; a refusal says more
            with open(path, "rb") as file:  # of a name, torch would look at its ending
                return plain(torch.load(file, map_location="cpu", weights_only=True))
    except (UnpicklingError, *ERRORS) as error:
        raise _unreadable(path, _spoken(str(error)), where) from None


def foreign_names(path: Path) -> list[str]:
    """The classes and functions the file names that are not among the tensors and containers torch itself reads."""
    from torch._weights_only_unpickler import _get_allowed_globals

    found: set[str] = set()
    for text in _pickles(path):
        for count, (opcode, argument, _) in enumerate(pickletools.genops(text)):
            if count > MAX_OPCODES or len(found) > MAX_GLOBALS:
                raise ValueError("it holds too many objects")
            if opcode.name == "GLOBAL":
                found.add(_today(*str(argument).split(" ", 1)))
    return sorted(found - _get_allowed_globals().keys())


def _today(module: str, name: str) -> str:
    """The full name torch's reader looks up: Python 2's modules, as protocol 2 writes them, under their new names."""
    module, name = NAME_MAPPING.get((module, name), (module, name))
    return f"{IMPORT_MAPPING.get(module, module)}.{name}"


def plain(value: Any, done: dict[int, Any] | None = None) -> Any:
    """`value` with each stood-in object as a plain mapping: a module as its flat state dict, others as their fields.

    done: what has been met, by identity: an object that stands in many places is made once, and None inside itself.
    """
    done = {} if done is None else done
    if isinstance(value, Tensor) or not isinstance(value, (Mapping, list, tuple)):
        return value
    if id(value) not in done:
        done[id(value)] = None
        done[id(value)] = _made_plain(value, done)
    return done[id(value)]


def _made_plain(value: Any, done: dict[int, Any]) -> Any:
    if not isinstance(value, Mapping):
        return [plain(v, done) for v in value] if type(value) in (list, tuple) else value
    fields = {k: v for k, v in getattr(value, "__dict__", {}).items() if k != "_metadata"}
    if isinstance(fields.get("_modules"), Mapping):
        return dict(_module_state(fields, ""))
    return {k: plain(v, done) for k, v in {**fields, **value}.items()}


def _module_state(fields: Mapping[str, Any], prefix: str) -> dict[str, Tensor]:
    """The state dict of a whole module that was saved, from its `_parameters`, `_buffers` and `_modules`."""
    state: dict[str, Tensor] = {}
    for kind in ("_parameters", "_buffers"):
        held = fields.get(kind)
        state |= {f"{prefix}{k}": v for k, v in (held or {}).items() if isinstance(v, Tensor)}
    for name, module in (fields.get("_modules") or {}).items():
        state |= _module_state(getattr(module, "__dict__", {}), f"{prefix}{name}.")
    return state


def _pickles(path: Path) -> list[Any]:
    """The pickles of a file: one inside a zip archive; in the older format magic number, protocol, system, object."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            inner = [n for n in archive.namelist() if n.endswith("data.pkl")]
            return [io.BytesIO(archive.read(name)) for name in inner]
    file = open(path, "rb")  # noqa: SIM115 - read lazily, pickle after pickle, and closed with the last reference
    return [file] * 4


def _refuse_capable(path: Path, names: list[str], where: str) -> None:
    capable = [n for n in names if n.split(".")[0] in REFUSED and n not in PLAIN]
    if capable:
        raise _unreadable(path, f"it names {', '.join(capable[:5])[:200]}, which could run when read", where)


REFUSED = {*sys.stdlib_module_names, "posix", "nt"} - {"__main__", *PLAIN_MODULES}


def _unreadable(path: Path, why: str, where: str) -> EncoderError:
    return EncoderError(
        f"{path.name} cannot be read as tensors only: {why}",
        where=where,
        fix="save the state dict alone, as safetensors or with torch.save(model.state_dict(), ...)",
    )


def _spoken(text: str) -> str:
    """The heart of torch's message: no escape codes, no advice to drop the protection."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)
    if found := re.search(r"WeightsUnpickler error:\s*(.+)", text) or re.search(r"GLOBAL (\S+)", text):
        text = found.group(1)
    if "Unsupported operand" in text:
        return "it was pickled with another protocol than 2, the one that torch.save writes by itself"
    if "pickle exhausted" in text:
        return "it is a plain pickle, not a file of torch.save, or it is cut short"
    text = re.sub(r"Please use `torch.*", "", text.split("\n")[0])
    return text.strip()[:200] or "it is damaged"


def _refuse_cut(path: Path, where: str) -> None:
    with open(path, "rb") as file:
        begin = file.read(2)
    if begin == b"PK" and not zipfile.is_zipfile(path):
        raise EncoderError(f"{path.name} is cut short: its end is missing", where=where, fix=AGAIN)


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
