"""Chance, floors and ceilings: computed from the masks, cached by content, in the columns of the tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from bench.data.dataset import Split, TaskData
from bench.data.task import Task
from bench.locate import home
from bench.publish import anchors as module
from bench.publish.anchors import anchors, cell_anchors, compute
from bench.publish.pages.board import anchor_rows


def data(kind: str) -> TaskData:
    dense = kind == "dense"
    task = Task.parse(
        {
            "schema": 1, "name": f"tiny-{kind}", "title": "Tiny", "kind": kind, "modality": "ct",
            "target": "mask" if dense else "binary", "classes": ["background", "lesion"],
            "metric": "dice" if dense else "auroc", "licence": "CC0-1.0", "corpus": "tiny",
            "source": {"reader": "npz", "path": "tiny.npz"},
        },
        where="test",
    )  # fmt: skip
    masks = np.zeros((3, 32, 32), np.uint8)
    masks[0, :16] = 1
    masks[1, :8] = 1
    split = Split(np.zeros((3, 32, 32, 1), np.uint8), masks if dense else np.array([0, 1, 1]), np.array(list("abc")))
    return TaskData(task, split, split, {"test": split}, "0" * 64)


def test_values_by_hand():
    found = {a.kind: a for a in compute(data("dense"))}
    assert found["chance"].value == found["chance"].score == 0
    # Everything called foreground: Dice 2a / (1 + a) for areas 1/2 and 1/4; the empty mask has no Dice.
    assert found["floor"].value == pytest.approx((2 / 3 + 2 / 5) / 2)
    # Half and quarter planes are unions of whole patches of a 16 x 16 grid on 32 x 32 pixels.
    assert found["ceiling"].value == pytest.approx(1.0, abs=0.02)
    (chance,) = compute(data("global"))
    assert (chance.value, chance.score) == (0.5, 0.0)


def test_computed_once(monkeypatch):
    task = data("dense")
    first = anchors(task)
    monkeypatch.setattr(module, "compute", lambda _: pytest.fail("was cached"))
    assert anchors(task) == first
    (home() / "anchors" / f"{module.digest_of(task.task, task.sha256)}.json").write_text("[{}]")
    monkeypatch.setattr(module, "compute", lambda _: first)
    assert anchors(task) == first, "a damaged cache is made again"


def test_shipped_ones_are_those_of_this_card_and_these_data_alone(monkeypatch):
    task, shipped = data("dense"), compute(data("global"))
    monkeypatch.setattr(module, "shipped_anchors", lambda: {module.digest_of(task.task, task.sha256): shipped})
    assert anchors(task) == shipped
    other = replace(task, sha256="1" * 64)
    assert anchors(other) == compute(other)


def test_a_folder_without_kept_anchors_is_not_remembered_for_another(monkeypatch, tmp_path):
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(module, "shipped", lambda _: tmp_path)
        assert module.shipped_anchors() == {}
    assert module.shipped_anchors()


def test_what_is_shipped_are_anchors_of_dense_tasks():
    kept = module.shipped_anchors()
    assert kept
    for found in kept.values():
        by = {a.kind: a for a in found}
        assert {"chance", "ceiling"} <= set(by)
        assert by["chance"].score == 0 < by["ceiling"].score <= 1
        assert "floor" not in by or by["floor"].value < by["ceiling"].value


def test_a_cell_has_the_anchors_that_all_its_tasks_have():
    dense, other = compute(data("dense")), compute(data("global"))
    assert {k for k, _ in cell_anchors([dense, dense])} == {"chance", "floor", "ceiling"}
    assert [k for k, _ in cell_anchors([dense, other])] == ["chance"]
    assert cell_anchors([]) == {}


def test_on_the_board_cells_without_a_ceiling_count_as_one(view):
    suite = view.suites[0]
    overall = next(b for b in suite.boards if b.name == "overall")
    rows = {r.kind: r for r in anchor_rows(suite, overall)}
    assert rows["chance"].score == 0
    assert rows["ceiling"].score == pytest.approx((1 + 0.97) / 2)
    assert rows["ceiling"].parts == pytest.approx({"dense": 0.97, "global": 1.0})
    kinds = [c.kind for c in overall.columns]
    assert [v is None for v in rows["ceiling"].cells] == [k == "global" for k in kinds]


def test_they_stand_in_the_tables_and_in_the_downloads(built, view):
    board = (built / "boards/synthetic-v0/dense.html").read_text(encoding="utf-8")
    assert board.count('class="anchor ') == 3
    name = next(n for n, t in view.suites[0].tasks.items() if t.task.kind == "dense")
    page = (built / f"tasks/synthetic-v0/{name}.html").read_text(encoding="utf-8")
    assert page.count('class="anchor ') == 3
    table = pd.read_csv(built / "data/anchors/synthetic-v0.csv")
    assert set(table["kind"]) == {"chance", "floor", "ceiling"}
    assert len(table) == sum(len(t.anchors) for t in view.suites[0].tasks.values())


def test_weights_move_the_ceiling_too(page, built, view):
    page.goto((built / "boards/synthetic-v0/overall.html").as_uri() + "#w.ct=4&w.xray=0")
    page.wait_for_selector('#board[data-view="weighted"]')
    scores = page.eval_on_selector_all("#board tfoot td.score", "cells => cells.map(c => Number(c.textContent))")
    assert scores == pytest.approx([0.985, 0.04, 0.0], abs=1e-3)
