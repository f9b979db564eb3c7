"""Whether a prepared copy still holds the bytes that were written: all of them at first use, some at each later one.

A disk or a copy can change bytes and no size. `checked.json` beside the entry says which files (size, time) were looked
at whole, and the hash of each of their blocks; later openings read small files and, of large ones, blocks drawn by lot.
"""

import hashlib
import json
import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.errors import RunError
from bench.files import write_atomic

CHECKED = "checked.json"
BLOCK = 1 << 22
SAMPLED = 2
"""Blocks of a large file that are read at each opening; of one of so few blocks as FEW all."""
FEW = 4


def damage(folder: Path, names: Iterable[str], is_whole: Callable[[], bool]) -> str | None:
    """What is damaged of the files `names` of an entry, in words, or None. is_whole: reads all, by the entry's hash."""
    stats = {name: [(status := (folder / name).stat()).st_size, status.st_mtime_ns] for name in sorted(names)}
    checked = _checked(folder)
    if checked.get("stats") != stats:
        if not is_whole():
            return "its hash is another"
        blocks = {name: _hashes(folder / name, range(_count(size))) for name, (size, _) in stats.items()}
        with suppress(RunError):  # a store that others keep cannot be written to, and is looked at whole each time
            write_atomic(folder / CHECKED, json.dumps({"stats": stats, "blocks": blocks}))
        return None
    for name, (size, _) in stats.items():
        drawn = _drawn(_count(size))
        if _hashes(folder / name, drawn) != [checked["blocks"][name][i] for i in drawn]:
            return f"{name} is not what was written"
    return None


def _checked(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / CHECKED).read_text(encoding="utf-8"))
        return found if all(len(found["blocks"][n]) == _count(size) for n, (size, _) in found["stats"].items()) else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _count(size: int) -> int:
    return -(-size // BLOCK)


def _drawn(count: int) -> list[int]:
    return list(range(count)) if count <= FEW else sorted(random.SystemRandom().sample(range(count), SAMPLED))


def _hashes(path: Path, blocks: Iterable[int]) -> list[str]:
    found = []
    with open(path, "rb") as file:
        for i in blocks:
            file.seek(i * BLOCK)
            found.append(hashlib.sha256(file.read(BLOCK)).hexdigest()[:32])
    return found
