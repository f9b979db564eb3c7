"""Versions of the boards: what changed, the feed, and the archive that keeps cited numbers."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from dataclasses import replace

import pytest

from bench.errors import UserError
from bench.publish.history import changes, extended, snapshot
from bench.publish.snapshots import History, read_history
from bench.publish.writer import write_site
from tests.publish.synthetic import synthetic_site


@pytest.fixture(scope="module")
def small():
    return synthetic_site(5, 6, replicates=40)


def older(view, **changed):
    """The snapshot of `view` with its Overall rows changed: encoder -> new fields, None removes the row."""
    now = snapshot(view)
    boards = []
    for board in now.boards:
        rows = [
            r.model_copy(update=changed.get(r.encoder, {}) or {})
            for r in board.rows
            if changed.get(r.encoder, {}) is not None
        ]
        boards.append(board.model_copy(update={"rows": rows if board.board == "overall" else board.rows}))
    return now.model_copy(update={"data": "a" * 64, "boards": boards})


def test_nothing_changed(small):
    assert changes(snapshot(small), snapshot(small)) == []


def test_each_kind_of_change_is_told(small):
    names = [r.encoder for r in small.suites[0].boards[0].rows if r.rank is not None]
    before = older(small, **{names[0]: None, names[1]: {"tier": 9, "score": 0.1, "badge": "declared"}})
    before = before.model_copy(
        update={
            "boards": [
                b.model_copy(
                    update={"rows": [*b.rows, b.rows[0].model_copy(update={"encoder": "gone", "title": "Gone"})]}
                )
                if b.board == "overall"
                else b
                for b in before.boards
            ]
        }
    )
    after = snapshot(small).model_copy(update={"withdrawn": {"gone": "trained on the test set"}})
    found = {(c.kind, c.encoder): c.text for c in changes(before, after)}
    assert ("added", names[0]) in found
    assert "trained on the test set" in found["removed", "gone"]
    assert "tier 9 to" in found["tier", names[1]]
    assert "score 0.100 to" in found["score", names[1]]
    assert {k for k, _ in found} <= {"added", "removed", "tier", "score", "badge"}


@pytest.mark.parametrize(
    ("other", "said"),
    [({"fingerprint": "1" * 64}, "The suite changed"), ({"aggregation": 1}, "averaged in another way")],
)
def test_what_is_not_comparable_is_not_compared(small, other, said):
    before = older(small)
    before = before.model_copy(update={"boards": [b.model_copy(update=other) for b in before.boards]})
    (change,) = changes(before, snapshot(small))
    assert change.kind == "suite"
    assert said in change.text


def test_the_same_data_does_not_make_a_new_version(small):
    once = extended(History(), snapshot(small))
    assert len(extended(once, snapshot(small)).versions) == 1
    assert len(extended(once, snapshot(small).model_copy(update={"data": "b" * 64})).versions) == 2


def test_cited_versions_stay_and_the_feed_tells(small, tmp_path):
    write_site(replace(small, history=History(versions=[older(small)])), tmp_path / "second")
    history = read_history(tmp_path / "second/data/history.json")
    assert [v.data[:1] for v in history.versions] == ["a", "f"]
    assert (tmp_path / "second/archive/aaaaaaaaaaaa.html").is_file()
    feed = ET.parse(tmp_path / "second/feed.xml").getroot()
    path = tmp_path / "marked.json"
    path.write_text((tmp_path / "second/data/history.json").read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert read_history(path) == history, "a byte-order mark changes nothing"
    entries = feed.findall("{http://www.w3.org/2005/Atom}entry")
    assert len(entries) == 2
    assert entries[0].find("{http://www.w3.org/2005/Atom}id").text.endswith("f" * 64)


def test_local_rows_are_not_archived(small):
    name = small.suites[0].boards[0].rows[0].encoder
    local = replace(small, encoders={**small.encoders, name: replace(small.encoders[name], local=True)})
    assert all(r.encoder != name for b in snapshot(local).boards for r in b.rows)


@pytest.mark.parametrize("text", ["", "[]", '{"versions": [{"data": "x"}]}', "[" * 10_000, json.dumps({"a": 1})])
def test_a_foreign_history_is_refused(tmp_path, text):
    (tmp_path / "history.json").write_text(text)
    with pytest.raises(UserError, match="not a history"):
        read_history(tmp_path / "history.json")
