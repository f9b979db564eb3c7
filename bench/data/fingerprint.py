"""The fingerprint of a suite: it changes when any definition, parameter or image changes, and only then."""

from __future__ import annotations

from collections.abc import Mapping

from bench.data.task import Suite, Task
from bench.files import canonical_json, sha256_text
from bench.protocols.base import Protocol

VERSION = 1


def suite_fingerprint(
    suite: Suite, tasks: Mapping[str, Task], protocols: Mapping[str, Protocol], data: Mapping[str, str]
) -> str:
    """SHA-256 over the suite's card, its tasks' cards, its protocols' parameters and the data's hashes.

    data: task name -> hash of its arrays (`TaskData.sha256`). Order of keys and of tasks does not matter.
    """
    return sha256_text(canonical_json({
        "version": VERSION,
        "suite": suite.model_dump(mode="json", by_alias=True) | {"tasks": sorted(suite.tasks)},
        "tasks": {name: task.sha256 for name, task in tasks.items()},
        "protocols": {name: protocol.sha256 for name, protocol in protocols.items()},
        "data": dict(data),
    }))
