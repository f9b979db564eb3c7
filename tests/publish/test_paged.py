"""A task with very many encoders shows the first of them, all when asked, and the one an address leads to."""

from __future__ import annotations

from bench.publish.pages.task import address, write
from bench.publish.writer import Site, _copy_assets
from tests.publish.synthetic import synthetic_site


def test_a_long_table_is_shown_in_part(page, tmp_path):
    view = synthetic_site(encoders=210, tasks=3, replicates=20)
    _copy_assets(tmp_path)
    write(Site(view, tmp_path))
    suite = view.suites[0]
    place = (tmp_path / address(suite.name, next(iter(suite.tasks)))).as_uri()
    rows = page.locator("table.board tbody tr")
    page.goto(place)
    page.get_by_role("button", name="Show all 210 rows").wait_for()
    assert (rows.count(), rows.locator("visible=true").count()) == (210, 100)
    last = rows.nth(209).get_attribute("id")
    page.locator("table.board thead button", has_text="Place").click()
    assert rows.first.get_attribute("id") == last, "sorting takes all rows"
    assert rows.locator("visible=true").count() == 100
    page.get_by_role("button", name="Show all 210 rows").click()
    assert rows.locator("visible=true").count() == 210
    page.goto("about:blank")
    page.goto(f"{place}#{last}")
    assert page.locator(f"[id='{last}']").is_visible(), "an address leads to its row"
