# ruff: noqa: E501 - the page's text is filled in, and its lines are wrapped after that
"""How a run grows: measured with one and two processes, and simulated for 500 encoders x 100 tasks on up to 256 GPUs.

    python benchmarks/scaling.py [--skip-measured] [--out docs/scaling.md]

The simulation is one of discrete events (simpy). Its units are measured: seconds of solvers and statistics of each task
come from the records in `submissions/`, image counts from the cards of the clinical tasks, starting and writing from
this machine. Assumed, and printed with the table: the GPU's throughput, the storage's bandwidth, the encoders' sizes.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import psutil
import simpy

from bench.data.task import Task, read_suite, shipped_tasks
from bench.runs.journal import read_records
from bench.runs.options import Resources
from bench.runs.timing import timing

ROOT = Path(__file__).resolve().parents[1]
GPUS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
ENCODERS, TASKS = 500, 100
SIZES = {"ViT-S/16": (9.2e9, 384), "ResNet-50": (8.2e9, 2048), "ViT-B/16": (35e9, 768), "ViT-L/16": (123e9, 1024)}
"""Architecture -> forward FLOPs of a 224-pixel image, feature width; the encoders are spread evenly over them."""
GPU_FLOPS = 40e12
"""Sustained bfloat16 throughput of one GPU."""
STORAGE, STREAM = 4e9, 1e9
"""Bytes a second of the shared storage, and of one reader at most."""
WIDTH = 96
"""Feature width of the encoders in the records."""
SLOPE = 2.2 * 3.41 / (4000 * 384)
"""Seconds of the linear probe per training image and feature: docs/solvers.md measures 3.41 s for one seed of five
budgets (4,000 images, 384 features); five seeds hold 2.2 times as many images, since 100 % has one seed only."""
START_SECONDS = 20.0
"""A worker begins: imports, encoder from disk. Once for each encoder and worker."""
IMAGE_BYTES = 224 * 224 * 3
CASES, REPEATS = 20_000, 5
"""Test cases of the unit whose statistics are timed, and how often each way of running them is."""


@dataclass(frozen=True)
class Unit:
    """Measured for one encoder x task: seconds of solvers and of statistics, its training and test images, its units."""

    solve: float
    score: float
    train: int
    test: int
    units: int

    def solve_for(self, kind: str, rows: dict[str, int], width: int) -> float:
        """Seconds of the solvers on another task: those of the dense protocols grow with test patches and width, those
        of the linear probe by `SLOPE` with training images and width."""
        if kind == "dense":
            return self.solve * rows["test"] / self.test * width / WIDTH
        return self.solve + SLOPE * max(0, rows["train"] * width - self.train * WIDTH)


@dataclass(frozen=True)
class Job:
    """One encoder x task: bytes read, seconds on the GPU, seconds on the CPU beside it."""

    encoder: int
    read: float
    forward: float
    solve: float
    score: float
    write: float

    @property
    def alone(self) -> float:
        """Seconds with the whole storage to itself."""
        return self.read / STREAM + self.forward + self.solve + self.score + self.write


@dataclass(frozen=True)
class Outcome:
    """Wall and busy hours of a simulated cluster."""

    wall: float
    forward: float
    storage: float


def measured_units() -> dict[str, list[Unit]]:
    """Kind of task -> measured units of every shipped run on phantom-v1."""
    tasks, found = shipped_tasks(), {"global": [], "dense": []}
    for folder in sorted((ROOT / "submissions").glob("*/phantom-v1")):
        records = [r for r in read_records(folder) if r.status == "done"]
        for name in sorted({r.unit.task for r in records}):
            mine = [r for r in records if r.unit.task == name]
            rows, spent = tasks[name].source, timing(mine, 0.0)
            unit = Unit(spent.solve, spent.statistics, rows["train"], rows["test"], len(mine))
            found[tasks[name].kind].append(unit)
    return found


def clinical_tasks() -> list[Task]:
    """The tasks of the clinical board, then further clinical cards by name, until there are enough."""
    known = shipped_tasks()
    core = read_suite("core-v1").tasks
    more = [n for n, t in known.items() if n.rsplit("-", 1)[-1] in ("224", "256", "128") and n not in core]
    chosen = [known[name] for name in [*core, *more] if known[name].source.get("rows")]
    return chosen[:TASKS]


def jobs(units: dict[str, list[Unit]], tasks: list[Task], encoders: int, write: float) -> list[Job]:
    """Every encoder x task, encoder by encoder, as that many runs submitted together would come."""
    rng, sizes = random.Random(0), list(SIZES.values())
    found = []
    for encoder in range(encoders):
        flops, width = sizes[encoder % len(sizes)]
        for task in tasks:
            rows = task.source["rows"]
            images = sum(rows.values())
            unit = rng.choice(units[task.kind])
            solve = unit.solve_for(task.kind, rows, width)
            score = unit.score * rows["test"] / unit.test
            found.append(
                Job(encoder, images * IMAGE_BYTES, images * flops / GPU_FLOPS, solve, score, unit.units * write)
            )
    return found


def simulate(work: list[Job], gpus: int, *, held: bool = True, cached: bool = False) -> Outcome:
    """Workers, one a GPU, take jobs in order; reading shares the storage.

    held: the GPU is kept while its worker solves, as the executors do; else solvers run beside the next forward pass.
    cached: images come from each node's own disk after the first encoder.
    """
    env, busy = simpy.Environment(), {"forward": 0.0, "storage": 0.0}
    storage = simpy.Resource(env, capacity=int(STORAGE / STREAM))
    waiting = iter(work)
    ends: list[float] = []

    def worker() -> Iterator[simpy.Event]:
        encoder = -1
        for job in waiting:
            if job.encoder != encoder:
                encoder = job.encoder
                yield env.timeout(START_SECONDS)
            if not cached or job.encoder == 0:
                with storage.request() as turn:
                    yield turn
                    yield env.timeout(job.read / STREAM)
                busy["storage"] += job.read / STORAGE
            yield env.timeout(job.forward)
            busy["forward"] += job.forward
            rest = job.solve + job.score + job.write
            ends.append(env.now + rest)
            if held:
                yield env.timeout(rest)

    for _ in range(gpus):
        env.process(worker())
    env.run()
    return Outcome(max(ends) / 3600, busy["forward"] / 3600, busy["storage"] / 3600)


def main() -> None:
    """Measure, simulate, print, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--skip-measured", action="store_true")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    write = write_seconds()
    work = jobs(measured_units(), clinical_tasks(), ENCODERS, write)
    text = PAGE.format(
        measured="" if options.skip_measured else measured_table(),
        simulated=simulated_table(work),
        sizes=", ".join(f"{name} ({flops / 1e9:.0f} GFLOP)" for name, (flops, _) in SIZES.items()),
        **facts(work, write),
    )
    print(text)
    if options.out:
        options.out.write_text(text)


def facts(work: list[Job], write: float) -> dict[str, str]:
    """What the text of the page says about the plan."""
    longest = max(job.alone for job in work)
    total = sum(job.alone for job in work)
    forward, solve = sum(j.forward for j in work), sum(j.solve for j in work)
    return {
        "encoders": str(ENCODERS),
        "tasks": str(TASKS),
        "jobs": f"{len(work):,}",
        "units": f"{sum(round(job.write / write) for job in work) / 1e6:.1f} million",
        "write": f"{1000 * write:.0f}",
        "longest": f"{longest / 3600:.2f}",
        "total": f"{total / 3600:,.0f}",
        "forward": f"{forward / total:.0%}",
        "solve": f"{solve / total:.0%}",
        "storage_hours": f"{sum(j.read for j in work) / STORAGE / 3600:.1f}",
        "terabytes": f"{sum(j.read for j in work) / 1e12:.0f}",
        "tflops": f"{GPU_FLOPS / 1e12:.0f}",
        "bandwidth": f"{STORAGE / 1e9:.0f}",
        "stream": f"{STREAM / 1e9:.0f}",
        "start": f"{START_SECONDS:.0f}",
        "knee": f"{total / longest:,.0f}",
    }


def simulated_table(work: list[Job]) -> str:
    """Wall time, speed-up and GPU hours by number of GPUs."""
    lines, one = [], simulate(work, 1).wall
    for gpus in GPUS:
        plain, cached, apart = (
            simulate(work, gpus, **k) for k in ({}, {"cached": True}, {"cached": True, "held": False})
        )
        lines.append(
            f"| {gpus} | {plain.wall:,.1f} | {one / plain.wall:.1f} | {one / plain.wall / gpus:.0%} | "
            f"{plain.wall * gpus:,.0f} | {plain.forward / plain.wall / gpus:.0%} | {plain.storage / plain.wall:.0%} | "
            f"{cached.wall:,.1f} | {apart.wall:,.1f} |"
        )
    return "\n".join(lines)


def measured_table() -> str:
    """phantom-mini with an untrained ViT: processor seconds of one worker process, and of each of two."""
    from bench.runs.options import RunSpec
    from bench.runs.run import run

    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDSSL_HOME"] = f"{folder}/home"
        spec = RunSpec.of("random-init-vit", "phantom-mini", threads=1, cache=False, executor="processes")
        run(spec.but(out=f"{folder}/warm", executor="serial", only=("phantom-xray-diffuse-mini",)))
        run(spec.but(out=f"{folder}/images", encoder="colour-histogram", executor="serial"))
        (one,), two = (
            worker_seconds(lambda n=n: run(spec.but(out=f"{folder}/{n}", resources=Resources(n)))) for n in (1, 2)
        )
    listed = " and ".join(f"{seconds / one:.2f}" for seconds in sorted(two, reverse=True))
    return MEASURED.format(ratio=one / max(two), listed=listed, more=sum(two) / one - 1, **statistics_facts())


def statistics_facts() -> dict[str, str]:
    """Processor seconds of statistics of one process, of two at once, and with two threads, in turn; medians."""
    alone, beside, wide = [], [], []
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        list(pool.map(statistics_seconds, (1, 1)))  # both have started
        for _ in range(REPEATS):
            alone.append(pool.submit(statistics_seconds, 1).result())
            beside.append(max(pool.map(statistics_seconds, (1, 1))))
            wide.append(pool.submit(statistics_seconds, 2).result())
    one, two, threads = map(statistics.median, (alone, beside, wide))
    return {
        "unit": f"{one:.2f}",
        "cases": f"{CASES:,}",
        "together": f"{2 * one / two:.2f}",
        "wide": f"{threads / one:.2f}",
    }


def statistics_seconds(threads: int) -> float:
    """Processor seconds of this process for the metrics of one unit, `CASES` x 8 classes, with that many threads."""
    import torch

    from bench.metrics.base import Comparison
    from bench.metrics.resample import resample_counts, with_point
    from bench.metrics.set import metrics_of
    from benchmarks.unit_statistics import stand_in, unit

    torch.set_num_threads(threads)
    labels, output = unit(CASES, 8)
    weights = with_point(resample_counts("stand-in", "test", np.arange(CASES).astype(str)), CASES)
    metrics = metrics_of("multi-class")
    given = Comparison(stand_in(8), output, labels, weights, 2, frozenset(m.name for m in metrics), 1.3)
    started = time.process_time()
    for metric in metrics:
        metric.value(given)
    return time.process_time() - started


def worker_seconds(work: Callable[[], object]) -> list[float]:
    """Processor seconds of each worker process that `work` starts (helpers of multiprocessing left out)."""
    used: dict[int, float] = {}
    before = {child.pid for child in psutil.Process().children()}
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.2):
            for child in psutil.Process().children():
                if child.pid in before:
                    continue
                with contextlib.suppress(psutil.Error):
                    used[child.pid] = sum(child.cpu_times()[:2])

    watcher = threading.Thread(target=watch)
    watcher.start()
    work()
    over.set()
    watcher.join()
    return [seconds for seconds in used.values() if seconds > 0.2 * max(used.values())]


def write_seconds() -> float:
    """Median seconds to store one unit: predictions and record, each flushed to disk."""
    from bench.files import write_atomic

    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        times = []
        for number in range(41):
            started = time.perf_counter()
            write_atomic(Path(folder) / f"{number}.npz", b"x" * 20_000)
            write_atomic(Path(folder) / f"{number}.json", "x" * 3_000)
            times.append(time.perf_counter() - started)
    return statistics.median(times)


MEASURED = """## Measured: one process and two

`phantom-mini` (four tasks) with an untrained vision transformer, `--executor processes`, one thread each, on a machine of
two cores, features not cached, images prepared before. Processor seconds of each worker, its start included, as a share of
those of a single one: {listed}. The busier of two does 1/{ratio:.2f} of the work of one, so two cores are **{ratio:.2f} x** as
fast; all told two workers take {more:.0%} more processor time, since each has to start and to load the encoder.

Statistics of a unit ({cases} test cases, 8 classes, every metric with 2,000 resamples) take {unit} s of a processor. Two processes
at once do **{together} x** the work of one in the same processor time of each. They use one thread whatever is set: set to two,
a process takes {wide} x the processor time.
"""
PAGE = """# Scaling

Made by `python benchmarks/scaling.py --out docs/scaling.md`.

{measured}
## Simulated: {encoders} encoders x {tasks} tasks

{jobs} jobs (one encoder x task each), {units} units, simulated event by event.

- Measured: seconds of solvers and statistics, from the records in `submissions/` (wall-clock on one CPU core, of the
  version that made them; on a GPU solvers and statistics run there, and what they take is not measured); how the linear
  probe grows, from [solvers.md](solvers.md); image counts, from the clinical cards; {write} ms to store a unit safely. Dense
  solvers and statistics are taken in proportion to the test images.
- Assumed: GPUs that sustain {tflops} TFLOP/s in bfloat16; storage of {bandwidth} GB/s, {stream} GB/s a reader; {start} s for a
  worker to take up another encoder; encoders in equal parts
  {sizes}.

| GPUs | hours | speed-up | efficiency | GPU hours | GPU busy | storage busy | images on nodes | solvers beside |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|
{simulated}

*images on nodes*: hours when images come from each node's own disk after the first encoder. *solvers beside*: hours when
moreover the GPU goes on to the next forward pass while solvers run (without limit of CPU cores).

All jobs one after the other would take {total} hours: {forward} forward passes, {solve} solvers. Where it stops scaling:

- **Solvers take longer than forward passes**, at the speed of a CPU core: the column *GPU busy* is the share of forward passes.
  On the GPU itself they take less ([gpu.md](gpu.md) counts launches), so hours are an upper bound and that share a lower one.
- **Shared storage** has to deliver {terabytes} TB, since each encoder reads every image once: {storage_hours} hours at full
  rate, whatever the number of GPUs. Point `MEDSSL_HOME` at a disk of each node, and images are read from there.
- **The longest job** takes {longest} hours, and no number of GPUs finishes sooner; beyond {knee} GPUs there is nothing
  left to share out. Units of one encoder and task are not split, because they share its features.
"""


if __name__ == "__main__":
    main()
