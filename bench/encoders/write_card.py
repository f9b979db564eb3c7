"""A card back to TOML."""

from __future__ import annotations

import json
from typing import Any

from bench.encoders.card import EncoderCard


def card_toml(card: EncoderCard) -> str:
    """The card as TOML text; reading it gives an equal card with the same hash."""
    values = card.model_dump(mode="json", by_alias=True, exclude_none=True)
    plain = {k: v for k, v in values.items() if not isinstance(v, dict) and not _is_tables(v)}
    parts = ["\n".join(f"{key} = {toml_value(v)}" for key, v in plain.items())]
    for key, value in values.items():
        if isinstance(value, dict):
            parts.append(_table(f"[{key}]", value))
        elif _is_tables(value):
            parts.extend(_table(f"[[{key}]]", entry) for entry in value)
    return "\n\n".join(parts) + "\n"


def _is_tables(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _table(head: str, values: dict[str, Any]) -> str:
    return "\n".join([head, *(f"{_key(k)} = {toml_value(v)}" for k, v in values.items())])


def _key(key: str) -> str:
    return key if key.replace("_", "").replace("-", "").isalnum() and key.isascii() else toml_value(key)


def toml_value(value: Any) -> str:
    """One value as TOML, tables inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(k)} = {toml_value(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    # JSON's escapes of strings, numbers and booleans are TOML's too, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
