"""Hostile names and texts in every field: shown as text, never as markup or script."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.encoders.card import EncoderCard
from bench.publish.export import tex
from bench.publish.writer import write_site
from bench.submissions.withdrawn import Withdrawal
from tests.publish.synthetic import synthetic_site

PAYLOAD = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>{{7*7}}</textarea>]]>&"
"""Marks that hide or turn text are refused where cards and records are read."""
ALLOWED = {"theme.js", "table.js", "state.js", "rank.js", "board.js", "compare.js", "advisor.js", "pick.js"}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory) -> Path:
    view = synthetic_site(6, 6, replicates=40)
    encoders = {}
    for name, e in view.encoders.items():
        values = e.card.model_dump(by_alias=True) | {
            "title": PAYLOAD, "authors": [PAYLOAD], "licence": PAYLOAD, "method": PAYLOAD, "description": PAYLOAD,
            "citation": PAYLOAD, "controlled_track": PAYLOAD,
            "pretraining": [{"corpus": PAYLOAD, "images": 5, "in_domain": True}],
        }  # fmt: skip
        evidence = tuple(
            replace(v, commands=(PAYLOAD,), created=PAYLOAD, device=PAYLOAD, platform=PAYLOAD, warnings=(PAYLOAD,),
                    refused=(PAYLOAD,), packages={PAYLOAD: PAYLOAD}) for v in e.evidence
        )  # fmt: skip
        encoders[name] = replace(e, card=EncoderCard.parse(values, where="test"), evidence=evidence)
    suite = view.suites[0]
    tasks = {}
    for name, t in suite.tasks.items():
        changed = {
            "title": PAYLOAD,
            "licence": PAYLOAD,
            "corpus": PAYLOAD,
            "description": PAYLOAD,
            "citation": PAYLOAD,
            "caveats": [PAYLOAD],
            "left_out": PAYLOAD,
            "classes": [PAYLOAD, PAYLOAD + "2"],
        }
        tasks[name] = replace(t, task=t.task.model_copy(update=changed))
    suite = replace(suite, title=PAYLOAD, description=PAYLOAD, tasks=tasks)
    back = Withdrawal(encoder="x", version=PAYLOAD, date=date(2026, 1, 1), reason=PAYLOAD)
    out = tmp_path_factory.mktemp("hostile") / "public"
    write_site(replace(view, encoders=encoders, suites=(suite,), version=PAYLOAD, withdrawn=[back]), out)
    return out


class Tags(HTMLParser):
    """Collects what a browser would take as markup."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))


def test_no_field_becomes_markup(hostile):
    pages = sorted(hostile.rglob("*.html"))
    assert len(pages) > 20
    for path in pages:
        parser = Tags()
        parser.feed(path.read_text(encoding="utf-8"))
        for tag, attributes in parser.tags:
            assert not any(a.startswith("on") for a in attributes), f"{path}: {tag} {attributes}"
            assert "style" not in attributes, f"{path}: inline style breaks the policy"
            if tag == "script" and attributes.get("type") != "application/ld+json":
                assert Path(attributes["src"]).name in ALLOWED, path
            if tag == "img":
                assert attributes["src"].startswith(("../", "pictures/")), path


def test_every_page_has_the_policy_without_eval_or_inline(hostile):
    for path in hostile.rglob("*.html"):
        text = path.read_text(encoding="utf-8")
        policy = text.split('http-equiv="Content-Security-Policy" content="')[1].split('"')[0]
        assert "unsafe" not in policy
        assert "default-src &#39;none&#39;" in policy
        assert text.index("Content-Security-Policy") < text.index("<script")


def test_nothing_runs_in_a_browser(page, hostile):
    page.on("dialog", lambda d: pytest.fail(f"a dialog opened: {d.message}"))
    for address in (
        "index.html",
        "encoders/encoder-0004.html",
        "compare.html",
        "tasks.html",
        "changes.html",
        "tasks/synthetic-v0/task-000-xray.html",
    ):
        page.goto((hostile / address).as_uri())
    page.goto((hostile / "index.html").as_uri())
    assert PAYLOAD[:20] in page.inner_text("#board tbody")
    assert "{{7*7}}" in page.inner_text("#board tbody")
    page.locator("td.pick input").nth(0).check()
    page.locator("td.pick input").nth(1).check()
    page.locator("#compare").click()
    page.wait_for_selector("#result table")
    assert PAYLOAD[:20] in page.inner_text("#result")


def test_data_files_still_parse(hostile):
    import xml.etree.ElementTree as ET

    ET.parse(hostile / "feed.xml")
    for path in hostile.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    text = (hostile / "data.html").read_text(encoding="utf-8")
    block = text.split('<script type="application/ld+json">')[1].split("</script>")[0]
    assert json.loads(block)["@type"] == "Dataset"


def test_latex_cannot_run_commands():
    hostile = r"\write18{rm} $x$ ~^_#%&"
    assert "\\write18" not in tex(hostile)
    assert tex("a\nb\x00") == "ab"
