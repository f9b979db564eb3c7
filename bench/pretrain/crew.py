"""Workers that train side by side: several small networks share a device, each in a process of its own.

What a worker computes depends on its order alone, so the bytes are those of one worker after the other. A worker stops
at the deadline, at an interrupt and when the process that sent it is gone; its checkpoint stays.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Protocol

from filelock import FileLock, Timeout

from bench.errors import RunError
from bench.files import write_atomic
from bench.locate import home
from bench.pretrain.corpus import Corpus, open_corpus
from bench.pretrain.probe import probe
from bench.pretrain.schedule import Item
from bench.pretrain.ship import encoder_name, ship
from bench.pretrain.trainer import Stopped, Trained, pretrain

FAILED = 0.0
"""Score of a trial whose loss was no longer finite: chance."""


class Flag(Protocol):
    """An event of threads or of processes."""

    def is_set(self) -> bool: ...
    def set(self) -> None: ...


@dataclass(frozen=True)
class Order:
    """What a worker is told. corpus: its name, and the file it lies in. deadline: seconds since the epoch."""

    item: Item
    corpus: str
    data: Path | None
    device: str
    threads: int
    deadline: float
    command: str
    compiled: bool = False


@dataclass(frozen=True)
class JobOutcome:
    """What comes back: the score of a trial or the folder of an encoder; why neither, if it failed; or nothing."""

    score: float | None = None
    folder: Path | None = None
    failed: str = ""
    seconds: float = 0.0


@contextmanager
def crew(workers: int) -> Iterator[tuple[Executor, Flag]]:
    """An executor for `work`, and the flag that stops it. One worker is a thread of this process."""
    if workers == 1:
        flag: Flag = threading.Event()
        executor: Executor = ThreadPoolExecutor(1, initializer=_begin, initargs=(flag,))
    else:
        context = multiprocessing.get_context("spawn")
        flag = context.Event()
        executor = ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(flag,))
    try:
        yield executor, flag
    finally:
        flag.set()
        executor.shutdown(wait=True, cancel_futures=True)


def work(order: Order) -> JobOutcome:
    """Train what the order says. A run that was stopped, or is under way elsewhere, has an empty outcome."""
    started, job = time.monotonic(), order.item.job
    images = open_corpus(order.corpus, job.recipe, data=order.data)
    folder = home() / "pretrain" / "runs" / job.identity(images.sha256)[:16]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder / "lock", timeout=0):
            trained = pretrain(
                job, images, folder, device=order.device, threads=order.threads,
                stop=lambda: _stops(order.deadline), compiled=order.compiled,
            )  # fmt: skip
            outcome = _finished(order, images, trained, folder)
    except (Stopped, Timeout):
        return JobOutcome()
    except RunError as error:
        if error.where is not None:  # a file, not the training
            raise
        outcome = JobOutcome(score=FAILED if order.item.trial else None, failed=str(error))
    return JobOutcome(outcome.score, outcome.folder, outcome.failed, time.monotonic() - started)


def _finished(order: Order, images: Corpus, trained: Trained, run: Path) -> JobOutcome:
    job = order.item.job
    if order.item.trial:
        return JobOutcome(score=probe(trained.backbone, images, order.device)["probe"])
    folder = home() / "pretrain" / "tracks" / job.recipe.comparison / encoder_name(job, images)
    track = job.recipe.comparison
    ship(job, images, trained, folder, command=order.command, track=track, device=order.device)
    write_atomic(folder / "log.jsonl", (run / "log.jsonl").read_bytes())
    return JobOutcome(folder=folder)


_flag: Flag | None = None


def _stops(deadline: float) -> bool:
    return time.time() > deadline or (_flag is not None and _flag.is_set())


def _begin(flag: Flag) -> None:
    """A worker's first act. In a process: Ctrl-C is the sender's to answer, and without the sender it ends."""
    global _flag
    _flag = flag
    parent = multiprocessing.parent_process()
    if parent is not None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=lambda: (wait([parent.sentinel]), os._exit(1)), daemon=True).start()
