"""The fingerprint of a suite: two results are comparable when it is equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bench.data.load import sources
from bench.data.task import Suite, Task
from bench.errors import CardError
from bench.files import canonical_json, sha256_text
from bench.protocols.base import Protocol

if TYPE_CHECKING:
    from bench.runs.plan import Plan

PROSE = {"title", "description", "citation", "caveats"}
"""Keys of cards that explain and decide nothing: a better sentence does not make results incomparable."""


def suite_fingerprint(suite: Suite, tasks: Mapping[str, Task], protocols: Mapping[str, Protocol]) -> str:
    """SHA-256 over all that decides a score of the suite, independent of the order of keys, tasks and protocols.

    Protocols, budgets, seeds, scoring version, and the data as far as they are known before they are read: the cards
    with the checksums they pin, and the version of the reader of each (of a phantom: of the procedure that draws it).
    A suite under scoring 1 keeps the formula of its records, which knew neither scoring nor reader versions.

    tasks, protocols: by name, at least those of the suite. Raises CardError for a name that is not given.
    """
    uses = [use.model_dump(mode="json") | {"budgets": sorted(use.budgets)} for use in suite.protocols]
    named = sorted({use.name for use in suite.protocols})
    texts = any(_known(protocols, name, suite).reads_text for name in named)
    first = suite.scoring == 1
    unsaid = {"title", "description", "tasks", "protocols"} | ({"scoring"} if first else set())
    meaning = {
        "suite": suite.model_dump(mode="json", by_alias=True, exclude=unsaid),
        "uses": sorted(uses, key=canonical_json),
        "tasks": {name: meaning_of_task(_known(tasks, name, suite), prompts=texts) for name in suite.tasks},
        "protocols": {name: _known(protocols, name, suite).sha256 for name in named},
        "data": {} if first else {name: _reader_version(tasks[name]) for name in suite.tasks},
    }
    return sha256_text(canonical_json(meaning))


def fingerprint_of(plan: Plan) -> str:
    """`suite_fingerprint` of a plan's suite."""
    return suite_fingerprint(plan.suite, plan.tasks, plan.protocols)


def meaning_of_task(task: Task, *, prompts: bool = False) -> dict[str, Any]:
    """A task card less what explains and decides nothing; `prompts` decide what reads them, and that alone."""
    values = task.model_dump(mode="json", by_alias=True, exclude=PROSE if prompts else PROSE | {"prompts"})
    values["source"] = {key: value for key, value in values["source"].items() if key != "url"}
    return values


def _reader_version(task: Task) -> str | None:
    """Version of what turns the card's source into arrays; None for a reader that is not known here."""
    reader = sources().get(str(task.source.get("reader")))
    return reader.version if reader else None


def _known(choices: Mapping[str, Any], name: str, suite: Suite) -> Any:
    if name not in choices:
        raise CardError(f"names {name!r}, which is not known", where=f"suite {suite.name!r}")
    return choices[name]
