"""What an encoder costs: parameters, FLOPs, speed, and what a suite of flat images will take in time and disk."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from bench.checks.finding import Finding
from bench.data.task import Suite, Task
from bench.encoders.base import Encoder, evaluating
from bench.encoders.preprocess import made_up, prepare
from bench.encoders.volumes import own_spacing
from bench.errors import MedsslError
from bench.features.extract import BATCH, extract
from bench.features.volume_cost import volume_cost

SECONDS = 1.5
"""How long the speed is measured, each for global and dense."""
FEW = 8
"""Images encoded first, to warm up; slow encoders are timed by these alone."""


def flops_per_image(encoder: Encoder, *, dense: bool = False) -> int | None:
    """Forward floating-point operations of one image (multiply-adds times two), by torch's operator counter; of one
    volume for an encoder that takes volumes.

    None where there is nothing to count with: no torch network (ONNX, embeddings), or a program torch cannot trace.
    0 for hand-made features, which have no network.
    """
    if encoder.precomputed or (encoder.module is None and encoder.parameters):
        return None
    if encoder.module is None:
        return 0
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    image = torch.zeros(_shape(encoder, 1), dtype=torch.uint8, device=encoder.device)
    made = encoder.card.preprocessing
    x = prepare(made_up(image, made), made, dense=dense, spacing=own_spacing(made, 1))
    try:
        # No inference mode and no fused attention: the counter does not see operators under either.
        with (
            torch.no_grad(),
            evaluating(encoder.module),
            sdpa_kernel(SDPBackend.MATH),
            FlopCounterMode(display=False) as counter,
        ):
            encoder.forward(x, dense)
    except (RuntimeError, NotImplementedError, TypeError):
        return None
    return int(counter.get_total_flops()) or None


@dataclass(frozen=True, slots=True)
class Speed:
    """Seconds an image, preparation included; None for dense where there is no grid."""

    seconds: float
    seconds_dense: float | None


def measure(encoder: Encoder) -> Speed:
    """Speed of `extract`, as a run calls it, on the encoder's device and torch's current threads."""
    grid = encoder.encode(_batch(encoder, 1), dense=True).grid
    return Speed(_time(encoder, False), None if grid is None else _time(encoder, True))


@dataclass(frozen=True, slots=True)
class Forecast:
    """What extraction of a suite needs: images, hours of forward passes, bytes of features kept on disk.

    `unknown` are tasks whose card states no number of images; they are not in the sums.
    """

    images: int
    seconds: float
    disk_bytes: int
    unknown: tuple[str, ...]


def forecast(encoder: Encoder, speed: Speed, suite: Suite, tasks: Mapping[str, Task]) -> Forecast:
    """Time and disk of one encoder on a suite: each image is encoded once, whatever the protocols and budgets."""
    out = encoder.encode(_batch(encoder, 1), dense=True)
    pooled, grid = 4 * out.pooled.shape[1], 0 if out.grid is None else 4 * out.grid[0].numel()
    images, seconds, disk, unknown = 0, 0.0, 0, []
    for name in suite.tasks:
        task = tasks.get(name)
        n = 0 if task is None else sum(task.stated_counts.values())
        if not n or task is None:
            unknown.append(name)
        elif (each := speed.seconds if task.kind == "global" else speed.seconds_dense) is not None:
            images += n
            seconds += n * each
            disk += n * (pooled + grid * (task.kind == "dense"))
    return Forecast(images, seconds, disk, tuple(unknown))


def costs(encoder: Encoder, suite: Suite | None, tasks: Mapping[str, Task]) -> list[Finding]:
    """Findings on parameters and FLOPs, speed, and the suite."""
    try:
        if encoder.card.volumetric:
            return [_size(encoder), _of_volumes(encoder)]
        found, speed = [_size(encoder)], measure(encoder)
        found.append(_speed(encoder, speed))
        if suite is not None:
            found.append(_suite(forecast(encoder, speed, suite, tasks), suite))
        return found
    except MedsslError as error:
        return [Finding("cost", "problem", str(error))]


def _size(encoder: Encoder) -> Finding:
    flops, dense = flops_per_image(encoder), flops_per_image(encoder, dense=True)
    one = "a volume" if encoder.card.volumetric else "an image"
    counted = "FLOPs not countable" if flops is None else f"{flops / 1e9:.2f} GFLOPs {one}"
    if dense is not None and dense != flops:
        counted += f", {dense / 1e9:.2f} when dense"
    values = {"parameters": encoder.parameters, "flops_per_image": flops, "flops_per_image_dense": dense}
    return Finding("size", "ok", f"{encoder.parameters / 1e6:.2f} M parameters, {counted}", values)


def _of_volumes(encoder: Encoder) -> Finding:
    spacing = own_spacing(encoder.card.preprocessing, 1)
    known = None if spacing is None else spacing.numpy()
    found = volume_cost(encoder, _batch(encoder, 1).numpy(), spacing=known)
    memory = "" if found.memory_mb is None else f" and {found.memory_mb:,.0f} MB"
    spoken = f"{found.seconds:.3g} seconds{memory} a volume ({encoder.device.type})"
    return Finding("speed", "ok", spoken, {"seconds_per_volume": found.seconds, "memory_mb": found.memory_mb})


def _speed(encoder: Encoder, speed: Speed) -> Finding:
    spoken = f"{1 / speed.seconds:.0f} images a second"
    if speed.seconds_dense is not None:
        spoken += f", {1 / speed.seconds_dense:.0f} when dense"
    threads = torch.get_num_threads()
    device = f"{encoder.device.type}, {threads} thread{'s' * (threads > 1)}"
    values = {"images_per_second": 1 / speed.seconds, "device": device}
    return Finding("speed", "ok", f"{spoken} ({device})", values)


def _suite(need: Forecast, suite: Suite) -> Finding:
    hours = need.seconds / 3600
    time_text = f"{need.seconds / 60:.1f} minutes" if hours < 2 else f"{hours:.1f} hours"
    spoken = f"{need.images:,} images, about {time_text} of forward passes, {need.disk_bytes / 1e9:.2f} GB of features"
    if need.unknown:
        spoken += f"; {len(need.unknown)} tasks without a stated size are not counted"
    values = {"suite": suite.name, "images": need.images, "seconds": need.seconds, "disk_bytes": need.disk_bytes}
    return Finding(f"suite {suite.name}", "ok", spoken, {**values, "unknown": list(need.unknown)})


def _shape(encoder: Encoder, n: int) -> tuple[int, ...]:
    """Of `n` images, or volumes, of the size the network takes."""
    made = encoder.card.preprocessing
    return (n, made.size, made.size, 3) if made.depth is None else (n, made.depth, made.size, made.size, 1)


def _batch(encoder: Encoder, n: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(0, 256, _shape(encoder, n), generator=generator).to(torch.uint8)
    return made_up(drawn, encoder.card.preprocessing)


def _time(encoder: Encoder, dense: bool) -> float:
    """Seconds an image: the fastest of the full batches that fit into the time, or of a few images if none does."""
    images = _batch(encoder, BATCH).numpy()
    few = _timed(encoder, images[:FEW], dense)
    if few > SECONDS * FEW / BATCH:
        return few / FEW
    best, until = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < until or best == float("inf"):
        best = min(best, _timed(encoder, images, dense))
    return best / BATCH


def _timed(encoder: Encoder, images: np.ndarray, dense: bool) -> float:
    start = time.perf_counter()
    extract(encoder, images, dense=dense)
    return time.perf_counter() - start
