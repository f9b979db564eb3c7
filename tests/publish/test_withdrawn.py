"""Withdrawn results: kept off the boards, and told with date and reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from bench.errors import CardError
from bench.publish.history import changes, snapshot
from bench.publish.snapshots import History
from bench.publish.writer import write_site
from bench.submissions.withdrawn import Withdrawal, read_withdrawals
from tests.publish.synthetic import synthetic_site

ENTRY = """schema = 1
[[withdrawn]]
encoder = "gone"
version = "1"
date = 2026-02-03
reason = "Trained on <b>test</b> images."
"""


@pytest.fixture(scope="module")
def small():
    return synthetic_site(5, 6, replicates=40)


def test_entries_are_read_newest_first(tmp_path):
    later = ENTRY + ENTRY.split("schema = 1\n")[1].replace("gone", "too").replace("02-03", "04-05")
    (tmp_path / "withdrawn.toml").write_text(later)
    found = read_withdrawals([tmp_path, tmp_path / "absent"])
    assert [w.encoder for w in found] == ["too", "gone"]
    assert found[1].text == "Trained on <b>test</b> images. (2026-02-03)"


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("reason =", "resaon =", "reason"),
        ("2026-02-03", '"yesterday"', "date"),
        ('"Trained on <b>test</b> images."', '""', "reason"),
        ('"gone"', '"../gone"', "encoder"),
        ('"Trained on <b>test</b> images."', f'"{"x" * 1001}"', "reason"),
        ("schema = 1", "schema = 2", "schema"),
    ],
)
def test_the_schema_is_strict_and_bounded(tmp_path, old, new, what):
    (tmp_path / "withdrawn.toml").write_text(ENTRY.replace(old, new))
    with pytest.raises(CardError, match=what):
        read_withdrawals([tmp_path])


def test_page_and_feed_tell_the_reason_escaped(small, tmp_path):
    board = small.suites[0].boards[0]
    before = snapshot(small)
    extra = before.boards[0].rows[0].model_copy(update={"encoder": "gone", "title": "Gone"})
    boards = [before.boards[0].model_copy(update={"rows": [*before.boards[0].rows, extra]}), *before.boards[1:]]
    before = before.model_copy(update={"data": "a" * 64, "boards": boards})
    back = [Withdrawal(encoder="gone", version="1", date=date(2026, 2, 3), reason="Trained on <b>test</b> images.")]
    view = replace(small, withdrawn=back, history=History(versions=[before]))
    (told,) = changes(before, snapshot(view))
    assert (told.kind, told.board) == ("removed", board.name)
    assert told.text == "Gone withdrawn: Trained on <b>test</b> images. (2026-02-03)."
    write_site(view, tmp_path / "public")
    page = (tmp_path / "public/changes.html").read_text(encoding="utf-8")
    feed = (tmp_path / "public/feed.xml").read_text(encoding="utf-8")
    for text in (page, feed):
        assert "Trained on &lt;b&gt;test&lt;/b&gt; images." in text
        assert "<b>test</b>" not in text
    assert 'id="withdrawn"' in page


def test_a_site_without_withdrawals_has_no_such_section(built):
    assert 'id="withdrawn"' not in (built / "changes.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("version", "same"), [("1", True), ("1.0", True), ("v1", True), ("01.0.0", True), ("1.1", False)]
)
def test_a_version_does_not_come_back_under_another_spelling(version, same):
    withdrawal = Withdrawal(encoder="gone", version="1", date=date(2026, 2, 3), reason="Why.")
    assert withdrawal.covers("gone", version) == same
    assert not withdrawal.covers("other", version)
