"""Processes of this machine: one for each GPU, or for each group of CPU cores."""

import multiprocessing
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection

import torch
from joblib import cpu_count

from bench.errors import RunError
from bench.runs.executors._base import Done, Executor, Job, Work
from bench.runs.options import Resources


class Processes(Executor):
    """A pool of spawned processes; on a machine with GPUs each process sees one of them."""

    name = "processes"

    def run(self, work: Work[Job], jobs: Sequence[Job], done: Done[Job], resources: Resources) -> None:
        gpus = torch.cuda.device_count() if resources.gpus != 0 else 0
        workers = min(resources.workers or gpus or cpu_count(), len(jobs))
        context = multiprocessing.get_context("spawn")
        slots = context.Queue()
        for slot in range(workers):
            slots.put(slot)
        threads = max(1, cpu_count() // workers)
        with ProcessPoolExecutor(workers, context, initializer=_begin, initargs=(slots, gpus, threads)) as pool:
            waiting = {pool.submit(work, job): job for job in jobs}
            try:
                for future in as_completed(waiting):
                    done(waiting[future], future.result())
            except BrokenProcessPool:
                raise RunError(
                    "a worker process was killed (often: out of memory)", fix="run the same command again to resume"
                ) from None
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def _begin(slots: multiprocessing.Queue, gpus: int, threads: int) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    slot = slots.get()
    if gpus:
        os.environ["CUDA_VISIBLE_DEVICES"] = str(slot % gpus)
    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    """A killed run leaves no workers behind that would go on writing to its folder."""
    if (parent := multiprocessing.parent_process()) is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


EXECUTOR = Processes()
