"""Run an encoder with `--watch wandb:offline`, open the folder it leaves, and list what is in it.

    python benchmarks/wandb_listing.py

The transaction log of an offline run (run-*.wandb) is in LevelDB's log format; each entry is a protocol buffer whose
schema wandb ships (`wandb.proto.wandb_internal_pb2`).
"""

from __future__ import annotations

import json
import os
import struct
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import wandb
from wandb.proto.wandb_internal_pb2 import Record

MAGIC = b":W&B"
BLOCK, FILE_HEADER, ENTRY_HEADER = 32768, 7, 7
FULL, LAST = 1, 4


@dataclass
class OfflineRun:
    """What one offline run holds."""

    name: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    curves: list[str] = field(default_factory=list)
    """Titles of the line charts."""
    tables: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Key -> {"columns": [...], "data": [...]}, read from the files that the history points at."""


def entries(path: Path) -> Iterator[Record]:
    """Every entry of a transaction log. Raises ValueError when it is none."""
    data = path.read_bytes()
    if data[:4] != MAGIC:
        raise ValueError(f"{path} is not a wandb transaction log")
    at, parts = FILE_HEADER, b""
    while at + ENTRY_HEADER <= len(data):
        room = BLOCK - at % BLOCK
        if room < ENTRY_HEADER:
            at += room
            continue
        length, kind = struct.unpack_from("<HB", data, at + 4)
        at += ENTRY_HEADER
        parts += data[at : at + length]
        at += length
        if kind in (FULL, LAST):
            yield Record.FromString(parts)
            parts = b""


def open_run(folder: Path) -> OfflineRun:
    """Decode an `offline-run-*` folder."""
    run = OfflineRun()
    for entry in entries(next(folder.glob("*.wandb"))):
        kind = entry.WhichOneof("record_type")
        if kind == "run":
            run.name = entry.run.display_name
            run.config |= _items(entry.run.config.update)
        elif kind == "config":
            run.curves += [i.nested_key[2] for i in entry.config.update if list(i.nested_key[1:2]) == ["visualize"]]
        elif kind == "history":
            run.history.append(_items(entry.history.item))
        elif kind == "summary":
            run.summary |= _items(entry.summary.update)
    for row in run.history:
        for key, value in row.items():
            if isinstance(value, dict) and value.get("_type") == "table-file":
                run.tables[key] = json.loads((folder / "files" / value["path"]).read_text())
    return run


def _items(items: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in items:
        *path, last = item.nested_key or [item.key]
        inner = found
        for key in path:
            inner = inner.setdefault(key, {})
        inner[last] = json.loads(item.value_json)
    return found


def main() -> None:
    """Run two reference encoders and list their folders."""
    from bench.runs.options import RunSpec
    from bench.runs.run import run
    from benchmarks.hostile.base import write_tasks

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.environ["MEDSSL_HOME"] = f"{folder}/home"
        tasks = write_tasks(Path(folder) / "tasks", dark=150, bright=190)
        for encoder in ("raw-pixels", "colour-histogram"):
            run(RunSpec.of(encoder, suite=None, tasks=str(tasks), threads=1, watches=("wandb:offline",)))
        wandb.teardown()
        for found in sorted(Path("wandb").glob("offline-run-*")):
            _list(open_run(found))


def _list(run: OfflineRun) -> None:
    print(run.name)
    print(f"  config    {len(run.config)} keys, suite_fingerprint {run.config['suite_fingerprint'][:16]}...")
    print(f"  history   {len(run.history)} steps, {len({k for row in run.history for k in row if k[0] != '_'})} keys")
    for key, table in run.tables.items():
        print(f"  table     {key}: {len(table['data'])} rows of {', '.join(table['columns'])}")
    for title in run.curves:
        print(f"  curve     {title}")
    for key, value in sorted(run.summary.items()):
        if isinstance(value, float) and key.count("/") == 1:
            print(f"  summary   {key} = {value:.3f}")


if __name__ == "__main__":
    main()
