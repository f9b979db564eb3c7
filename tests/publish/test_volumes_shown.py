"""Encoders of volumes and of slices on one board: what each takes, and what a volume costs it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.leaderboard.volumes import VolumeCosts
from bench.publish.export import board_table
from bench.publish.writer import Site, write_site

WHOLE, SLICES = VolumeCosts("volumes", 0.0123, None, 3 * 10**9), VolumeCosts("slices", 12.5, 1500.4, 7 * 10**9)


@pytest.fixture
def site(view, tmp_path) -> Site:
    suite = view.suites[0]
    first, second = (row.encoder for row in suite.boards[0].rows[:2])
    costs = {first: WHOLE, second: SLICES}
    tasks = {name: replace(t, volumes=costs) for name, t in suite.tasks.items()}
    boards = (replace(suite.boards[0], volumes=costs), *suite.boards[1:])
    return Site(replace(view, suites=(replace(suite, tasks=tasks, boards=boards),)), tmp_path / "site")


def test_board_task_and_cost_pages_mark_what_encoders_take(site, page):
    write_site(site.view, site.folder)
    suite = site.view.suites[0]
    first, second = suite.boards[0].volumes
    some_task = next(iter(suite.tasks))
    for address in (
        "boards/synthetic-v0/overall.html", "boards/synthetic-v0/cost.html", f"tasks/synthetic-v0/{some_task}.html"
    ):  # fmt: skip
        page.goto((site.folder / address).as_uri())
        heads = page.locator("table.sortable thead th, table.board thead th").all_inner_texts()
        at = next(i for i, text in enumerate(heads) if text.startswith("Takes"))
        for name, words in ((first, ["volumes (3-D)", "0.0123", "–"]), (second, ["slices (2-D)", "12.5", "1500"])):
            row = page.locator("tbody tr", has=page.locator(f'a[href$="encoders/{name}.html"]')).first
            assert row.locator("> *").all_inner_texts()[at : at + 3] == words, address
        for foot in page.locator("tfoot tr").all():
            assert foot.locator("> *").count() == len(heads), address
    assert "Takes" not in (site.folder / "boards/synthetic-v0/global.html").read_text(encoding="utf-8")


def test_flops_are_of_a_volume_where_the_board_is_of_volumes(site):
    suite = site.view.suites[0]
    flops = board_table(site.view, suite, suite.boards[0])["flops"].tolist()
    other = site.view.encoders[suite.boards[0].rows[2].encoder].flops
    assert flops[:3] == [WHOLE.flops, SLICES.flops, other]
