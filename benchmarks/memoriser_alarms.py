"""The look for lookups, on honest encoders (false alarms) and on lookups, with views drawn by several lots.

python -m benchmarks.memoriser_alarms [--lots 12] [--tasks NAME...] [--encoders ENCODER...] [--lookups]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch

import bench
from bench.data.dataset import TaskData
from bench.data.load import load_task
from bench.data.task import read_suite, shipped_tasks
from bench.encoders.base import Encoder
from bench.encoders.load import load_encoder
from bench.submissions.memoriser import DROP, HIGH, Looked, looks
from benchmarks.hostile.lookups import KEYS, Key, Lookup

SIDE = 64
"""Of the images that lookups get."""


def main() -> None:
    """Print a row of the table in docs/submitting.md for each encoder, and for each kind of lookup."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lots", type=int, default=12)
    parser.add_argument("--tasks", nargs="+", help="by default those with one class an image of open-v1 and phantom-v1")
    parser.add_argument("--encoders", nargs="+", default=[])
    parser.add_argument("--lookups", action="store_true")
    wanted = parser.parse_args()
    names = wanted.tasks or [name for suite in ("open-v1", "phantom-v1") for name in read_suite(suite).tasks]
    tasks = [shipped_tasks()[name] for name in names]
    tasks = [task for task in tasks if task.target in ("binary", "multi-class", "ordinal")]
    lots = [str(lot) for lot in range(wanted.lots)]

    def row(name: str, encoder_on: Callable[[TaskData], Encoder]) -> None:
        found = [look for task in tasks for data in [load_task(task)] for look in looks(encoder_on(data), [data], lots)]
        print(f"| {name} | {told(found)} |", flush=True)

    print(f"| encoder | tasks | at {HIGH} and more | falls on new views | refused | alarms |\n{'|---' * 6}|")
    for path in wanted.encoders:
        encoder = load_encoder(path)
        row(encoder.card.name, lambda data, encoder=encoder: encoder)
    for key in KEYS if wanted.lookups else ():
        row(f"lookup by {key.__name__}", lambda data, key=key: lookup(data, key))


def lookup(data: TaskData, key: Key) -> Encoder:
    """A lookup of the images of a task, as an encoder."""
    torch.manual_seed(0)
    return bench.wrap(Lookup(data, key, side=SIDE), name="lookup", size=SIDE, mean=(0.0,) * 3, std=(1.0,) * 3)


def told(found: list[Looked]) -> str:
    """The other cells of a row."""
    falls = [look.seen - score for look in found for score in look.anew]
    high = [look.task for look in found if look.seen >= HIGH]
    where = f"{len(high)} ({', '.join(high)})" if 0 < len(high) <= 3 else str(len(high))
    ends = f"{min(falls):.3f} to {max(falls):.3f} ({len(falls)} views)" if falls else ""
    refused = sum(any(look.problems()) for look in found)
    return f"{len(found)} | {where} | {ends} | {refused} | {sum(fall > DROP for fall in falls)}"


if __name__ == "__main__":
    main()
