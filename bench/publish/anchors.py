"""What a task's scores are to be read against, as the pages show it; computed once and cached by content."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import TypeAdapter, ValidationError

from bench.data.task import Task
from bench.files import canonical_json, sha256_text, write_atomic
from bench.leaderboard.frame import normalised
from bench.locate import home, shipped
from bench.strict import Strict

if TYPE_CHECKING:
    from bench.data.dataset import TaskData

VERSION = 1
"""Raised whenever an anchor of bench.protocols.floors is computed in another way."""
GRID = (16, 16)
"""Patches of the grid whose ceiling is shown."""
Kind = Literal["chance", "floor", "ceiling"]


class Anchor(Strict):
    """One reference value in the task's primary metric. `score`: on the fixed scale, 0 chance, 1 perfect."""

    kind: Kind
    title: str
    value: float
    score: float


_LISTED = TypeAdapter(tuple[Anchor, ...])


def anchors(data: TaskData) -> tuple[Anchor, ...]:
    """The anchors of a task: shipped, from the cache, or computed into it; each by the content of card and data."""
    digest = digest_of(data.task, data.sha256)
    if digest in (known := shipped_anchors()):
        return known[digest]
    path = home() / "anchors" / f"{digest}.json"
    try:
        return _LISTED.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        found = compute(data)
        write_atomic(path, canonical_json([a.model_dump() for a in found]))
        return found


def anchors_without_images(task: Task, data_sha256: str) -> tuple[Anchor, ...]:
    """The shipped anchors of a task on data of this hash; where none are, chance, which the card knows."""
    return shipped_anchors().get(digest_of(task, data_sha256)) or (_chance(task),)


def shipped_anchors() -> dict[str, tuple[Anchor, ...]]:
    """Digest -> anchors of `tasks/anchors.json`, which `benchmarks/anchors.py` writes; {} without it."""
    return _kept(shipped("tasks") / "anchors.json")


@cache
def _kept(kept: Path) -> dict[str, tuple[Anchor, ...]]:
    return TypeAdapter(dict[str, tuple[Anchor, ...]]).validate_json(kept.read_bytes()) if kept.is_file() else {}


def compute(data: TaskData) -> tuple[Anchor, ...]:
    """Chance of any task; for a dense one also the best answer without looking, and the ceiling of a patch grid."""
    from bench.protocols.floors import all_foreground, grid_ceiling

    task, masks = data.task, data.tests["test"].labels
    found = [_chance(task)]
    if task.kind == "dense" and task.metric == "dice":
        if len(task.classes) == 2:
            blind = all_foreground(task, masks).value
            found.append(_anchor(task, "floor", "Floor: all foreground", blind))
        if not task.volume:  # their grids are of many shapes
            ceiling = grid_ceiling(task, masks, GRID).value
            found.append(_anchor(task, "ceiling", f"Ceiling: {GRID[0]} × {GRID[1]} patches", ceiling))
    return tuple(found)


def _chance(task: Task) -> Anchor:
    return _anchor(task, "chance", "Chance", task.chance)


def _anchor(task: Task, kind: Kind, title: str, value: float) -> Anchor:
    return Anchor(kind=kind, title=title, value=value, score=normalised(value, task.chance))


def cell_anchors(tasks: Iterable[tuple[Anchor, ...]]) -> dict[tuple[Kind, str], float]:
    """(kind, title) -> mean score over the tasks of a cell, for the anchors that every one of them has."""
    scores = [{(a.kind, a.title): a.score for a in found} for found in tasks]
    shared = set.intersection(*map(set, scores)) if scores else set()
    return {key: sum(of[key] for of in scores) / len(scores) for key in sorted(shared)}


def digest_of(task: Task, data_sha256: str) -> str:
    """What the anchors of a task are of: its card, its data, and how they are computed."""
    return sha256_text(canonical_json([VERSION, GRID, task.sha256, data_sha256]))
