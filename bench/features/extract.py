"""One pass over a split's images: global vectors and, for dense tasks, patch grids."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch

from bench.allocator import freed_memory_kept
from bench.encoders.base import Encoded, Encoder, require_finite
from bench.encoders.features import Features
from bench.errors import EncoderError, NotForThisEncoderError
from bench.features.resident import Resident
from bench.features.roomy import roomy

BATCH = 64
"""Images a batch."""
CUDA_BATCH = 256
"""The same on a GPU: on an H200 the best of 64, 256 and 512 for four networks, or within 5 % of it (docs/gpu.md)."""
AHEAD = 1
"""Encoded batches that wait on a GPU until the one before is copied."""
VOLUMES = 4
"""Volumes a batch, of an encoder that takes them whole."""


def extract(
    encoder: Encoder,
    images: np.ndarray,
    *,
    dense: bool,
    batch_size: int | None = None,
    aggregation: Literal["mean", "max"] = "mean",
    progress: Callable[[int], None] | None = None,
    spacing: np.ndarray | None = None,
    sizes: np.ndarray | None = None,
    resident: Resident | None = None,
) -> Features:
    """Features of every image.

    images: uint8 (n, h, w, c), or volumes (n, depth, h, w, c), taken whole by an encoder of volumes; another encodes
    their slices, which become one global vector by `aggregation`. May be a memory map: it is read a batch at a time.
    dense: also the patch grid, float32 (n, gh, gw, c), of volumes (n, gd, gh, gw, c): the grids of the slices are
    stacked; large ones of volumes lie on disk (`bench.features.roomy`). batch_size: halved on its own when memory runs
    out. spacing: float64 (n, 3), mm of the volumes; NaN is not known. sizes: int (n,), of bags (n, m, h, w, c): the
    images of each, encoded one by one, kept as `members` and joined by `aggregation`. resident: keeps features of
    single images on the encoder's GPU as well, while there is room. Raises EncoderError when the encoder breaks its
    contract, NotForThisEncoderError when `dense` and it has no grid, or when it takes volumes and the images are flat.
    """
    if encoder.card.volumetric and (images.ndim != 5 or sizes is not None):
        raise NotForThisEncoderError("takes volumes, and these are flat images", where=encoder.card.name)
    if sizes is not None:
        return _extract_bags(encoder, images, sizes, batch_size, aggregation, progress)
    if images.ndim == 5 and not encoder.card.volumetric:
        return _extract_slices(encoder, images, dense, batch_size, aggregation, progress)
    size = batch_size or (VOLUMES if encoder.card.volumetric else usual_batch(encoder.device))
    collected = _Collected(len(images), dense, encoder.card.name, resident or Resident())
    run = _BackOff(encoder, dense, size, _known(spacing))
    with freed_memory_kept(), _putting(collected, encoder.device) as put:
        for start, out in _batches(run, images, size):
            put(start, out)
            if progress:
                progress(len(out.pooled))
    return collected.features()


def usual_batch(device: torch.device) -> int:
    """Images a batch where nobody says another number."""
    return CUDA_BATCH if device.type == "cuda" else BATCH


def _known(spacing: np.ndarray | None) -> torch.Tensor | None:
    """The spacing of volumes, where all of them have one."""
    return None if spacing is None or np.isnan(spacing).any() else torch.from_numpy(np.asarray(spacing, np.float64))


def _extract_slices(
    encoder: Encoder,
    volumes: np.ndarray,
    dense: bool,
    batch_size: int | None,
    aggregation: Literal["mean", "max"],
    progress: Callable[[int], None] | None,
) -> Features:
    """Volumes through an encoder of flat images, some volumes at a time, so that batches are full."""
    depth = volumes.shape[1]
    some = max(1, (batch_size or usual_batch(encoder.device)) // depth)
    pooled: list[np.ndarray] = []
    grid = None
    for start in range(0, len(volumes), some):
        part = volumes[start : start + some]
        slices = extract(encoder, part.reshape(-1, *part.shape[2:]), dense=dense, batch_size=batch_size)
        pooled += [_joined(vectors, aggregation) for vectors in slices.vectors.reshape(len(part), depth, -1)]
        if slices.grid is not None:
            stacked = slices.grid.reshape(len(part), depth, *slices.grid.shape[1:])
            grid = roomy((len(volumes), *stacked.shape[1:])) if grid is None else grid
            grid[start : start + some] = stacked
        if progress:
            progress(len(part))
    return Features(np.asarray(pooled, dtype=np.float32), grid)


def _extract_bags(
    encoder: Encoder,
    bags: np.ndarray,
    sizes: np.ndarray,
    batch_size: int | None,
    aggregation: Literal["mean", "max"],
    progress: Callable[[int], None] | None,
) -> Features:
    """Bags through an encoder of flat images, some bags at a time, so that batches are full."""
    usual = batch_size or usual_batch(encoder.device)
    found, start, ends = [], 0, np.cumsum(sizes)
    while start < len(bags):
        full = usual + (ends[start - 1] if start else 0)
        stop = max(start + 1, int(np.searchsorted(ends, full, side="right")))
        flat = np.concatenate([bags[i, : sizes[i]] for i in range(start, stop)])
        vectors = extract(encoder, flat, dense=False, batch_size=batch_size).vectors
        found += np.split(vectors, np.cumsum(sizes[start:stop])[:-1])
        if progress:
            progress(stop - start)
        start = stop
    members = np.zeros((*bags.shape[:2], found[0].shape[1]), np.float32)
    for bag, vectors in zip(members, found, strict=True):
        bag[: len(vectors)] = vectors
    joined = [_joined(vectors, aggregation) for vectors in found]
    return Features(np.asarray(joined, np.float32), None, members)


def _joined(vectors: np.ndarray, aggregation: Literal["mean", "max"]) -> np.ndarray:
    """One vector of those (m, d) of a volume's slices or a bag's images."""
    return vectors.max(0) if aggregation == "max" else vectors.mean(0, dtype=np.float64)


class _Collected:
    """Output arrays, on the device too where there is room, allocated when the first batch shows their shapes."""

    def __init__(self, n: int, dense: bool, name: str, resident: Resident) -> None:
        self.n, self.dense, self.name, self.resident = n, dense, name, resident
        self.kept: dict[str, tuple[np.ndarray, torch.Tensor | None]] = {}
        if resident.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(resident.device)

    def put(self, start: int, out: Encoded) -> None:
        require_finite(out, self.name)  # waits for the device, which has the next batch meanwhile
        rows = slice(start, start + len(out.pooled))
        if self.dense:
            if out.grid is None:
                what = "has no patch grid, so it cannot be scored on dense tasks"
                raise NotForThisEncoderError(what, where=self.name)
            self._keep("grid", out.grid, rows)
        self._keep("pooled", out.pooled, rows)

    def _keep(self, name: str, found: torch.Tensor, rows: slice) -> None:
        if name not in self.kept:
            shape = self.n, *found.shape[1:]
            array = roomy(shape) if found.ndim == 5 else np.empty(shape, np.float32)
            self.kept[name] = array, self.resident.beside(array, self._working)
        array, there = self.kept[name]
        if there is not None:
            there[rows].copy_(found, non_blocking=True)
        _copy(found, array[rows])

    @property
    def _working(self) -> int:
        """Bytes that the network took for its batches so far, on a GPU."""
        device = self.resident.device
        if device.type != "cuda":
            return 0
        return torch.cuda.max_memory_allocated(device) - torch.cuda.memory_allocated(device)

    def features(self) -> Features:
        if not self.kept:
            raise EncoderError("was given no images", where=self.name)
        for _, there in self.kept.values():
            if there is not None and there.is_cuda:  # made on the stream of the copies, read on that of the solvers
                there.record_stream(torch.cuda.current_stream(there.device))
        return Features(self.kept["pooled"][0], self.kept["grid"][0] if self.dense else None)


def _copy(found: torch.Tensor, to: np.ndarray) -> None:
    """Into an array of the host; from a GPU by way of pinned memory, on the stream of the caller."""
    if found.device.type == "cuda":
        found = found.to("cpu", non_blocking=True)
        torch.cuda.current_stream().synchronize()
    torch.from_numpy(to).copy_(found)


@contextmanager
def _putting(collected: _Collected, device: torch.device) -> Iterator[Callable[[int, Encoded], None]]:
    """How pieces are collected: from a GPU on a thread and a stream of their own, while the next one is encoded."""
    if device.type != "cuda":
        yield collected.put
        return
    stream, waiting = torch.cuda.Stream(device), deque[Future[None]]()

    def copied(start: int, out: Encoded, ready: torch.cuda.Event) -> None:
        with torch.cuda.stream(stream):
            stream.wait_event(ready)
            collected.put(start, out)

    def put(start: int, out: Encoded) -> None:
        ready = torch.cuda.current_stream(device).record_event()
        waiting.append(writer.submit(copied, start, out, ready))
        if len(waiting) > AHEAD:
            waiting.popleft().result()

    with ThreadPoolExecutor(1) as writer:
        yield put
        for piece in waiting:
            piece.result()


def _batches(run: _BackOff, images: np.ndarray, size: int) -> Iterator[tuple[int, Encoded]]:
    """(first row, features) of each piece; the next batch is read, and sent, while this one is encoded."""
    device = run.encoder.device
    stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def read(start: int) -> tuple[torch.Tensor, torch.cuda.Event | None]:
        some = images[start : start + size]
        return _sent(some, device, stream) if stream else (torch.from_numpy(np.array(some)), None)

    with ThreadPoolExecutor(1) as reader:
        ahead = reader.submit(read, 0)
        for start in range(0, len(images), size):
            batch, there = ahead.result()
            ahead = reader.submit(read, start + size)
            if there is not None:
                encoding = torch.cuda.current_stream(device)
                encoding.wait_event(there)
                batch.record_stream(encoding)
            for offset, out in run(start, batch):
                yield start + offset, out


def _sent(
    some: np.ndarray, device: torch.device, stream: torch.cuda.Stream
) -> tuple[torch.Tensor, torch.cuda.Event | None]:
    """Images on their way to a GPU by way of pinned memory on a stream of their own, and the event of their arrival.

    Where they find no room there they stay pinned, without an event, and go over piece by piece.
    """
    with torch.cuda.stream(stream):
        pinned = _pinned(some)
        try:
            return pinned.to(device, non_blocking=True), stream.record_event()
        except torch.OutOfMemoryError:
            return pinned, None


def _pinned(some: np.ndarray) -> torch.Tensor:
    """A copy in pinned memory."""
    kind = torch.from_numpy(np.empty(0, some.dtype)).dtype
    pinned = torch.empty(some.shape, dtype=kind, pin_memory=torch.cuda.is_available())
    np.copyto(pinned.numpy(), some)
    return pinned


class _BackOff:
    """Encodes batches, in halves once memory has run out; what is already encoded is kept."""

    def __init__(self, encoder: Encoder, dense: bool, size: int, spacing: torch.Tensor | None) -> None:
        self.encoder, self.dense, self.size, self.spacing = encoder, dense, size, spacing

    def __call__(self, start: int, batch: torch.Tensor) -> Iterator[tuple[int, Encoded]]:
        offset = 0
        while offset < len(batch):
            piece = batch[offset : offset + self.size]
            first = start + offset
            spacing = None if self.spacing is None else self.spacing[first : first + len(piece)]
            try:
                out = self.encoder.encode(piece, self.dense, spacing=spacing, finite=False)
            except (torch.OutOfMemoryError, MemoryError):
                self._halve()
                continue
            yield offset, out
            offset += len(out.pooled)

    def _halve(self) -> None:
        if self.size == 1:
            name = self.encoder.card.name
            raise EncoderError("does not fit into memory even for one image", where=name) from None
        self.size //= 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
