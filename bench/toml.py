"""Writing the small part of TOML that cards need (the standard library only reads it)."""

import json
import math
from collections.abc import Mapping
from typing import Any

from bench.errors import CardError


def to_toml(values: Mapping[str, Any]) -> str:
    """A mapping as TOML text: plain keys first, then tables and lists of tables.

    Raises CardError for a value TOML cannot hold (None, NaN).

    >>> print(to_toml({"a": 1, "t": {"b": [0.5, 1.0], "u": {"c": True}}, "v": [{"d": "e"}]}), end="")
    a = 1
    <BLANKLINE>
    [t]
    b = [0.5, 1.0]
    <BLANKLINE>
    [t.u]
    c = true
    <BLANKLINE>
    [[v]]
    d = "e"
    """
    return "\n".join(_lines(values, "")).lstrip("\n") + "\n"


def _lines(values: Mapping[str, Any], above: str) -> list[str]:
    tables = {key: value for key, value in values.items() if isinstance(value, Mapping) or _are_tables(value)}
    lines = [f"{_key(key)} = {toml_value(value)}" for key, value in values.items() if key not in tables]
    for key, value in tables.items():
        name = above + _key(key)
        for table in (value,) if isinstance(value, Mapping) else value:
            lines += ["", f"[{name}]" if table is value else f"[[{name}]]", *_lines(table, f"{name}.")]
    return lines


def _are_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, Mapping) for entry in value)


def _key(key: str) -> str:
    bare = key.replace("-", "a").replace("_", "a")
    return key if bare.isascii() and bare.isalnum() else toml_value(key)


def toml_value(value: Any) -> str:
    """One value as TOML, tables inline. Raises CardError."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        # JSON's escapes are TOML's, but for DEL, which JSON leaves bare.
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, int) or (isinstance(value, float) and math.isfinite(value)):
        return repr(value)
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(k)} = {toml_value(v)}" for k, v in value.items()) + "}"
    raise CardError(f"{value!r} cannot be written as TOML")
