"""Paper, small screens, and the page served while one works."""

from __future__ import annotations

import threading
import urllib.request

import pytest

from bench.publish.serve import server, stamps

PAGES = (
    "index.html", "compare.html", "claims.html", "advisor.html", "data.html", "about.html", "changes.html",
    "encoders/encoder-0005.html", "tasks/synthetic-v0/task-000-xray.html", "boards/synthetic-v0/cost.html",
)  # fmt: skip


@pytest.mark.parametrize("address", PAGES)
def test_no_page_is_wider_than_a_small_phone(page, built, address):
    page.set_viewport_size({"width": 360, "height": 780})
    page.goto((built / address).as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_on_paper_the_intervals_are_in_figures_and_the_controls_are_gone(page, built, view):
    page.goto((built / "index.html").as_uri())
    page.wait_for_selector("#controls")
    page.emulate_media(media="print")
    assert page.locator("#controls").is_hidden()
    assert page.locator("header nav").is_hidden()
    first = view.suites[0].boards[0].rows[0]
    text = page.locator("#board tbody tr .bar .ends").first
    assert text.inner_text() == f"{first.low:.3f} to {first.high:.3f}"
    assert text.bounding_box()["width"] > 30
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_served_pages_reload_and_stored_ones_do_not(built):
    version = [3]
    with server(built, 0, version) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        base = f"http://127.0.0.1:{http.server_port}/"

        def get(path: str) -> bytes:
            with urllib.request.urlopen(base + path) as answer:
                return answer.read()

        assert b'src="/reload.js"' in get("index.html")
        assert b'src="/reload.js"' in get("")
        assert get("version") == b"3"
        assert b"location.reload" in get("reload.js")
        assert get("site.json") == (built / "site.json").read_bytes()
        http.shutdown()
    assert b"reload.js" not in (built / "index.html").read_bytes()


@pytest.mark.parametrize("name", ["records.jsonl", "records.jsonl.bz2"])
def test_a_new_record_is_noticed(tmp_path, name):
    before = stamps([tmp_path])
    (tmp_path / name).write_bytes(b"{}\n")
    assert stamps([tmp_path]) != before
