"""The batches of a run, in order; for a GPU they are made ahead of their steps by a thread, from images that lie there.

Nothing here draws from torch's generators: a batch is a function of (seed, step), whoever makes it and whenever.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from bench.pretrain.corpus import Corpus, floats
from bench.pretrain.job import Job
from bench.pretrain.objective import Batch

AHEAD = 3
"""Batches in the making for a GPU."""
RESIDENT_SHARE = 0.25
"""A corpus lies on the GPU as a whole when it takes at most this share of the memory that is free there."""

Pick = Callable[[np.ndarray], tuple[Tensor, dict[str, Tensor]]]
"""Indices, int64 (k,), to those images as floats and their labels, on the device."""


def batches(job: Job, corpus: Corpus, start: int, device: str, *, ahead: int | None = None) -> Iterator[Batch]:
    """The batches of the steps from `start` on. ahead: how many are made before they are asked for, by one thread;
    default: none on a CPU, `AHEAD` elsewhere."""
    pick = _picker(corpus, device)
    ahead = (AHEAD if on_gpu(device) else 0) if ahead is None else ahead
    with ThreadPoolExecutor(1, thread_name_prefix="feed") as thread:
        waiting: deque[Future[Batch]] = deque()
        try:
            for step in range(start, job.steps):
                if not ahead:
                    yield _batch(job, corpus, step, pick)
                    continue
                waiting.append(thread.submit(_batch, job, corpus, step, pick))
                if len(waiting) > ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            thread.shutdown(cancel_futures=True)


def batch_of(job: Job, corpus: Corpus, step: int, device: str = "cpu") -> Batch:
    """The batch of one step."""
    return _batch(job, corpus, step, _from_host(corpus, device))


def on_gpu(device: str) -> bool:
    """Whether `device` is a CUDA device."""
    return torch.device(device).type == "cuda"


def _batch(job: Job, corpus: Corpus, step: int, pick: Pick) -> Batch:
    images, labels = pick(_indices(job, corpus, step))
    return Batch(images, labels, step / job.steps)


def _indices(job: Job, corpus: Corpus, step: int) -> np.ndarray:
    """Images of a step: the corpus in a new random order each epoch, epochs joined without a gap."""
    n, k = len(corpus.trained), job.images_per_step
    places = np.arange(step * k, (step + 1) * k)
    first = int(places[0]) // n
    orders = np.concatenate([_order(job.seed, epoch, n) for epoch in range(first, int(places[-1]) // n + 1)])
    return corpus.trained[orders[places - first * n]]


@lru_cache(maxsize=4)
def _order(seed: int, epoch: int, n: int) -> np.ndarray:
    return np.random.default_rng([seed, epoch]).permutation(n)


def _picker(corpus: Corpus, device: str) -> Pick:
    if on_gpu(device) and corpus.images.nbytes <= RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]:
        return _from_device(corpus, device)
    return _from_host(corpus, device)


def _from_host(corpus: Corpus, device: str) -> Pick:
    """Bytes go over, a quarter of the floats; on a CPU nothing is copied."""
    return lambda index: (
        floats(_sent(corpus.images[index], device)),
        {name: _sent(values[index], device) for name, values in corpus.labels.items()},
    )


def _from_device(corpus: Corpus, device: str) -> Pick:
    images = torch.from_numpy(np.array(corpus.images)).to(device)
    labels = {name: torch.from_numpy(values).to(device) for name, values in corpus.labels.items()}

    def pick(index: np.ndarray) -> tuple[Tensor, dict[str, Tensor]]:
        rows = _sent(index, device)
        return floats(images[rows]), {name: values[rows] for name, values in labels.items()}

    return pick


def _sent(array: np.ndarray, device: str) -> Tensor:
    """The array on the device; the host does not wait for the copy."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if on_gpu(device) else tensor
