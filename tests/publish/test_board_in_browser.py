"""The board in Chromium, opened from file://."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.publish.history import snapshot
from bench.publish.snapshots import History
from bench.publish.writer import write_site

expect = pytest.importorskip("playwright.sync_api").expect

ROWS = "#board tbody tr"


@pytest.fixture
def board(page, built):
    page.goto((built / "boards/synthetic-v0/overall.html").as_uri())
    page.wait_for_selector("html.js #controls")
    return page


def names(page) -> list[str]:
    return page.eval_on_selector_all(ROWS, "rows => rows.map(r => r.id)")


def column(page, name: str) -> list[str]:
    index = page.evaluate(
        "n => [...document.querySelectorAll('#board thead th')]"
        ".findIndex(h => h.classList.contains(n) || h.dataset.col === n)",
        name,
    )
    return page.eval_on_selector_all(ROWS, f"rows => rows.map(r => r.cells[{index}].textContent.trim())")


def tick(page, panel: str, name: str, value: str) -> None:
    if panel != "Filter":
        page.get_by_text(panel, exact=True).click()
    elif page.locator("#facets").is_hidden():
        page.locator("#filter").click()
    page.locator(f'[name="{name}"][value="{value}"]').check()
    page.keyboard.press("Escape")


def test_first_order_is_that_of_the_board(board, view):
    assert names(board) == [r.encoder for r in view.suites[0].boards[0].rows]
    assert board.locator("th[aria-sort]").count() == 1


def test_sorting_by_any_column_and_back(board, view):
    heading = board.locator("thead th", has_text="Parameters")
    heading.locator("button").click()
    parameters = [view.encoders[n].parameters for n in names(board)]
    assert parameters == sorted(parameters)
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").click()
    parameters = [view.encoders[n].parameters for n in names(board)]
    assert parameters == sorted(parameters, reverse=True)
    assert heading.get_attribute("aria-sort") == "descending"
    assert not board.locator("tr.step").count(), "tier lines make sense only in rank order"


def test_what_has_no_value_comes_last_in_both_directions(board):
    for _ in range(2):
        board.locator("thead th", has_text="Tier").locator("button").click()
        tiers = column(board, "tier")
        assert tiers[-3:] == ["–"] * 3
        assert "–" not in tiers[:-3]


def test_a_filter_ranks_again_but_moves_no_score(board, view):
    scores = dict(zip(names(board), column(board, "score"), strict=True))
    tick(board, "Filter", "p", "hybrid")
    board.wait_for_selector('#board[data-view="filtered"]')
    shown = names(board)
    assert shown
    assert all(view.encoders[n].card.paradigm == "hybrid" for n in shown)
    assert column(board, "rank") == [str(i + 1) for i in range(len(shown))]
    assert [scores[n] for n in shown] == column(board, "score")
    assert "no score has moved" in board.inner_text("#status")


def test_each_choice_says_how_many_rows_it_would_show(board, view):
    board.locator("#filter").click()
    board.wait_for_function("document.querySelector('[name=p] ~ output')?.textContent")  # the data have come
    cards = [view.encoders[r.encoder].card for r in view.suites[0].boards[0].rows]
    said = {
        p: board.inner_text(f'[name="p"][value="{p}"] ~ output') for p in ("contrastive", "predictive", "reference")
    }
    assert said == {p: str(sum(c.paradigm == p for c in cards)) for p in said}
    tick(board, "Filter", "p", "hybrid")
    board.wait_for_selector('#board[data-view="filtered"]')
    board.locator("#filter").click()  # `tick` closed it, and what is closed is not counted
    for v in sorted({c.licence for c in cards}):
        n = sum(c.licence == v and c.paradigm == "hybrid" for c in cards)
        expect(board.locator(f'[name="l"][value="{v}"] ~ output')).to_have_text(str(n))
    assert board.inner_text('[name="p"][value="reference"] ~ output') == said["reference"], "of its own kind all count"


def test_the_filter_stands_beside_the_table(board):
    board.locator("#filter").click()
    panel, table = (board.locator(s).bounding_box() for s in ("#facets", ".listing"))
    assert table["x"] >= panel["x"] + panel["width"]
    assert abs(table["y"] - panel["y"]) < 60


def test_the_head_stays_in_sight_as_the_page_scrolls(board):
    for width in (1440, 700):
        board.set_viewport_size({"width": width, "height": 420})
        board.evaluate("window.scrollTo(0, document.getElementById('board').offsetTop + 700)")
        board.wait_for_timeout(100)
        top = board.evaluate("document.querySelector('#board thead').getBoundingClientRect().top")
        assert -1 <= top < 40, f"{top} at {width} pixels"


def test_search_hides_rows_and_keeps_ranks(board, view):
    board.fill("[name=q]", "encoder 1")
    board.locator("#status", has_text="of 20 encoders shown").wait_for()
    assert all("encoder-001" in n or n == "encoder-0001" for n in names(board))
    masked = [r.encoder for r in view.suites[0].boards[0].rows
              if view.encoders[r.encoder].card.objective == "masked-image-modelling"]  # fmt: skip
    board.fill("[name=q]", "modelling masked")
    board.locator("#status", has_text=f"{len(masked)} of 20 encoders shown").wait_for()
    assert sorted(names(board)) == sorted(masked)
    assert column(board, "rank") != [str(i + 1) for i in range(len(names(board)))]


def test_a_view_is_shared_by_its_address(board, browser):
    tick(board, "Filter", "p", "predictive")
    tick(board, "Filter", "b", "declared")
    board.locator("thead th", has_text="Parameters").locator("button").click()
    board.wait_for_selector('#board[data-view="filtered"]')
    other = browser.new_page()
    other.goto(board.url)
    other.wait_for_selector('#board[data-view="filtered"]')
    assert names(other) == names(board)
    assert column(other, "rank") == column(board, "rank")
    other.close()


def test_reset_brings_everything_back(board):
    before = (names(board), column(board, "rank"), column(board, "score"), column(board, "tier"))
    tick(board, "Filter", "p", "predictive")
    board.wait_for_selector('#board[data-view="filtered"]')
    board.locator("#reset").click()
    board.wait_for_selector('#board[data-view=""]')
    assert (names(board), column(board, "rank"), column(board, "score"), column(board, "tier")) == before
    assert "#" not in board.url


def test_columns_are_picked(board):
    assert not board.locator("thead th", has_text="Win rate").is_visible()
    tick(board, "Columns", "cols", "win")
    assert board.locator("thead th", has_text="Win rate").is_visible()
    assert "win" in board.url


def test_a_weight_moves_the_mean_and_says_so(board):
    before = column(board, "score")
    board.goto(board.url + "#w.ct=4&w.xray=0")
    board.reload()
    board.wait_for_selector('#board[data-view="weighted"]')
    assert column(board, "score") != before
    assert "follow your choice" in board.inner_text("#status")


def test_comparing_two_rows(board, view):
    boxes = board.locator("td.pick input")
    boxes.nth(0).check()
    assert "Choose one more" in board.inner_text(".tray")
    boxes.nth(5).check()
    boxes.nth(3).check()
    board.locator(".tray button").nth(1).click()
    assert not boxes.nth(5).is_checked()
    board.locator("#compare").click()
    board.wait_for_selector("#result table")
    rows = view.suites[0].boards[0].rows
    assert f"e={rows[0].encoder},{rows[3].encoder}" in board.url
    lines = board.locator("#result tbody tr:not(.group)")
    assert lines.count() == len(view.suites[0].tasks) + 3
    assert "Overall" in lines.first.inner_text()
    board.locator("#parts button", has_text="Tasks").click()
    assert board.locator("#result tbody tr:not(.group)").count() == len(view.suites[0].tasks)
    assert "part=Tasks" in board.url
    board.locator("#parts button", has_text="All").click()
    gap = f"{rows[3].score - rows[0].score:.3f}".replace("-", "\u2212")
    assert gap in lines.first.inner_text()
    board.locator("#result thead button").click()
    gaps = [float(t.replace("\u2212", "-")) for t in board.locator("#result tbody td:nth-child(4)").all_inner_texts()]
    assert gaps == sorted(gaps, reverse=True)
    with board.expect_download() as waiting:
        board.locator("#download").click()
    text = waiting.value.path().read_text()
    assert text.count("\n") == len(view.suites[0].tasks) + 3
    assert f'"{rows[3].encoder} difference"' in text


def test_citing_a_view(board, view):
    tick(board, "Filter", "p", "hybrid")
    board.locator("#cite").click()
    address = board.input_value("#citation-address")
    assert address in board.input_value("#citation-bibtex")
    assert "p=hybrid" in address
    assert f"data={view.fingerprint[:12]}" in address
    assert board.locator("#moved").is_hidden()
    board.goto(address.replace(view.fingerprint[:12], "0123456789ab"))
    board.reload()
    board.locator("#moved", has_text="cited with data 0123456789ab").wait_for()
    assert "not among them" in board.inner_text("#moved")


def test_a_cited_version_that_is_archived_is_one_click_away(page, view, tmp_path):
    earlier = snapshot(view).model_copy(update={"data": "0123456789ab" + "0" * 52})
    write_site(replace(view, history=History(versions=[earlier])), tmp_path / "public")
    page.goto((tmp_path / "public/index.html").as_uri() + "#data=0123456789ab")
    page.locator("#moved a", has_text="as they were cited").click()
    assert "0123456789ab" in page.inner_text("h1 + .lead")


def test_lesions_and_labels_are_compared_over_tasks(page, view, tmp_path):
    suite = view.suites[0]
    names, rows = suite.pairs.encoders[:2], []
    rng = np.random.default_rng(0)
    dense = [n for n, t in suite.tasks.items() if t.task.kind == "dense"]
    same = {"protocol": suite.main["dense"], "budget": "100%", "split": "test", "metric": "dice[<0.5%]"}
    for task in dense:
        for encoder in names:
            rows.append({**same, "encoder": encoder, "task": task, "primary": False, "value": rng.random()})
    more = pd.concat([suite.results, pd.DataFrame(rows)], ignore_index=True)
    write_site(replace(view, suites=(replace(suite, results=more),)), tmp_path / "public")
    page.goto((tmp_path / "public/compare.html").as_uri() + f"#suite={suite.name}&e={','.join(names)}&part=Lesions")
    line = page.locator("#result tbody tr:not(.group)")
    assert line.count() == 1
    table = pd.DataFrame(rows).pivot(index="task", columns="encoder", values="value")
    gaps = (table[names[1]] - table[names[0]]).round(5)
    low, high = stats.t.interval(0.95, len(gaps) - 1, gaps.mean(), gaps.sem())
    said = line.inner_text().replace("\N{MINUS SIGN}", "-")
    assert f"{gaps.mean():.3f}" in said
    assert f"{low:.3f} to {high:.3f}" in said
    assert f"{len(dense)} tasks" in said


def test_keyboard_alone_sorts_filters_and_leaves(board):
    board.locator("[name=q]").focus()
    board.keyboard.press("Tab")
    board.keyboard.press("Enter")
    assert board.locator("#facets").is_visible()
    board.keyboard.press("Space")
    board.wait_for_selector('#board[data-view="filtered"]')
    board.keyboard.press("Escape")
    assert board.locator("#facets").is_hidden()
    assert board.evaluate("document.activeElement.id") == "filter"
    board.locator("thead th", has_text="Parameters").locator("button").focus()
    board.keyboard.press("Enter")
    assert board.locator("thead th", has_text="Parameters").get_attribute("aria-sort") == "ascending"


def test_the_theme_is_switched_and_remembered(board):
    colour = "getComputedStyle(document.body).backgroundColor"
    before = board.evaluate(colour)
    board.locator("#theme").click()
    dark = board.evaluate(colour)
    assert dark != before
    board.reload()
    assert board.evaluate(colour) == dark


def test_without_javascript_the_table_is_whole(browser, built, view):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((built / "index.html").as_uri())
    assert page.locator(ROWS).count() == len(view.encoders)
    assert page.locator("#controls").is_hidden()
    assert page.locator("#board tbody svg.iv").count() == len(view.encoders)
    page.locator("#board tbody a").first.click()
    assert "Synthetic encoder" in page.inner_text("h1")
    context.close()
