"""Compute the anchors of the dense tasks of suites and keep them in tasks/anchors.json, by content.

    python benchmarks/anchors.py open-v1 phantom-v1

Needs the prepared data (`medssl data prepare`). Minutes a task; what is kept already, or is in the cache, is not
computed again. The build of the site reads them; for other data it computes its own.
"""

from __future__ import annotations

import sys

from bench.data.load import load_task
from bench.errors import UserError
from bench.files import canonical_json, write_atomic
from bench.locate import shipped
from bench.publish.anchors import anchors, digest_of, shipped_anchors
from bench.runs.plan import make_plan


def main(suites: list[str]) -> None:
    """Add what is missing, task by task: an interrupted run keeps what it has."""
    kept = dict(shipped_anchors())
    for task in (task for suite in suites for task in make_plan(suite).tasks.values() if task.kind == "dense"):
        try:
            data = load_task(task)
        except UserError as error:
            print(f"{task.name}: {error}")
            continue
        kept[digest_of(data.task, data.sha256)] = found = anchors(data)
        lines = {digest: [a.model_dump() for a in each] for digest, each in sorted(kept.items())}
        write_atomic(shipped("tasks") / "anchors.json", canonical_json(lines) + "\n")
        print(f"{task.name}: " + ", ".join(f"{a.title} {a.value:.3f}" for a in found), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
