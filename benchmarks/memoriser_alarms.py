"""False alarms of the look for lookups: honest encoders on every global task, with views drawn by several lots.

python benchmarks/memoriser_alarms.py [--lots 12] ENCODER...
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator

from bench.checks.probe import probe_of, ranked
from bench.data.dataset import TaskData
from bench.data.load import load_task
from bench.data.task import read_suite, shipped_tasks
from bench.encoders.load import load_encoder
from bench.submissions.memoriser import DROP, FAR, HIGH, UNSEEN, _ranked_anew, change, features, some


def main() -> None:
    """Print a line for each encoder, then the largest falls of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lots", type=int, default=12)
    parser.add_argument("encoders", nargs="+")
    wanted = parser.parse_args()
    tasks = [shipped_tasks()[name] for suite in ("open-v1", "phantom-v1") for name in read_suite(suite).tasks]
    datas = [load_task(task) for task in tasks if task.target in ("binary", "multi-class", "ordinal")]
    falls: list[tuple[float, str]] = []
    moved_far = 0
    for path in wanted.encoders:
        encoder = load_encoder(path)
        rows = list(looks(encoder, datas, wanted.lots))
        own = [(fall, f"{encoder.card.name}, {name}") for name, fall, _ in rows if fall is not None]
        falls += own
        moved_far += sum(far for *_, far in rows)
        fall = f"largest fall {max(own)[0]:.3f} ({max(own)[1]})" if own else "never at the line"
        asked = {name for name, *_ in rows}
        high = {name for name, seen, _ in rows if seen is not None}
        shown = f"{len(high)} of {len(asked)} tasks at {HIGH} and more, {len(own)} views, {fall}"
        print(f"{encoder.card.name}: {shown}", flush=True)
    over = sum(fall > DROP for fall, _ in falls)
    print(f"{len(wanted.encoders)} encoders, {len(datas)} tasks, {len(falls)} views: {over} alarms of views")
    print(f"{moved_far} alarms of what no eye sees; the largest falls:", *sorted(falls)[-5:], sep="\n  ")


def looks(encoder, datas: list[TaskData], lots: int) -> Iterator[tuple[str, float | None, bool]]:
    """Task; the fall of the probe at each view (mirrored, then each lot), None below the line; moved too far."""
    for data in datas:
        probe = probe_of(data.task.name, some(data.train), some(data.tests["test"]))
        if probe.train.ndim != 4:
            continue
        train, test = (features(encoder, images) for images in (probe.train, probe.test))
        far = sum(change(encoder, test, probe.test, altered) > FAR for altered in UNSEEN.values()) > 1
        seen = float(ranked(probe, train, test)[0])
        if seen < HIGH:
            yield data.task.name, None, far
            continue
        yield data.task.name, seen - float(ranked(probe, train, features(encoder, probe.test[:, :, ::-1]))[0]), far
        for lot in range(lots):
            yield data.task.name, seen - _ranked_anew(encoder, probe, random.Random(str(lot))), False


if __name__ == "__main__":
    main()
