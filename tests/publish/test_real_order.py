"""Boards and tasks of synthetic images say whether real images order encoders alike."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.between import Agreement, Between
from bench.publish.pages import board, task
from bench.publish.writer import Site
from tests.publish.synthetic import synthetic_site

WHOLE = Agreement(23, 0.613, 0.36, 0.83, "best", 7, 24, 18)
DENSE = Agreement(23, 0.1, -0.07, 0.67, "best", 5, 8, 8, {"kind": "dense"})
CT = Agreement(5, tasks=2, others=1, part={"modality": "ct", "kind": "global"})


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out, view = tmp_path_factory.mktemp("site"), synthetic_site(encoders=9, tasks=4, replicates=20)
    suite = view.suites[0]
    first = next(iter(suite.tasks))
    told = Between("real", (WHOLE, DENSE, CT), {first: DENSE})
    real = replace(suite, name="real", title="Real images", synthetic=False)
    site = Site(replace(view, suites=(real, replace(suite, between=told))), out)
    board.write(site)
    task.write(site)
    return out


def text(path: Path) -> str:
    return " ".join(path.read_text(encoding="utf-8").split())


def test_the_whole_order_on_the_overall_board(pages: Path) -> None:
    shown = text(pages / "boards/synthetic-v0/overall.html")
    assert (
        "Real images order encoders in part as these tasks with all labels do: Kendall’s tau 0.61 (0.36 to 0.83)"
        in shown
    )
    assert "over 23 encoders, 18 tasks of Real images." in shown
    assert (
        'CT, global</th><td class="n">2</td><td class="n">1</td><td class="n">5</td><td>–</td><td>not measured' in shown
    )


def test_an_order_that_was_not_seen_warns(pages: Path) -> None:
    shown = text(pages / "boards/synthetic-v0/dense.html")
    assert "Do not choose an encoder by this: real images were not seen to order encoders as these dense tasks" in shown
    assert "8 dense tasks of Real images" in shown


def test_a_task_and_only_one_that_was_compared(pages: Path) -> None:
    said = [p.name for p in (pages / "tasks/synthetic-v0").glob("*.html") if "Kendall" in text(p)]
    assert len(said) == 1
    assert "real images were not seen to order encoders as this task does" in text(
        pages / "tasks/synthetic-v0" / said[0]
    )


def test_real_images_say_nothing_of_the_kind(pages: Path) -> None:
    for path in [pages / "index.html", *(pages / "boards/real").glob("*.html"), *(pages / "tasks/real").glob("*.html")]:
        assert "Kendall" not in text(path), path
