"""A reader who does what the pages say, on suites that are called as in the pages but hold a few small images."""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

import bench.locate
from bench.cli import main, medssl
from benchmarks.hostile.base import write_tasks
from tests.docs.pages import EXEMPT, ROOT, Block

SMALL = {"phantom-v1": ("phantom-xray-diffuse", "phantom-xray-dense"), "phantom-mini": ("mini-diffuse", "mini-dense")}
SUITE = """schema = 1
name = "{name}"
title = "Small {name}"
synthetic = true
tasks = [{tasks}]
protocols = [
    {{ name = "knn-v1", budgets = ["10%", "100%"], seeds = 2 }},
    {{ name = "dense-linear-v1", budgets = ["100%"], seeds = 1 }},
]
"""
CARD = """schema = 1
name = "{name}"
version = "1"
title = "Small vision transformer"
authors = ["A. Author"]
licence = "MIT"
paradigm = "contrastive"
objective = "instance-contrastive"
method = "SimCLR"
architecture = "vit"
pretraining = []
source.adapter = "timm"
source.model = "test_vit"
source.options = {{ img_size = 64 }}
source.weights = "weights.safetensors"
source.sha256 = "{sha256}"
preprocessing = {{ size = 64, mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5] }}
"""
SHORTER = {"pretraining_corpus(n=5000": "pretraining_corpus(n=16"}
"""What is made smaller in a Python block before it runs."""


def small_suites(package: Path) -> Path:
    """What the package ships (`_shipped/...`), but with small suites; the templates of the site are the real ones."""
    shipped = package / "_shipped"
    made = write_tasks(package / "made", dark=150, bright=190)
    (shipped / "submissions").mkdir(parents=True)
    (shipped / "site").symlink_to(ROOT / "site")
    (shipped / "tasks" / "suites").mkdir(parents=True)
    shutil.copytree(ROOT / "tasks" / "medmnist2d", shipped / "tasks" / "medmnist2d")
    shutil.copy(ROOT / "tasks" / "suites" / "medmnist2d-v1.toml", shipped / "tasks" / "suites")
    for suite, tasks in SMALL.items():
        listed = ", ".join(f'"{task}"' for task in tasks)
        (shipped / "tasks" / "suites" / f"{suite}.toml").write_text(SUITE.format(name=suite, tasks=listed))
        for name, old in zip(tasks, ("which", "where"), strict=True):
            card = (made / f"{old}.toml").read_text().replace(f'name = "{old}"', f'name = "{name}"\nsynthetic = true')
            card = card.replace(f'"{old}.npz"', f'"{made / old}.npz"').replace('"mixed"', '"xray"')
            (shipped / "tasks" / f"{name}.toml").write_text(card)
    return package


def set_up(page: str, desk: Path, shown: list[Block]) -> None:
    """What a page takes as being there: an encoder of one's own unless the page makes it, a folder of tasks."""
    if not any(line.startswith("medssl new my-encoder") for block in shown for line in block.commands):
        (desk / "my-encoder").mkdir()
        put_weights(desk / "my-encoder")
    if page in ("docs/python.md", "docs/quickstart.md"):
        write_tasks(desk / "my-tasks", dark=150, bright=190)


class Reader:
    """Follows one page in a folder of its own."""

    def __init__(self, desk: Path, given: dict[str, object]) -> None:
        self.desk, self.names = desk, dict(given)
        self.ran: list[str] = []

    def follow(self, block: Block) -> None:
        """Run a block's commands or Python, or save the card it shows."""
        if block.language == "python":
            self._python(block)
        elif block.language == "toml":
            self._card(tomllib.loads(block.text), block.text)
        for line in block.commands:
            if line not in EXEMPT and not (block.language == "inline" and _is_a_name(line)):
                self.command(line)

    def command(self, line: str) -> None:
        words = shlex.split(line)
        if words[:2] == ["medssl", "new"] and "--weights" in words:
            torch.save(network().state_dict(), self.desk / words[words.index("--weights") + 1])
        with pytest.raises(SystemExit) as end:
            main(words[1:])
        assert end.value.code == 0, f"`{line}` ended with exit code {end.value.code}"
        self.ran.append(line)
        if words[:2] == ["medssl", "new"]:
            put_weights(self.desk / words[2])

    def _python(self, block: Block) -> None:
        text = block.text
        for long, short in SHORTER.items():
            text = text.replace(long, short)
        exec(compile(text, block.page, "exec"), self.names)
        self.ran.append(text)

    def _card(self, card: dict, text: str) -> None:
        """A whole task card is saved where the page's commands look for it, with images it can read."""
        if "target" not in card:
            return
        for folder in ("my-tasks", "mytasks"):
            (self.desk / folder).mkdir(exist_ok=True)
            (self.desk / folder / f"{card['name']}.toml").write_text(text)
            own_images(card, self.desk / folder)


def own_images(card: dict, folder: Path) -> None:
    """Images for a card that reads an npz or a CSV; the card goes where its reader needs more than that."""
    source, rng, classes = card["source"], np.random.default_rng(0), card["classes"]
    labels = {split: np.arange(n) % len(classes) for split, n in (("train", 60), ("val", 30), ("test", 30))}
    images = {
        s: (rng.integers(0, 60, (len(y), 32, 32)) + 60 * y[:, None, None]).astype(np.uint8) for s, y in labels.items()
    }
    if source["reader"] == "npz":
        named = {f"{s}_images": x for s, x in images.items()} | {f"{s}_labels": y for s, y in labels.items()}
        np.savez(folder / source["file"], **named)
    elif source["reader"] == "csv" and card["target"] == "multi-class":
        rows = ["image,label,split"]
        for split, pictures in images.items():
            for number, (picture, label) in enumerate(zip(pictures, labels[split], strict=True)):
                Image.fromarray(picture).save(folder / f"{split}-{number}.png")
                rows.append(f"{split}-{number}.png,{classes[label]},{split}")
        (folder / source["file"]).write_text("\n".join(rows) + "\n")
    else:
        (folder / f"{card['name']}.toml").unlink()


def network() -> torch.nn.Module:
    """A small network, as one's own."""
    torch.manual_seed(0)
    return timm.create_model("test_vit", num_classes=0, img_size=64)


def put_weights(folder: Path) -> None:
    """What the pages tell the reader to do after `medssl new`: put the weights beside the card and fill it in."""
    save_file(network().state_dict(), folder / "weights.safetensors")
    digest = hashlib.sha256((folder / "weights.safetensors").read_bytes()).hexdigest()
    (folder / "encoder.toml").write_text(CARD.format(name=folder.name, sha256=digest))


def _is_a_name(line: str) -> bool:
    """Whether a line only names a command or its option, as prose does: `medssl compare`, `medssl run --dry-run`."""
    words, command = shlex.split(line)[1:], medssl
    while words and hasattr(command, "get_command"):
        command = command.get_command(None, words.pop(0))
    if hasattr(command, "get_command") or not words:
        return True
    return all(word.startswith("-") for word in words) and any(p.required for p in command.params)


def given_to(page: str) -> dict[str, object]:
    """Names that a page's Python takes as the reader's own."""
    ids, vectors = np.array(["a", "b"]), np.zeros((2, 4), np.float32)
    known: dict[str, dict[str, object]] = {
        "README.md": {"my_module": torch.nn.Sequential(torch.nn.AvgPool2d(16), torch.nn.Flatten())},
        "docs/encoders.md": {"train_ids": ids, "train_vectors": vectors, "test_ids": ids, "test_vectors": vectors},
    }
    return known.get(page, {})


def installed(monkeypatch: pytest.MonkeyPatch, package: Path, desk: Path) -> None:
    """From now on the package ships the small suites, and the reader sits at `desk`."""
    monkeypatch.setattr(bench.locate, "_PACKAGE", package)
    monkeypatch.chdir(desk)
    monkeypatch.setenv("WANDB_DIR", os.fspath(desk))
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda mode: None)  # it would outlast the page
