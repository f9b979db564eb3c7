"""Writing the small part of TOML that cards need (the standard library only reads it)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from bench.errors import CardError


def to_toml(values: Mapping[str, Any]) -> str:
    """A mapping as TOML text: plain keys first, then tables; lists of tables stay inline.

    Raises CardError for a value TOML cannot hold (None, NaN).

    >>> print(to_toml({"a": 1, "t": {"b": [0.5, 1.0], "u": {"c": True}}}), end="")
    a = 1
    <BLANKLINE>
    [t]
    b = [0.5, 1.0]
    <BLANKLINE>
    [t.u]
    c = true
    """
    return "\n".join(_lines(values, ())).lstrip("\n") + "\n"


def _lines(values: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping)}
    lines = ["", f"[{'.'.join(path)}]"] if path and plain else []
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    return lines + [line for key, table in tables.items() for line in _lines(table, (*path, _key(key)))]


def _key(key: str) -> str:
    bare = key.replace("-", "a").replace("_", "a")
    return key if bare.isascii() and bare.isalnum() else json.dumps(key)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which JSON leaves bare.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {_value(v)}" for k, v in value.items()) + "}"
    raise CardError(f"{value!r} cannot be written as TOML")
