"""The build as a whole: same bytes, whole or nothing, links that lead somewhere, downloads that parse."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pyarrow.parquet as pq
import pytest

from bench.errors import RunError
from bench.publish.export import BOARD_COLUMNS, RESULT_COLUMNS
from bench.publish.writer import write_site

DIGEST = """
import hashlib, sys
from pathlib import Path
from tests.publish.synthetic import synthetic_site
from bench.publish.writer import write_site
out = Path(sys.argv[1])
write_site(synthetic_site(6, 6, replicates=50, seed=1), out, jobs=int(sys.argv[2]))
total = hashlib.sha256()
for p in sorted(out.rglob("*")):
    if p.is_file():
        total.update(f"{p.relative_to(out)}".encode() + p.read_bytes())
print(total.hexdigest())
"""


def test_same_records_same_bytes_in_another_process_and_in_two(tmp_path):
    root = Path(__file__).parents[2]
    digests = set()
    for i, seed in enumerate(("1", "2")):
        environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONHASHSEED": seed, "TZ": f"UTC+{i * 7}"}
        command = [sys.executable, "-c", DIGEST, str(tmp_path / str(i)), str(i + 1)]
        digests.add(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert len(digests) == 1


def test_an_earlier_site_is_replaced_whole(view, tmp_path):
    out = tmp_path / "public"
    write_site(view, out)
    (out / "left-over.html").write_text("old")
    write_site(view, out)
    assert not (out / "left-over.html").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["public"]


def test_another_folder_is_left_alone(view, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(RunError, match="something else than a site"):
        write_site(view, tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_build_that_fails_leaves_the_old_site(view, tmp_path, monkeypatch):
    out = tmp_path / "public"
    write_site(view, out)
    before = hashlib.sha256((out / "index.html").read_bytes()).hexdigest()
    monkeypatch.setattr("bench.publish.writer.Site.json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_site(view, out)
    assert hashlib.sha256((out / "index.html").read_bytes()).hexdigest() == before
    assert [p.name for p in tmp_path.iterdir()] == ["public"]


class Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        for key, value in attrs:
            if key in ("href", "src"):
                self.links.append(value)
            if key == "id":
                self.ids.append(value)


@pytest.fixture(scope="module")
def parsed(built) -> dict[Path, Links]:
    found = {}
    for path in built.rglob("*.html"):
        found[path] = Links()
        found[path].feed(path.read_text(encoding="utf-8"))
    return found


def test_every_link_leads_somewhere(built, parsed):
    for path, page in parsed.items():
        for link in page.links:
            if link.startswith(("https://", "http://")):
                continue
            target, _, anchor = unquote(link).partition("#")
            file = (path.parent / target).resolve() if target else path
            assert file.is_file(), f"{path.relative_to(built)} links to {link}"
            if anchor and file.suffix == ".html" and "=" not in anchor:
                assert anchor in parsed[file].ids, f"{path.relative_to(built)} links to {link}"


def test_ids_are_unique(parsed):
    for path, page in parsed.items():
        assert len(page.ids) == len(set(page.ids)), path


def test_every_number_has_an_address(built, parsed):
    table = pd.read_csv(built / "data/results/synthetic-v0.csv.gz")
    assert not table.duplicated(["address", "metric"]).any()
    assert table.loc[table["primary"], "address"].is_unique
    ids = {f"{p.relative_to(built)}#{i}" for p, page in parsed.items() for i in page.ids}
    assert set(table["address"]) <= ids


def test_results_are_the_same_in_both_formats(built, view):
    stem = built / "data/results/synthetic-v0"
    csv, parquet = pd.read_csv(stem.with_suffix(".csv.gz")), pq.read_table(stem.with_suffix(".parquet")).to_pandas()
    assert list(csv) == list(parquet) == list(RESULT_COLUMNS)
    pd.testing.assert_frame_equal(csv, parquet, check_dtype=False, rtol=0, atol=5.1e-7)
    assert parquet["value"].tolist() == view.suites[0].results["value"].tolist(), "every digit"


def test_board_downloads_hold_what_the_board_shows(built, view):
    board = view.suites[0].boards[0]
    csv = pd.read_csv(built / "data/boards/synthetic-v0/overall.csv")
    assert list(csv)[: len(BOARD_COLUMNS)] == list(BOARD_COLUMNS)
    assert csv["score"].tolist() == [r.score for r in board.rows]
    assert csv["low"].tolist() == [r.low for r in board.rows]
    tex = (built / "data/boards/synthetic-v0/overall.tex").read_text()
    assert tex.count(r"\\") == len(board.rows) + 1
    assert f"{board.rows[0].low:.3f}" in tex


def test_clicking_a_download_gives_the_file(page, built):
    page.goto((built / "data.html").as_uri())
    with page.expect_download() as download:
        page.locator('a[download][href$="overall.parquet"]').click()
    assert pq.read_table(io.BytesIO(Path(download.value.path()).read_bytes())).num_rows == 20


def test_croissant_of_every_task(built, view):
    for name, task in view.suites[0].tasks.items():
        value = json.loads((built / f"data/tasks/synthetic-v0/{name}.jsonld").read_text())
        assert value["conformsTo"] == "http://mlcommons.org/croissant/1.0"
        assert value["license"] == task.task.licence
        assert value["recordSet"][0]["field"][0]["@id"] == f"{name}/image"


def test_made_up_numbers_are_labelled_on_every_page(built):
    for path in built.rglob("*.html"):
        assert "Made-up numbers" in path.read_text(encoding="utf-8"), path
