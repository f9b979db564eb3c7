"""The folder is the registry: a child is one module next to its siblings, with one public constant.

Children of other packages come the same way: an installed package names them under the entry point group of the
folder, and a file given by `medssl --plugin FILE --trust-code` says which folder it extends.

    [project.entry-points."bench.protocols"]      # in the pyproject.toml of a package
    nearest-mean = "my_package.nearest_mean"      # a module with PROTOCOL

    EXTENDS = "bench.protocols"                   # in a file
"""

import os
import sys
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from bench.errors import UserError
from bench.strict import did_you_mean

PLUGINS = "MEDSSL_PLUGINS"
"""Environment variable: the files of `--plugin`, so that worker processes find them too."""
EXTENSIBLE = {
    "bench.encoders.sources": "SOURCE",
    "bench.data.sources": "SOURCE",
    "bench.protocols": "PROTOCOL",
    "bench.metrics.set": "METRIC",
    "bench.pretrain.objectives": "OBJECTIVE",
    "bench.analysis.estimands": "ESTIMAND",
    "bench.phantoms": "MODALITY",
    "bench.runs.executors": "EXECUTOR",
    "bench.runs.watch": "WATCH",
    "bench.publish.pages": "PAGE",
}
"""Folder -> the constant of each of its modules."""


@cache
def members(package: str, constant: str) -> dict[str, Any]:
    """Name -> the object called `constant` in each public module of `package`, and in what extends it.

    The object's `name` attribute is its key. Raises UserError when two share a name, and for an extension that cannot
    be loaded.
    """
    found: dict[str, Any] = {}
    for where, module in (*_own(package), *_installed(package), *_files(package)):
        member = getattr(module, constant, None)
        if member is None:
            if where is not None:
                raise UserError(f"extends {package} but has no {constant}", where=where, fix="see docs/extending.md")
            continue
        if member.name in found:
            raise UserError(f"{member.name!r} is defined twice in {package}", where=where, fix="choose another name")
        found[member.name] = member
    return found


def add_plugins(files: tuple[Path, ...]) -> None:
    """Load files that extend the benchmark, here and in worker processes. Raises UserError."""
    for file in files:
        plugin(file.resolve())
    if files:
        os.environ[PLUGINS] = os.pathsep.join(str(file.resolve()) for file in files)
        members.cache_clear()


@cache
def plugin(file: Path) -> ModuleType:
    """A file as a module. It runs: only files the user has named are loaded. Raises UserError."""
    name = f"medssl_plugin_{file.stem}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise UserError("is not a Python file", where=file, fix="--plugin takes one .py file")
    module = module_from_spec(spec)
    sys.modules[name] = module
    _guarded(lambda: spec.loader.exec_module(module), file)
    extends = getattr(module, "EXTENDS", None)
    if extends not in EXTENSIBLE:
        said = (
            "does not say what it extends" if extends is None else f"extends {extends!r}, which is no folder of parts"
        )
        raise UserError(said, where=file, fix=f"EXTENDS = one of: {', '.join(EXTENSIBLE)}")
    return module


def pick(choices: dict[str, Any], name: str, *, what: str, where: object = None) -> Any:
    """The member called `name`, or a UserError that offers the nearest name."""
    if name in choices:
        return choices[name]
    raise UserError(f"unknown {what} {name[:80]!r}", where=where, fix=did_you_mean(name, sorted(choices)))


def _own(package: str) -> Iterator[tuple[None, ModuleType]]:
    for module in iter_modules(import_module(package).__path__):
        if not module.name.startswith("_"):
            yield None, import_module(f"{package}.{module.name}")


def _installed(package: str) -> Iterator[tuple[str, ModuleType]]:
    for entry in sorted(entry_points(group=package), key=lambda e: e.name):
        where = f"{entry.dist.name if entry.dist else 'a package'}, entry point {entry.name!r}"
        yield where, _guarded(entry.load, where)


def _files(package: str) -> Iterator[tuple[str, ModuleType]]:
    for file in filter(None, os.environ.get(PLUGINS, "").split(os.pathsep)):
        module = plugin(Path(file))
        if package == module.EXTENDS:
            yield file, module


def _guarded(load: Any, where: object) -> Any:
    """What `load` gives; whatever a stranger's module raises becomes one message."""
    try:
        return load()
    except UserError:
        raise
    except Exception as error:
        what = f"cannot be loaded: {type(error).__name__}: {str(error)[:200]}"
        raise UserError(what, where=where, fix="mend it, or leave it out") from None
