"""Task cards of one's own, as tests write them."""

from __future__ import annotations

import json
from collections.abc import Sequence


def task_card(
    name: str,
    source: str,
    *,
    title: str = "Own",
    modality: str = "mixed",
    target: str = "binary",
    classes: Sequence[str] = ("a", "b"),
    licence: str = "CC0-1.0",
    corpus: str = "own",
    more: str = "",
) -> str:
    """TOML of a card. source: what stands between the braces of its table; more: further lines."""
    values = {"name": name, "title": title, "modality": modality, "target": target, "classes": list(classes)}
    lines = [f"{key} = {json.dumps(value)}" for key, value in (values | {"licence": licence, "corpus": corpus}).items()]
    return "\n".join(["schema = 1", *lines, *more.splitlines(), f"source = {{ {source} }}", ""])
