"""What a volume costs an encoder: `python benchmarks/volumes.py ENCODER... [--threads 1]`.

ENCODER: as `medssl run` takes it. The first test volume of the phantom task of volumes (32 planes of 64 x 64) is
encoded by each, in a process of its own, as a run measures it: whole by an encoder of volumes, else slice by slice.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import torch

from bench.checks.cost import flops_per_image
from bench.encoders.load import load_encoder
from bench.features.volume_cost import volume_cost
from bench.phantoms.volumes import SPACING, volume


def row(name: str, threads: int) -> str:
    """One line of the table."""
    torch.set_num_threads(threads)
    encoder = load_encoder(name)
    found = volume_cost(encoder, volume(1, "test", 0).image[None], aggregation="max", spacing=np.array([SPACING]))
    flops, made = flops_per_image(encoder), encoder.card.preprocessing
    sides = f"{made.size} x {made.size}" if made.depth is None else f"{made.depth} x {made.size} x {made.size}"
    takes = f"{found.inputs} slices of {sides}" if found.inputs > 1 else f"the volume, {sides}"
    counted = "?" if flops is None else f"{flops * found.inputs / 1e9:.1f}"
    memory = "?" if found.memory_mb is None else f"{found.memory_mb:,.0f}"
    name, size = encoder.card.name, encoder.parameters / 1e6
    return f"| {name} | {takes} | {size:.1f} | {counted} | {found.seconds:.2f} | {memory} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("encoders", nargs="+")
    parser.add_argument("--threads", type=int, default=1)
    asked = parser.parse_args()
    print("| encoder | takes | M parameters | GFLOPs a volume | seconds | MB |\n|---|---|---|---|---|---|")
    for name in asked.encoders:  # each alone: the highest memory of a process is looked at
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            print(pool.submit(row, name, asked.threads).result(), flush=True)


if __name__ == "__main__":
    main()
