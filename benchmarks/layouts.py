"""From a file as people have it to a first score: eight layouts, real architectures with random weights.

    python benchmarks/layouts.py                    # all; writes the table into docs/encoders.md
    python benchmarks/layouts.py mae torch-export   # these only; prints

For each layout `medssl new --from` and `medssl run` are typed in an empty folder that holds the file and a task of 48
images. The card is run as it was written: nothing is edited, nothing downloaded.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from torch import Tensor, nn

from bench.markers import refresh, table

PAGE = Path(__file__).resolve().parents[1] / "docs" / "encoders.md"
KNOWN = "--author A --licence MIT --paradigm contrastive --objective other --method mine"
TASK = """schema = 1
name = "spots"
title = "Bright spots"
modality = "xray"
target = "binary"
classes = ["none", "spot"]
licence = "CC0-1.0"
corpus = "made"
source = { reader = "npz", file = "spots.npz" }
"""


def under(prefix: str, network: nn.Module, shift: float = 0.0) -> dict[str, Tensor]:
    """A network's tensors, their names after `prefix`; `shift` makes a second branch that is not the right one."""
    return {prefix + name: value + shift for name, value in network.state_dict().items()}


def solo_learn(path: Path) -> Path:
    held = under("backbone.", timm.create_model("resnet50", num_classes=0)) | {"classifier.weight": torch.zeros(9, 2)}
    saved = {"state_dict": held, "hyper_parameters": argparse.Namespace(lr=np.float64(0.1)), "epoch": 99}
    return _saved(saved, path / "last.ckpt")


def dino(path: Path) -> Path:
    network = timm.create_model("vit_small_patch16_224", num_classes=0)
    teacher = under("backbone.", network) | {"head.mlp.0.weight": torch.zeros(2, 2)}
    student = under("module.backbone.", network, 1.0)
    saved = {"student": student, "teacher": teacher, "args": argparse.Namespace(arch="vit_small"), "epoch": 99}
    return _saved(saved, path / "checkpoint.pth")


def mae(path: Path) -> Path:
    held = under("", timm.create_model("vit_base_patch16_224", num_classes=0))
    decoder = {"mask_token": torch.zeros(1, 1, 512), "decoder_pos_embed": torch.zeros(1, 197, 512)}
    decoder |= {"decoder_blocks.0.norm1.weight": torch.ones(512), "decoder_pred.bias": torch.zeros(768)}
    return _saved({"model": held | decoder, "epoch": 799}, path / "mae.pth")


def moco_v3(path: Path) -> Path:
    network = timm.create_model("vit_small_patch16_224", num_classes=0, num_heads=12)
    held = under("module.base_encoder.", network) | under("module.momentum_encoder.", network, 1.0)
    held["module.base_encoder.head.0.weight"] = torch.zeros(2, 2)
    return _saved({"state_dict": held, "arch": "vit_small", "epoch": 300}, path / "vit-s-300ep.pth.tar")


def dinov2(path: Path) -> Path:
    held = under("", timm.create_model("vit_small_patch14_reg4_dinov2", num_classes=0, img_size=518))
    held["register_tokens"] = held.pop("reg_token")
    held["pos_embed"] = torch.cat([torch.zeros(1, 1, 384), held["pos_embed"]], 1)
    return _saved(held | {"mask_token": torch.zeros(1, 384)}, path / "dinov2_vits14_reg4.pth")


def transformers_folder(path: Path) -> Path:
    from transformers import ViTConfig, ViTModel

    small = {"hidden_size": 192, "num_attention_heads": 3, "intermediate_size": 768}
    ViTModel(ViTConfig(**small), add_pooling_layer=False).save_pretrained(path / "saved")
    return path / "saved"


def onnx_external(path: Path) -> Path:
    network = timm.create_model("resnet18", num_classes=0).eval()
    any_batch = ({0: torch.export.Dim("n", min=1, max=64)},)
    torch.onnx.export(
        network, (torch.zeros(2, 3, 224, 224),), path / "encoder.onnx", input_names=["image"], dynamo=True,
        external_data=True, dynamic_shapes=any_batch, verbose=False,
    )  # fmt: skip
    return path / "encoder.onnx"


def torch_export(path: Path) -> Path:
    network = timm.create_model("resnet18", num_classes=0).eval()
    any_batch = ({0: torch.export.Dim("n", min=1, max=64)},)
    program = torch.export.export(network, (torch.zeros(2, 3, 224, 224),), dynamic_shapes=any_batch)
    torch.export.save(program, path / "encoder.pt2")
    return path / "encoder.pt2"


LAYOUTS: dict[str, tuple[str, Callable[[Path], Path], str]] = {
    "solo-learn": ("solo-learn ResNet-50 (.ckpt)", solo_learn, ""),
    "dino": ("DINO, teacher and student (.pth)", dino, ""),
    "mae": ("MAE with its decoder (.pth)", mae, ""),
    "moco-v3": ("MoCo v3 (.pth.tar)", moco_v3, ""),
    "dinov2": ("DINOv2 with registers (.pth)", dinov2, ""),
    "transformers": ("a folder of transformers", transformers_folder, ""),
    "onnx": ("ONNX with external data", onnx_external, ""),
    "torch-export": ("torch.export (.pt2)", torch_export, " --trust-code"),
}
"""Word -> what it is, who makes it, and what its commands need beyond the others'."""


def _saved(values: object, path: Path) -> Path:
    torch.save(values, path)
    return path


@dataclass(frozen=True)
class Outcome:
    """One layout tried: the commands as typed, processor seconds of each; the card is run as `medssl new` wrote it."""

    layout: str
    commands: tuple[str, ...]
    seconds: tuple[float, ...]
    problem: str = ""


def make_task(folder: Path) -> None:
    """A task of 48 images of 64 pixels, half of them with a bright spot: one npz and its card."""
    rng, held = np.random.default_rng(0), {}
    for split, count in (("train", 24), ("val", 8), ("test", 16)):
        images, labels = rng.integers(0, 120, (count, 64, 64), dtype=np.uint8), np.arange(count) % 2
        images[labels == 1, 20:44, 20:44] = 250
        held |= {f"{split}_images": images, f"{split}_labels": labels}
    folder.mkdir()
    np.savez(folder / "spots.npz", **held)
    (folder / "spots.toml").write_text(TASK)


def tried(word: str) -> Outcome:
    """Type the commands in an empty folder that holds the file and the task."""
    title, make, more = LAYOUTS[word]
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        torch.manual_seed(0)
        name = make(here).name
        make_task(here / "tiny")
        commands = (f"medssl new mine --from {name} {KNOWN}", f"medssl run mine --tasks tiny{more}")
        seconds = []
        for command in commands:
            before = _processor()
            done = subprocess.run(command.split(), cwd=here, capture_output=True, text=True, env=_environment(here))
            seconds.append(_processor() - before)
            if done.returncode:
                problem = f"{command.split()[1]} fails: {done.stderr.strip()[-300:]}"
                return Outcome(title, commands, tuple(seconds), problem)
        return Outcome(title, commands, tuple(seconds), "" if "auroc" in done.stdout else "no score")


def _processor() -> float:
    """Processor seconds of the commands typed so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment(here: Path) -> dict[str, str]:
    return os.environ | {"MEDSSL_HOME": str(here / "home"), "HF_HUB_OFFLINE": "1"}


def rows(outcomes: list[Outcome]) -> str:
    """Markdown."""
    head = ["layout", "commands typed", "edits", "s to the card", "s to the score"]
    cells = [
        (o.layout, "<br>".join(f"`{c.replace(KNOWN, '...')}`" for c in o.commands), 0,
         *([f"{s:.0f}" for s in o.seconds] if not o.problem else ["-", o.problem]))
        for o in outcomes
    ]  # fmt: skip
    return table(head, cells, right=(2, 3, 4))


def main(words: list[str]) -> int:
    outcomes = []
    for word in words or LAYOUTS:
        outcomes.append(tried(word))
        print(outcomes[-1], flush=True)
    print(rows(outcomes))
    if not words:
        refresh(PAGE, {"layouts": rows(outcomes)})
    return 1 if any(o.problem for o in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
