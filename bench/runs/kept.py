"""What a run was made with, kept beside its results as `plan.json`: they can be read without the folder of cards."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from bench.data.task import Suite, Task
from bench.errors import CardError
from bench.files import canonical_json, write_atomic
from bench.strict import Name, Strict

FILE = "plan.json"


class KeptPlan(Strict):
    """A suite with the cards of its tasks.

    folders: of one's own tasks, where their relative paths start. origin: the folder or card of one's own tasks, whole
    path; "" for shipped tasks. base: the suite whose protocols are used on them, or "".
    """

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    suite: Suite
    tasks: dict[Name, Task]
    folders: dict[Name, str] = {}
    origin: str = ""
    base: str = ""

    def is_of(self, origin: Path, base: str, tasks: Mapping[str, Task]) -> bool:
        """Whether it is of one's own tasks at `origin`: the same place, or the same cards where that place is gone."""
        moved = not Path(self.origin).exists() and dict(self.tasks) == dict(tasks)
        return bool(self.origin) and self.base == base and (self.origin == str(origin) or moved)


def keep_plan(folder: Path, plan: KeptPlan) -> None:
    """Write `plan.json` into a run folder. Raises RunError when it cannot be written."""
    write_atomic(folder / FILE, canonical_json(plan.model_dump(mode="json", by_alias=True)))


def kept_plan(folder: Path) -> KeptPlan | None:
    """The plan a run folder was made with; None where none is kept. Raises CardError for one that cannot be read."""
    path = folder / FILE
    try:
        return KeptPlan.parse(json.loads(path.read_text(encoding="utf-8")), where=path)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError) as error:
        fix = "restore it, or move that folder of results away and run again"
        raise CardError(f"is not a readable plan: {str(error)[:200]}", where=path, fix=fix) from None


class Holders(NamedTuple):
    """Who has which name in a folder of runs: the name of the suite asked for, and suite -> folder of all others."""

    name: str | None
    others: dict[str, Path]


def holders(out: Path | None, origin: Path, base: str, tasks: Mapping[str, Task]) -> Holders:
    """Names of the suites below `out` (<encoder>/<suite>), as seen by the own tasks at `origin` with these cards."""
    name, others = None, {}
    for folder in sorted(p for p in out.glob("*/*") if p.is_dir()) if out else ():
        try:
            plan = kept_plan(folder)
        except CardError:
            plan = None
        if plan and plan.is_of(origin, base, tasks):
            name = name or plan.suite.name
        elif plan or any((folder / part).exists() for part in ("units", "records.jsonl")):
            others[folder.name] = folder
    return Holders(name, {other: folder for other, folder in others.items() if other != name})
