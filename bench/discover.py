"""The folder is the registry: a child is one module next to its siblings, with one public constant."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from bench.errors import UserError
from bench.strict import nearest


@cache
def members(package: str, constant: str) -> dict[str, Any]:
    """Name -> the object called `constant` in each public module of `package` that has one.

    The object's `name` attribute is its key. Raises ImportError when two share a name.
    """
    found: dict[str, Any] = {}
    for module in iter_modules(import_module(package).__path__):
        if module.name.startswith("_"):
            continue
        member = getattr(import_module(f"{package}.{module.name}"), constant, None)
        if member is None:
            continue
        if member.name in found:
            raise ImportError(f"{package}: two modules define {member.name!r}")
        found[member.name] = member
    return found


def pick(choices: dict[str, Any], name: str, *, what: str, where: object = None) -> Any:
    """The member called `name`, or a UserError that offers the nearest name."""
    if name in choices:
        return choices[name]
    near = nearest(name, list(choices))
    fix = f"did you mean {near!r}?" if near else f"one of: {', '.join(sorted(choices))}"
    raise UserError(f"unknown {what} {name[:80]!r}", where=where, fix=fix)
