"""What scores on the published images of a phantom task alone is told from an encoder, on global and dense tasks."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace as Has

import numpy as np
import pytest
import torch

import bench
from bench.budget import FULL
from bench.data.dataset import TaskData
from bench.data.load import load_task
from bench.data.task import Task
from bench.encoders.base import Encoder
from bench.protocols.dense_retrieval import PROTOCOL as DENSE
from bench.protocols.knn import PROTOCOL as KNN
from bench.runs.records import Record, Unit
from bench.runs.score_task import Setting, score_task
from bench.strict import parse_toml
from bench.submissions.fresh import drawn_anew, missing_on_fresh

CARDS = Path(__file__).parents[2] / "tasks" / "phantom"
SETTING = Setting("medssl verify", "mine", "0" * 64)


def small(name: str) -> Task:
    text = (CARDS / f"{name}.toml").read_text(encoding="utf-8")
    for old, new in (("train = 300", "train = 40"), ("val = 80", "val = 10"), ("test = 150", "test = 60")):
        assert old in text
        text = text.replace(old, new)
    text = "\n".join(line for line in text.replace(name, f"few-{name}").splitlines() if not line.startswith("sha256"))
    return Task.parse(parse_toml(text, where="test"), where="test")


@pytest.fixture(scope="module")
def plan(private_home: Path) -> Has:
    tasks = {t.name: t for t in (small("phantom-xray-diffuse-mini"), small("phantom-xray-dense-mini"))}
    return Has(tasks=tasks, folders=dict.fromkeys(tasks), protocols={p.name: p for p in (KNN, DENSE)})


class Lookup(torch.nn.Module):
    """Knows every published image and gives out its label, or its mask; noise for any other."""

    def __init__(self, datas: list[TaskData]) -> None:
        super().__init__()
        images = [torch.from_numpy(np.array(s.images)).permute(0, 3, 1, 2) for d in datas for s in d.splits.values()]
        self.known = torch.cat([self.key(i.float().expand(-1, 3, -1, -1) / 255) for i in images])
        self.labels, self.masks = [], []
        for data in datas:
            for split in data.splits.values():
                labels = torch.from_numpy(np.array(split.labels)).float()
                dense = labels.ndim == 3
                self.labels.append(torch.zeros(len(labels)) if dense else 1 + labels)
                self.masks.append(labels if dense else torch.zeros(len(labels), 128, 128))
        self.labels, self.masks = torch.cat(self.labels), torch.cat(self.masks)

    @staticmethod
    def key(x: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.adaptive_avg_pool2d(x, 8).flatten(1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        far, place = torch.cdist(self.key(x), self.known).min(1)
        noise = torch.sin(91 * torch.nn.functional.adaptive_avg_pool2d(x, 32)[:, :1])
        mask = torch.nn.functional.adaptive_avg_pool2d(self.masks[place][:, None], 32) * 20
        label = (
            torch.nn.functional.one_hot(self.labels[place].long(), 8).float()[:, :, None, None].expand(-1, -1, 32, 32)
        )
        answer = torch.cat([mask + 0.01 * noise, label.expand(-1, -1, 32, 32) + 0.01 * noise], 1)
        other = torch.cat([noise] * answer.shape[1], 1)
        return torch.where((far < 1e-3)[:, None, None, None], answer, other)


def told(encoder: Encoder, plan: Has) -> list[str]:
    records: list[Record] = []
    for task in plan.tasks.values():
        protocol = DENSE if task.kind == "dense" else KNN
        unit = Unit(task=task.name, protocol=protocol.name, budget=FULL, seed=0)
        records += [r for r, _ in score_task(encoder, task, None, [unit], {protocol.name: protocol}, (), SETTING)]
    assert [r.status for r in records] == ["done", "done"]
    return list(missing_on_fresh(encoder, plan, records, SETTING, "lot"))


def wrapped(module: torch.nn.Module) -> Encoder:
    return bench.wrap(module, name="mine", size=128, mean=(0.0,) * 3, std=(1.0,) * 3)


def test_what_knows_the_published_images_falls_on_fresh_ones(plan: Has) -> None:
    lines = told(wrapped(Lookup([load_task(t) for t in plan.tasks.values()])), plan)
    assert len(lines) == 2
    assert all("it knows those images" in line for line in lines)


def test_an_encoder_scores_on_both(plan: Has) -> None:
    torch.manual_seed(0)
    assert told(wrapped(torch.nn.Sequential(torch.nn.Conv2d(3, 16, 9, stride=4), torch.nn.ReLU())), plan) == []


def test_images_drawn_anew_are_others_of_the_same_kind(plan: Has) -> None:
    data = load_task(plan.tasks["few-phantom-xray-diffuse-mini"])
    first, same, other = (drawn_anew(data, lot).tests["test"] for lot in ("a", "a", "b"))
    np.testing.assert_array_equal(first.images, same.images)
    assert first.images.shape == data.tests["test"].images.shape
    for one, two in ((first, other), (first, data.tests["test"])):
        assert not any((image == two.images).reshape(len(two), -1).all(1).any() for image in one.images)
    assert set(np.unique(first.labels)) == set(np.unique(data.tests["test"].labels))
    assert not {"test-shift"} & set(drawn_anew(data, "a").tests)
