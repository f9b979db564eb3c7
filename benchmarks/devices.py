"""How far bfloat16 is from float32 on real images, and what layout and compilation are worth on a CPU.

    MEDSSL_REAL_DATA=folder python benchmarks/devices.py [--out docs/devices.md]

The folder holds brainmri, breastus (MedMNIST layout), footulcer and nuclei (MedSegBench layout) as npz files.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from bench.encoders.load import load_encoder
from bench.features.device import place
from bench.features.extract import extract
from bench.runs.options import RunSpec
from bench.runs.run import run

ROOT = Path(__file__).resolve().parents[1]
ENCODERS = {"EfficientNet-Lite0": "imagenet-efficientnet-lite0", "tiny ViT": str(ROOT / "submissions/tiny-vit-simclr")}
TASKS = {
    "brainmri": ("mri", "multi-class", ["none", "glioma", "meningioma", "pituitary"]),
    "breastus": ("ultrasound", "multi-class", ["normal", "benign", "malignant"]),
    "footulcer": ("photo", "mask", ["background", "wound"]),
    "nuclei": ("microscopy", "mask", ["background", "nucleus"]),
}
CARD = """schema = 1
name = "{name}"
title = "{name}"
modality = "{modality}"
target = "{target}"
classes = {classes}
licence = "see its source"
corpus = "{name}"
source = {{ reader = "npz", file = "{file}" }}
"""
SUITE = """schema = 1
name = "real"
title = "Four real files"
tasks = ["brainmri", "breastus", "footulcer", "nuclei"]
protocols = [
    { name = "knn-v1", budgets = ["100%"] },
    { name = "linear-v2", budgets = ["100%"] },
    { name = "dense-linear-v2", budgets = ["100%"] },
]
"""
TOLERANCE = 0.01
"""Score by which bfloat16 may depart from float32."""


def main() -> None:
    """Measure, print, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    real = Path(os.environ.get("MEDSSL_REAL_DATA", ROOT.parent / "shared" / "data" / "real"))
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDSSL_HOME"] = f"{folder}/home"
        rows, moved = precision_rows(Path(folder), real)
    close = sum(size <= TOLERANCE for size in moved)
    told = {"worst": max(moved), "close": close, "scores": len(moved), "tolerance": TOLERANCE}
    text = PAGE.format(rows="\n".join(rows), **told, speeds="\n".join(map(speed_row, ENCODERS)))
    print(text)
    if options.out:
        options.out.write_text(text)


def precision_rows(folder: Path, real: Path) -> tuple[list[str], list[float]]:
    """Rows of the table of scores, and how far each score moved."""
    (folder / "tasks").mkdir()
    for name, (modality, target, classes) in TASKS.items():
        listed = "[" + ", ".join(f'"{c}"' for c in classes) + "]"
        card = CARD.format(name=name, modality=modality, target=target, classes=listed, file=real / f"{name}.npz")
        (folder / "tasks" / f"{name}.toml").write_text(card)
    (folder / "real.toml").write_text(SUITE)
    rows, moved = [], []
    for title, encoder in ENCODERS.items():
        spec = RunSpec.of(encoder, str(folder / "real.toml"), str(folder / "tasks"), device="cpu", threads=1)
        full, half = (
            {r.unit.key: r for r in run(spec.but(out=f"{folder}/{precision}", precision=precision))}
            for precision in ("fp32", "bf16")
        )
        for key, a in full.items():
            if a.primary is None:
                rows.append(f"| {title} | {a.unit.task} | {a.unit.protocol} | {a.status}: {a.reason} | | | |")
                continue
            b = half[key].primary
            moved.append(abs(b.value - a.primary.value))
            strengths = dict.fromkeys(f"{r.chosen['C']:g}" for r in (a, half[key]) if "C" in r.chosen)
            width = (a.primary.high - a.primary.low) / 2
            rows.append(
                f"| {title} | {a.unit.task} | {a.unit.protocol} | {a.primary.value:.4f} | "
                f"{b.value - a.primary.value:+.4f} | {width:.3f} | {', '.join(strengths) or '-'} |"
            )
    return rows, moved


def speed_row(title: str) -> str:
    """Processor seconds of each way of computing as a share of the plain one, medians of 3."""
    images = np.random.default_rng(0).integers(0, 256, (64, 128, 128, 3), dtype=np.uint8)
    encoders = {way: place(load_encoder(ENCODERS[title]), "cpu") for way in ("plain", "channels-last", "compiled")}
    encoders["bf16"] = place(load_encoder(ENCODERS[title]), "cpu", precision="bf16")
    encoders["channels-last"].use_channels_last()
    encoders["compiled"].compile()
    warm = {way: spent(lambda e=e: extract(e, images, dense=False)) for way, e in encoders.items()}
    times: dict[str, list[float]] = {way: [] for way in encoders}
    for _ in range(3):
        for way, encoder in encoders.items():
            times[way].append(spent(lambda e=encoder: extract(e, images, dense=False)))
    median = {way: sorted(t)[1] for way, t in times.items()}
    plain, saved = median["plain"] / 64, (median["plain"] - median["compiled"]) / 64
    pays = f"{(warm['compiled'] - median['compiled']) / saved:,.0f} images" if saved > 0 else "never"
    shares = " | ".join(f"{median[way] / median['plain']:.2f}" for way in ("bf16", "channels-last", "compiled"))
    return f"| {title} | {1000 * plain:.1f} ms | {shares} | {warm['compiled'] - median['compiled']:.0f} s | {pays} |"


def spent(work: Callable[[], object]) -> float:
    """Processor seconds of this process and its children (the compiler's)."""

    def now() -> float:
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + used.ru_utime + used.ru_stime

    started = now()
    work()
    return now() - started


PAGE = """# Devices

Made by `python benchmarks/devices.py --out docs/devices.md` on a CPU with AVX-512 and bfloat16 instructions, on one
thread.

## bfloat16 against float32

`--precision bf16` runs the network under autocast; features, probes and metrics stay in float32 and float64. Primary
metric on the test split of four real files (two global tasks, two dense), all labels. Tolerance: {tolerance:g}, twice
what a score rerun elsewhere in float32 may differ by. **{close} of {scores} scores stay within it; the largest
difference is {worst:.4f}.** The column C says why a score leaves it: where two strengths of a probe do about equally
well on few validation images, rounding can tip the choice (two values: float32, bfloat16). So do not mix precisions on
one board. A test holds the features of a small network to 2 % of their largest value.

| encoder | task | protocol | float32 | bfloat16 minus float32 | half the 95 % interval | C |
|---|---|---|---:|---:|---:|---:|
{rows}

## Layout and compilation on a CPU

Processor seconds of extraction at 128 pixels as a share of plain float32, medians of 3; and how many images of one size
have to be encoded before `--compile` has earned back its compilation.

| encoder | float32, an image | bf16 | channels-last | compiled | compilation | pays after |
|---|---:|---:|---:|---:|---:|---:|
{speeds}

So `--compile` is off unless asked for, and channels-last is used on CUDA only.

## What was checked on a CPU only

Written for CUDA but never run on one for this page: bfloat16 chosen by itself, pinned memory, channels-last, TF32
switched off, `--deterministic` with cuBLAS, and running out of GPU memory. Tests check the choice of device and type
with a GPU pretended, and that a network which raises torch's out-of-memory error gets smaller batches, nothing lost.
"""


if __name__ == "__main__":
    main()
