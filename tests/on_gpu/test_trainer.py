"""Every objective trains on a GPU: batches made there ahead, augmented there, and the loss that a CPU begins with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.discover import members
from bench.pretrain.compute import step_flops
from bench.pretrain.corpus import Corpus
from bench.pretrain.job import Job
from bench.pretrain.recipe import Recipe
from bench.pretrain.trainer import pretrain
from tests.on_gpu.conftest import EMULATED

OBJECTIVES = members("bench.pretrain.objectives", "OBJECTIVE")


@pytest.mark.parametrize("name", OBJECTIVES)
def test_an_objective_trains(name: str, recipe: Recipe, corpus: Corpus, tmp_path: Path) -> None:
    job = Job(name, recipe.model_copy(update={"steps": 2}))
    here, there = (pretrain(job, corpus, tmp_path / device, device=device).rows for device in ("cpu", "cuda"))
    assert [row["step"] for row in there] == [row["step"] for row in here]
    losses = np.array([[row.get("loss", 0.0) for row in rows] for rows in (here, there)])
    assert np.isfinite(losses).all()
    if EMULATED and job.steps:  # a real GPU draws other numbers
        assert losses[1][1] == pytest.approx(losses[0][1], rel=1e-4)


def test_bfloat16_trains(recipe: Recipe, corpus: Corpus, tmp_path: Path) -> None:
    job = Job("simclr", recipe.model_copy(update={"precision": "bfloat16"}))
    rows = pretrain(job, corpus, tmp_path, device="cuda").rows
    assert all(np.isfinite(row["loss"]) for row in rows if "loss" in row)


def test_operations_of_a_step_are_counted(recipe: Recipe, corpus: Corpus) -> None:
    assert step_flops(Job("mae", recipe), corpus, "cuda") > 0
