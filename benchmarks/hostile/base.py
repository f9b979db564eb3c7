"""A small valid submission to start from, and helpers to change it consistently, as a forger would."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from safetensors.torch import save_file

from bench.files import sha256_arrays
from bench.runs.options import RunSpec
from bench.runs.predictions import predictions_bytes, read_predictions
from bench.runs.run import run
from bench.submissions.bundle import bundle

TASK = """schema = 1
name = "{name}"
title = "Squares"
modality = "mixed"
target = "{target}"
classes = ["dark", "bright"]
licence = "CC0-1.0"
corpus = "squares"
source = {{ reader = "npz", file = "{name}.npz" }}
"""

CARD = """schema = 1
name = "{name}"
version = "1"
title = "Seeded ResNet-10"
authors = ["A. Author"]
licence = "MIT"
paradigm = "contrastive"
objective = "instance-contrastive"
method = "SimCLR"
architecture = "cnn"
pretraining = [{{ corpus = "squares-elsewhere", images = 100, in_domain = false }}]
source = {{ adapter = "timm", model = "resnet10t", weights = "weights.safetensors", sha256 = "{sha256}" }}
preprocessing = {{ size = 32, dense_size = 64, mean = [0.5, 0.5, 0.5], std = [0.5, 0.5, 0.5] }}
features = {{ pooling = "mean", dense_layer = -2 }}
"""


def write_tasks(folder: Path, *, dark: int = 140, bright: int = 155) -> Path:
    """Two small tasks: is the square `bright` or `dark` ("which"), where is it ("where")."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, target in (("which", "binary"), ("where", "mask")):
        arrays = {}
        for split, n in (("train", 60), ("val", 20), ("test", 30)):
            labels = np.arange(n) % 2
            images = rng.integers(60, 160, (n, 32, 32)).astype(np.uint8)
            masks = np.zeros((n, 32, 32), np.uint8)
            for i in range(n):
                y, x = rng.integers(0, 20, 2)
                images[i, y : y + 12, x : x + 12] = bright if labels[i] else dark
                masks[i, y : y + 12, x : x + 12] = 1
            arrays[f"{split}_images"] = images
            arrays.update({f"{split}_label": masks} if target == "mask" else {f"{split}_labels": labels[:, None]})
        np.savez(folder / f"{name}.npz", **arrays)
        (folder / f"{name}.toml").write_text(TASK.format(name=name, target=target))
    return folder


def write_submission(work: Path, tasks: Path, name: str = "honest", seed: int = 0) -> Path:
    """Weights, card, a run of every unit, and the bundle with weights: `work`/submissions/<name>."""
    source = work / name
    source.mkdir(parents=True)
    torch.manual_seed(seed)
    save_file(timm.create_model("resnet10t", num_classes=0).state_dict(), source / "weights.safetensors")
    digest = hashlib.sha256((source / "weights.safetensors").read_bytes()).hexdigest()
    card = CARD.format(name=name, sha256=digest)
    (source / "encoder.toml").write_text(card.replace("ResNet-10", f"ResNet-10, draw {seed}") if seed else card)
    run(RunSpec.of(encoder=str(source), suite=None, tasks=str(tasks), out=str(work / "runs"), command="medssl run"))
    return bundle(source, work / "runs", work / "submissions", [tasks.name], with_weights=True).folder


def copy(submission: Path, target: Path) -> Path:
    """A fresh copy to be spoilt, under a folder of its own."""
    return Path(shutil.copytree(submission, target / submission.name))


def records_of(folder: Path) -> Path:
    """The records of a submission."""
    return folder / "tasks" / "records.jsonl"


def predictions_of(folder: Path, task: str = "which") -> Path:
    """The predictions of a submission on a task."""
    return folder / "tasks" / "predictions" / f"{task}.npz"


def edit_records(folder: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """As `edit_lines`, the records of a submission."""
    edit_lines(records_of(folder), change)


def edit_lines(path: Path, change: Callable[[list[dict[str, Any]]], Any]) -> None:
    """Rewrite a records.jsonl after `change` has edited the list of records in place (or returned another), unsealed as
    those of earlier versions are."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    changed = change(records)
    records = records if changed is None else changed
    path.write_text("".join(json.dumps({k: v for k, v in r.items() if k != "seal"}) + "\n" for r in records))


def edit_every_record(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Edit each record in place."""
    edit_records(folder, each(change))


def each(change: Callable[[dict[str, Any]], Any]) -> Callable[[list[dict[str, Any]]], None]:
    """Edits every one of some records in place."""

    def every(records: list[dict[str, Any]]) -> None:
        for record in records:
            change(record)

    return every


def edit_record(folder: Path, change: Callable[[dict[str, Any]], Any], key: str = "which.linear-v2.100pct.0") -> None:
    """Edit one record in place."""

    def find(records: list[dict[str, Any]]) -> None:
        change(next(r for r in records if unit_key(r) == key))

    edit_records(folder, find)


def unit_key(record: dict[str, Any]) -> str:
    """`Unit.key` of a record as plain data."""
    u = record["unit"]
    return f"{u['task']}.{u['protocol']}.{u['budget'].replace('%', 'pct').replace('=', '')}.{u['seed']}"


def edit_predictions(
    folder: Path, change: Callable[[dict[str, np.ndarray]], Any], *, task: str = "which", rehash: bool = False
) -> None:
    """Edit the predictions of a task in place; `rehash` also puts the new hashes into the records."""
    path = predictions_of(folder, task)
    arrays = read_predictions(path)
    change(arrays)
    path.write_bytes(predictions_bytes(arrays))
    if rehash:

        def hashes(records: list[dict[str, Any]]) -> None:
            for record in records:
                prefix = unit_key(record) + "/"
                mine = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
                if mine:
                    record["predictions_sha256"] = sha256_arrays(mine)

        edit_records(folder, hashes)


def edit_card(folder: Path, old: str, new: str) -> None:
    """Replace text in the card, and put the new card's hash into every record."""
    from bench.encoders.card import read_card

    path = folder / "encoder.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    try:
        digest = read_card(path).sha256
    except Exception:
        return
    edit_records(folder, lambda records: [r | {"card_sha256": digest} for r in records])
