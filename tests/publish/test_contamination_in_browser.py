"""The switch that ranks on clean tasks only, in Chromium, on five encoders whose answer is worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.leaderboard import make_board
from bench.leaderboard.evidence import Evidence
from bench.leaderboard.weights import Tasks
from bench.publish.boards import board_view
from bench.publish.writer import write_site
from bench.recipes import RECIPES
from tests.publish.synthetic import synthetic_site

ROWS = "#board tbody tr:not([data-p=reference])"
SCORES = {  # CT dense, X-ray dense; CT global, CT global; X-ray global, X-ray global
    "encoder-0003": ([0.7, 0.7, 0.7, 0.7, 0.9, 0.5], {4: "yes"}),  # best, but thanks to a task it has seen
    "encoder-0004": ([0.68] * 6, {}),
    "encoder-0005": ([0.7, 0.7, 0.7, 0.7, 0.38, 0.7], {4: "yes"}),  # would gain by its confession
    "encoder-0006": ([0.69] * 6, dict.fromkeys(range(6), "unknown")),
    "encoder-0007": ([0.5] * 6, {}),
}
FULL = [  # encoder, rank, score
    ("encoder-0003", "1", "0.700"), ("encoder-0006", "2", "0.690"), ("encoder-0004", "3", "0.680"),
    ("encoder-0005", "4", "0.660"), ("encoder-0007", "5", "0.500"),
]  # fmt: skip
CLEAN = [
    ("encoder-0004", "1", "0.680"), ("encoder-0005", "2", "0.660"), ("encoder-0003", "3", "0.650"),
    ("encoder-0007", "4", "0.500"), ("encoder-0006", "–", "–"),
]  # fmt: skip


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    site = synthetic_site(encoders=8, tasks=6)
    tasks = sorted((t.task for t in site.suites[0].tasks.values()), key=lambda t: (t.kind, t.modality, t.name))
    names = np.array([t.name for t in tasks])
    found = Tasks(names, np.array([t.kind for t in tasks]), np.array([t.modality for t in tasks]), names)
    points = np.array([SCORES.get(name, ([0.1] * 6, {}))[0] for name in site.encoders])
    noise = np.random.default_rng(0).normal(0, 0.01, (*points.shape, 200))
    evidence = Evidence(
        encoders=list(site.encoders),
        paradigms=[e.card.paradigm for e in site.encoders.values()],
        badges=[e.badge for e in site.encoders.values()],
        repeat_of=[None] * len(points),
        tasks=found,
        points=points,
        replicates=(points[:, :, None] + noise).astype(np.float32),
        contaminated=np.array([[SCORES.get(n, (0, {}))[1].get(j, "no") for j in range(6)] for n in site.encoders]),
        runs=list(np.sort(points)),
    )
    boards = [make_board(RECIPES[0], evidence, drop_contaminated=clean) for clean in (False, True)]
    suite = replace(site.suites[0], boards=(board_view("synthetic-v0", *boards, {}, ""),))
    out = tmp_path_factory.mktemp("contaminated") / "public"
    write_site(replace(site, suites=(suite,)), out)
    return (out / "boards/synthetic-v0/overall.html").as_uri()


def standing(page) -> list[tuple[str, ...]]:
    cells = "rows => rows.map(r => [r.id, ...['rank', 'score'].map(c => r.querySelector(`td.${c}`).textContent)])"
    return [tuple(row) for row in page.eval_on_selector_all(ROWS, cells)]


def states(page) -> list[str]:
    return page.eval_on_selector_all(ROWS, "rows => rows.map(r => r.querySelector('.contam').textContent)")


def choose(page, value: str) -> None:
    page.locator("summary", has_text="Contamination").click()
    page.locator(f'[name="clean"][value="{value}"]').check()
    page.keyboard.press("Escape")


def test_a_row_says_what_is_known_of_it(page, address):
    page.goto(address)
    assert standing(page) == FULL
    assert states(page) == ["1 of 6 tasks", "not disclosed", "clean", "1 of 6 tasks", "clean"]


def test_the_switch_ranks_on_clean_tasks_and_back(page, address):
    page.goto(address)
    choose(page, "clean")
    page.wait_for_selector('#board[data-view="weighted"]')
    assert standing(page) == CLEAN
    choose(page, "all")
    page.wait_for_selector('#board[data-view=""]')
    assert standing(page) == FULL


def test_the_switch_is_in_the_address_and_joins_a_filter(page, address):
    page.goto(f"{address}#clean=clean&k=no,yes")
    page.wait_for_selector('#board[data-view="weighted"]')
    assert standing(page) == CLEAN[:4]
