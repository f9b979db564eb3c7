"""What is run again when something changes: `python benchmarks/identities.py` prints the table of docs/identity.md.

Each row starts from the same finished run (three tasks of one's own, an encoder around a torch module), changes one
thing and gives the same command again.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

import bench
from bench.encoders.base import Encoder
from bench.metrics import SCORING
from bench.protocols.knn import PROTOCOL as KNN

CARD = """schema = 1
name = "{name}"
title = "{title}"
modality = "ct"
target = "{target}"
classes = ["{first}", "bright"]
licence = "x"
corpus = "x"
source = {{ reader = "npz", file = "{name}.npz"{more} }}
"""
SUITE = """schema = 1
name = "mine"
title = "Mine"
tasks = {tasks}
scoring = {scoring}
protocols = [
    {{ name = "knn-v1", budgets = ["100%"] }},
    {{ name = "dense-retrieval-v1", budgets = ["n=4"] }},{more}
]
"""
MORE = {
    "which": ', groups = "{split}_groups"',
    "stack": ', volume = true, aggregation = "mean"',
}
TARGETS = {"which": "binary", "where": "mask", "stack": "binary"}
ROWS = {"train": 24, "val": 8, "test": 12}
ALL = "which stack where"


def network() -> torch.nn.Module:
    """A seeded convolution, 8 channels on a grid of 8 x 8."""
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Conv2d(3, 8, 4, stride=4), torch.nn.ReLU())


@dataclass
class World:
    """One person's encoder, tasks, command and results."""

    root: Path
    module: torch.nn.Module = field(default_factory=network)
    wrap: dict[str, Any] = field(default_factory=lambda: {"size": 32})
    run: dict[str, Any] = field(default_factory=lambda: {"device": "cpu"})

    @property
    def tasks(self) -> Path:
        """Folder of the cards and files."""
        return self.root / "tasks"

    @property
    def out(self) -> Path:
        """The run folder."""
        return self.root / "runs" / "mine" / "mine"

    @classmethod
    def build(cls, root: Path) -> World:
        """Write the tasks and run them once."""
        world = cls(root)
        world.tasks.mkdir(parents=True)
        for name in TARGETS:
            world.card(name)
            np.savez(world.tasks / f"{name}.npz", **_arrays(name))
        world.suite()
        world.go()
        return world

    def copy(self, root: Path) -> World:
        """The same, to be changed."""
        shutil.copytree(self.root, root)
        world = World(root)
        plan = world.out / "plan.json"
        plan.write_text(plan.read_text().replace(str(self.root.resolve()), str(root.resolve())))
        return world

    def card(self, name: str, *, title: str = "Mine", first: str = "dark", more: str | None = None) -> None:
        """Write a task's card."""
        more = MORE.get(name, "") if more is None else more
        text = CARD.format(name=name, title=title, target=TARGETS.get(name, "binary"), first=first, more=more)
        (self.tasks / f"{name}.toml").write_text(text)

    def suite(self, *tasks: str, more: str = "", scoring: int = SCORING) -> None:
        """Write the suite."""
        text = SUITE.format(tasks=json.dumps(sorted(tasks or TARGETS)), more=more, scoring=scoring)
        (self.root / "suite.toml").write_text(text)

    def change(self, name: str, edit: Callable[[dict[str, np.ndarray]], None]) -> None:
        """Edit the arrays of a task's file in place."""
        path = self.tasks / f"{name}.npz"
        arrays = dict(np.load(path))
        edit(arrays)
        np.savez(path, **arrays)

    def encoder(self) -> Encoder:
        """Their network, wrapped."""
        return bench.wrap(self.module, name="mine", **self.wrap)

    def go(self) -> tuple[list[str], list[str], int]:
        """Give the command: keys of the units that ran, lines that were said, records at the end."""
        made, said = [], []

        def report(_: str, record: Any) -> None:
            made.extend([record.unit.key] if record is not None else [])

        with one_thing_changed(self.run):
            results = bench.run(
                self.encoder(), self.root / "suite.toml", tasks=self.tasks, out=self.root / "runs",
                report=report, say=said.append, **self.run,
            )  # fmt: skip
        return made, said, len(results.records)


@contextmanager
def one_thing_changed(options: dict[str, Any]) -> Iterator[None]:
    """Leave torch as it was; the compiler itself is left out, only its name counts here."""
    threads = torch.get_num_threads()
    with mock.patch("torch.compile", lambda function, **_: function):
        try:
            torch.set_num_threads(options.pop("threads", threads))
            yield
        finally:
            torch.use_deterministic_algorithms(False)
            torch.set_num_threads(threads)


def _arrays(name: str) -> dict[str, np.ndarray]:
    rng, arrays = np.random.default_rng(len(name)), {}
    for split, n in ROWS.items():
        labels = np.arange(n) % 2
        images = rng.integers(0, 100, (n, *((6, 32, 32) if name == "stack" else (32, 32)))).astype(np.uint8)
        masks = np.zeros((n, 32, 32), np.uint8)
        for i in range(n):
            y, x = rng.integers(0, 20, 2)
            images[i, ..., y : y + 12, x : x + 12] = 220 if labels[i] else 120
            masks[i, y : y + 12, x : x + 12] = 1
        arrays |= {f"{split}_images": images, f"{split}_groups": np.arange(n) // 2}
        arrays |= {f"{split}_label": masks} if name == "where" else {f"{split}_labels": labels}
    return arrays


def _spoil(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def _trained(world: World) -> None:
    world.module[0].weight.data += 0.01


def _swapped(arrays: dict[str, np.ndarray]) -> None:
    arrays["test_labels"] = 1 - arrays["test_labels"]


def _brighter(arrays: dict[str, np.ndarray]) -> None:
    arrays["test_images"] = arrays["test_images"] + np.uint8(1)


def _regrouped(arrays: dict[str, np.ndarray]) -> None:
    arrays["train_groups"] = np.arange(ROWS["train"]) // 3


def _moved(arrays: dict[str, np.ndarray]) -> None:
    for column in ("images", "labels", "groups"):
        arrays[f"val_{column}"] = np.concatenate([arrays[f"val_{column}"], arrays[f"train_{column}"][-4:]])
        arrays[f"train_{column}"] = arrays[f"train_{column}"][:-4]


def _redrawn(arrays: dict[str, np.ndarray]) -> None:
    arrays["test_label"][0, 0, 0] = 1


def _new_card(world: World) -> None:
    np.savez(world.tasks / "other.npz", **_arrays("other"))
    world.card("other")
    world.suite(*TARGETS, "other")


def _short_record(world: World) -> None:
    path = world.out / "records.jsonl"
    path.write_text(path.read_text().replace('"status":"done"', '"status":"do', 1))


def _lost_record(world: World) -> None:
    path = world.out / "records.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))


def wrap(**changes: Any) -> Callable[[World], None]:
    """Another argument of `bench.wrap`."""
    return lambda world: world.wrap.update(changes)


def run(**changes: Any) -> Callable[[World], None]:
    """Another argument of `bench.run`."""
    return lambda world: world.run.update(changes)


PREPARED = {"size": 32, "channels": 3, "mean": [0.0] * 3, "std": [1.0] * 3}
CHANGES: dict[str, tuple[Callable[[World], Any], str]] = {
    "weights (one training step)": (_trained, ALL),
    "`features=` another function": (wrap(features=lambda net, x: (net(x).amax((2, 3)), net(x))), ALL),
    "`features=` only the grid differs": (wrap(features=lambda net, x: (net(x).mean((2, 3)), net(x) ** 2)), "where"),
    "pooling": (wrap(features="max"), ALL),
    "size": (wrap(size=64), ALL),
    "mean": (wrap(mean=(0.5, 0.5, 0.5)), ALL),
    "dense_size": (wrap(preprocessing=PREPARED | {"dense_size": 64}), "where"),
    "precision": (run(precision="bf16"), ALL),
    "compiled": (run(compiled=True), ALL),
    "deterministic": (run(deterministic=True), ALL),
    "threads of the processor": (run(threads=2), ""),
    "batch size": (run(batch_size=5), ""),
    "authors and licence of the encoder": (wrap(authors=["B. Author"], licence="MIT"), ""),
    "title, description, version, paradigm": (
        wrap(title="New", description="New.", version="2", paradigm="hybrid"), ""),
    "labels": (lambda world: world.change("which", _swapped), "which"),
    "images": (lambda world: world.change("which", _brighter), "which"),
    "groups (patients)": (lambda world: world.change("which", _regrouped), "which"),
    "split (4 images from train to val)": (lambda world: world.change("which", _moved), "which"),
    "masks": (lambda world: world.change("where", _redrawn), "where"),
    "the same file written again": (lambda world: world.change("which", dict), ""),
    "aggregation of slices": (
        lambda world: world.card("stack", more=MORE["stack"].replace("mean", "max")), "stack"),
    "class name": (lambda world: world.card("which", first="dim"), "which"),
    "title of a task": (lambda world: world.card("which", title="Another title"), ""),
    "a new card in the suite": (_new_card, "other"),
    "a protocol more in the suite": (
        lambda world: world.suite(more='\n    { name = "knn-parity-v1", budgets = ["100%"] },'), "which stack"),
    "a card taken out of the suite": (lambda world: world.suite("which", "where"), ""),
    "parameters of knn-v1": (
        lambda world: mock.patch.object(type(KNN), "params", {**KNN.params, "k": 21}), "which stack"),
    "version of the metrics": (lambda world: world.suite(scoring=1), ALL),
    "a predictions file is damaged": (
        lambda world: _spoil(world.out / "predictions" / "which.npz"), "which"),
    "a predictions file is gone": (lambda world: (world.out / "predictions" / "which.npz").unlink(), "which"),
    "a record is damaged": (_short_record, "stack"),
    "records.jsonl has lost its last line": (_lost_record, "which"),
    "records.jsonl is empty": (lambda world: (world.out / "records.jsonl").write_text(""), ALL),
    "run.json is damaged": (lambda world: (world.out / "run.json").write_text("{"), ""),
    "all features in the cache are damaged": (
        lambda world: [_spoil(p) for p in Path(os.environ["MEDSSL_HOME"]).rglob("pooled.npy")], ""),
}  # fmt: skip
"""What changed -> (how, tasks that have to run again)."""


def tried(base: World, name: str, root: Path) -> tuple[str, list[str], int]:
    """(tasks that ran again, lines that were said, records at the end) after one change."""
    world = base.copy(root)
    changed = CHANGES[name][0](world)
    with changed if hasattr(changed, "__enter__") else mock.patch.dict({}):
        made, said, records = world.go()
    ran = {key.partition(".")[0] for key in made}
    return " ".join(sorted(ran, key=[*ALL.split(), "other"].index)), said, records


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MEDSSL_HOME"] = f"{folder}/home"
        base = World.build(Path(folder) / "base")
        print("| what changed | tasks that ran again (of which, stack, where) | what the command says |\n|---|---|---|")
        for number, name in enumerate(CHANGES):
            ran, said, _ = tried(base, name, Path(folder) / str(number))
            print(f"| {name} | {ran or 'none'} | {'; '.join(said).replace(folder, '') or '-'} |")


if __name__ == "__main__":
    main()
