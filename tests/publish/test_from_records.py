"""From a real run on tiny phantoms to pages: every number shown is a number of a record."""

from __future__ import annotations

import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner

import bench
from bench.cli.site import COMMAND
from bench.errors import UserError
from bench.files import canonical_json
from bench.leaderboard import boards
from bench.leaderboard.collect import collect
from bench.publish.from_records import SiteFiles, encoder_views, site_view
from bench.publish.pages import data
from bench.publish.rerank import standings, totals
from bench.publish.site import build_from
from bench.publish.suites import suite_view
from bench.publish.writer import Site
from bench.runs.journal import read_records
from bench.submissions.labels import load_labels, read_labels, write_labels

CARDS = Path(__file__).parents[2] / "tasks" / "phantom"
SMALL = (("train = 300", "train = 60"), ("val = 80", "val = 30"), ("test = 150", "test = 40"))


@pytest.fixture(scope="module")
def tasks(tmp_path_factory) -> Path:
    """Two tiny phantom tasks under names of their own."""
    folder = tmp_path_factory.mktemp("tasks")
    for name in ("phantom-xray-diffuse-mini", "phantom-xray-dense-mini"):
        text = (CARDS / f"{name}.toml").read_text(encoding="utf-8").replace(name, f"tiny-{name}")
        for old, new in SMALL:
            assert old in text
            text = text.replace(old, new)
        text = re.sub(r'\nsha256 = "[0-9a-f]{64}"', "", text)
        (folder / f"{name}.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def runs(tasks, tmp_path_factory, private_home) -> Path:
    out = tmp_path_factory.mktemp("runs")
    for seed, (name, paradigm) in enumerate({"small-a": "contrastive", "small-b": "generative"}.items()):
        torch.manual_seed(seed)
        network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3 + 4 * seed, stride=4), torch.nn.ReLU())
        encoder = bench.wrap(network, name=name, size=32, paradigm=paradigm)
        bench.run(encoder, "phantom-mini", tasks=tasks, out=out, device="cpu")
    bench.run("raw-pixels", "phantom-mini", tasks=tasks, out=out, device="cpu")
    return out


@pytest.fixture(scope="module")
def nothing(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("no-submissions")


@pytest.fixture(scope="module")
def collection(runs, tasks):
    return next(iter(collect([], local=[runs], tasks=tasks).values()))


@pytest.fixture(scope="module")
def real(runs, tasks, nothing, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("real") / "public"
    build_from(out, records=[runs], submissions=[nothing], tasks=tasks)
    return out


def test_two_processes_build_the_same_site_as_one(real, runs, tasks, nothing, tmp_path):
    build_from(tmp_path / "public", records=[runs], submissions=[nothing], tasks=tasks, jobs=2)
    pages, again = (
        {p.relative_to(out): p.read_bytes() for p in out.rglob("*") if p.is_file()}
        for out in (real, tmp_path / "public")
    )
    assert again == pages


def test_boards_on_the_page_are_those_of_the_leaderboard(collection):
    made = boards(collection)
    suite = site_view({collection.suite: collection}, SiteFiles()).suites[0]
    assert [b.title for b in suite.boards] == list(made)
    for shown, board in zip(suite.boards, made.values(), strict=True):
        assert [(r.encoder, r.score, r.rank, r.tier) for r in shown.rows] == [
            (r.encoder, r.score, r.rank, r.tier) for r in board.rows
        ]
        points, draws = totals(
            shown.points, shown.replicates.transpose(1, 2, 0), [c.kind for c in shown.columns],
            [1] * len(shown.columns),
        )  # fmt: skip
        assert points == pytest.approx([r.score for r in board.rows], abs=1e-12)
        pool = [i for i, r in enumerate(board.rows) if r.rank is not None]
        for place in standings(points, draws, pool):
            row = board.rows[place.encoder]
            assert (place.rank, place.low, place.high, place.tier) == (row.rank, row.rank_low, row.rank_high, row.tier)


def test_every_published_value_is_the_mean_of_its_records(real, runs, collection):
    table = pd.read_parquet(real / f"data/results/{collection.suite}.parquet")
    assert set(table["encoder"]) == {"raw-pixels", "small-a", "small-b"}
    records = [r for p in sorted(runs.glob("*/*/records.jsonl")) for r in read_records(p.parent)]
    for row in table.itertuples():
        unit = (row.encoder, row.task, row.protocol, row.budget)
        mine = [r for r in records if (r.encoder, r.unit.task, r.unit.protocol, r.unit.budget) == unit]
        values = [r.metrics[row.split][row.metric].value for r in mine if r.status == "done"]
        assert len(values) == row.seeds
        assert row.value == pytest.approx(sum(values) / len(values), abs=1e-12)


def test_the_address_of_a_number_shows_it_even_where_its_table_is_folded(real, collection, page):
    table = pd.read_csv(real / f"data/results/{collection.suite}.csv.gz")
    table = table[table["encoder"] == "small-a"]
    for row in (table[~table["primary"]].iloc[-1], table[table["primary"] & (table["budget"] != "100%")].iloc[0]):
        path, _, anchor = row["address"].partition("#")
        page.goto((real / path).as_uri())
        cells = page.locator(f'[id="{anchor}"]')
        assert cells.is_hidden()
        page.goto(f"{(real / path).as_uri()}#{anchor}")
        cells.wait_for(state="visible")
        assert f"{row['value']:.3f}" in cells.inner_text().replace("\N{MINUS SIGN}", "-")


def test_every_table_of_a_page_has_a_name_of_its_own(real):
    for page in real.rglob("*.html"):
        named = re.findall(r'role="region" aria-label="([^"]+)"', page.read_text())
        assert len(named) == len(set(named)), page


def test_own_runs_are_marked_local_on_every_table(real, collection):
    page = (real / f"boards/{collection.suite}/overall.html").read_text(encoding="utf-8")
    assert page.count("data-local") == 3
    assert page.count('class="badge local"') == 3
    assert '"rows":[]' in (real / "data/history.json").read_text().replace(" ", ""), "local rows are never archived"


def test_the_exact_bytes_of_the_records_are_linked(real, runs, collection):
    sent = (runs / "raw-pixels" / collection.suite / "records.jsonl").read_bytes()
    assert (real / f"records/{collection.suite}/raw-pixels.jsonl").read_bytes() == sent
    page = (real / "encoders/raw-pixels.html").read_text(encoding="utf-8")
    assert hashlib.sha256(sent).hexdigest() in page
    assert collection.fingerprint in page


def test_records_of_the_repository_are_linked_and_those_of_ones_own_copied(collection):
    files, own = SiteFiles(), encoder_views({"s": collection}, SiteFiles(), "https://host/repo")["raw-pixels"]
    folder = Path("submissions/raw-pixels") / collection.suite
    result = replace(collection.results["raw-pixels"], folder=collection.results["raw-pixels"].folder)
    copied = result.folder.parents[1] / folder
    shutil.copytree(result.folder, copied)
    sent = replace(collection, results={"raw-pixels": replace(result, folder=copied)}, local=frozenset())
    linked = encoder_views({"s": sent}, files, "https://host/repo")["raw-pixels"].evidence[0]
    shutil.rmtree(copied.parents[1])
    assert linked.records_file == f"https://host/repo/raw/main/{folder}/records.jsonl"
    assert not files.bytes
    assert own.evidence[0].records_file == f"records/{collection.suite}/raw-pixels.jsonl"


def test_own_runs_that_are_not_shown_are_named(runs, nothing, tmp_path, monkeypatch):
    (tmp_path / "runs").symlink_to(runs)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(COMMAND, ["build", "--submissions", str(nothing), "--out", "public"])
    assert result.exit_code == 0, result.output
    assert "Left out: runs: runs of your own; beside --submissions only --records shows them" in result.output
    assert "It shows no results" in result.output


def test_without_images_or_labels_a_task_still_tells_chance(collection, monkeypatch):
    def nothing_here(*_):
        raise UserError("not here")

    monkeypatch.setattr("bench.leaderboard.at_hand.AtHand.load", nothing_here)
    for task in site_view({collection.suite: collection}, SiteFiles()).suites[0].tasks.values():
        assert [(a.kind, a.value, a.score) for a in task.anchors] == [("chance", task.task.chance, 0.0)]


def test_a_suite_whose_images_are_not_here_is_named(collection, monkeypatch, tmp_path):
    files = {
        n: write_labels(load_labels(t, folder=collection.at_hand.folders[n]), tmp_path)
        for n, t in collection.tasks.items()
    }
    monkeypatch.setattr("bench.leaderboard.at_hand.load_labels", lambda task, **_: read_labels(task, files[task.name]))
    steps: list[str] = []
    fresh = replace(collection)
    found = suite_view(fresh, SiteFiles(), steps.append)
    assert steps[-1] == f"{collection.suite}: no pictures of 2 tasks, whose images are not here (medssl data prepare)"
    assert all(not task.samples and task.sizes for task in found.tasks.values())
    steps.clear()
    monkeypatch.undo()
    assert all(task.samples for task in suite_view(replace(collection), SiteFiles(), steps.append).tasks.values())
    assert not any("no pictures" in step for step in steps)


def test_cases_show_image_truth_and_two_encoders(real, collection, page):
    for name, task in collection.tasks.items():
        place = real / f"cases/{collection.suite}/{name}.html"
        text = place.read_text(encoding="utf-8")
        assert 8 <= text.count("<figure") <= 12
        for address in {part.split('"')[0] for part in text.split('<img src="../../')[1:]}:
            assert (real / address).read_bytes()[:4] in (b"\x89PNG", b"RIFF")
        table = pd.read_csv(real / f"data/results/{collection.suite}.csv.gz")
        page.goto(f"{place.as_uri()}#a=raw-pixels&b=small-b")
        page.locator("#status", has_text="small-b").wait_for()
        assert page.locator('[data-side="a"] .who').first.inner_text() == collection.cards["raw-pixels"].title
        if task.kind == "dense":
            assert "/raw-pixels/" in page.locator('[data-side="a"] .drawn').first.get_attribute("src")
            main = table[(table["task"] == name) & (table["budget"] == "100%") & (table["metric"] == "dice")]
            assert set(main["encoder"]) == {"raw-pixels", "small-a", "small-b"}


def test_phantom_pages_say_synthetic(real, collection):
    """Every page that shows results or images; the others speak of no result."""
    silent = {"about.html", "submit.html", "protocols.html", "changes.html", "data.html"}
    pages = [
        p for p in real.rglob("*.html") if p.relative_to(real).as_posix() not in silent and "archive" not in p.parts
    ]
    assert len(pages) > 15
    for page in pages:
        assert "Synthetic images made by procedure" in page.read_text(encoding="utf-8"), page


def test_same_records_same_site(real, runs, tasks, nothing, tmp_path):
    build_from(tmp_path / "again", records=[runs], submissions=[nothing], tasks=tasks)
    files = {p.relative_to(real): p.read_bytes() for p in real.rglob("*") if p.is_file()}
    assert files == {
        p.relative_to(tmp_path / "again"): p.read_bytes() for p in (tmp_path / "again").rglob("*") if p.is_file()
    }


def test_the_command_builds_and_says_where(runs, tasks, nothing, tmp_path):
    arguments = ["build", "--records", runs, "--submissions", nothing, "--tasks", tasks, "--out", tmp_path / "public"]
    result = CliRunner().invoke(COMMAND, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "public/index.html").as_uri() in result.output


def test_colours_of_outlines_are_named(real, collection):
    dense = next(t for t in collection.tasks.values() if t.kind == "dense")
    text = (real / f"tasks/{collection.suite}/{dense.name}.html").read_text()
    assert re.search(rf'fill="#56b4e9"[^<]*/></svg>{dense.classes[1]}</span>', text)


def test_no_results_give_a_page_that_says_what_to_do(nothing, tmp_path):
    build_from(tmp_path / "public", submissions=[nothing])
    front = (tmp_path / "public/index.html").read_text()
    assert "medssl run" in front
    assert "1970" not in front


def test_the_fingerprint_is_of_the_numbers_not_of_the_clock(collection):
    records = [r for result in collection.results.values() for r in result.records]
    from bench.publish.from_records import fingerprint

    later = [
        r.model_copy(update={"made_by": r.made_by.model_copy(update={"created": "2099-01-01T00:00:00Z"})})
        for r in records
    ]
    assert fingerprint(records) == fingerprint(later[::-1])
    assert canonical_json(records[0].without_times()) != canonical_json(records[1].without_times())
    table = pd.DataFrame({"rankme": [1.0]}, index=["a"])
    assert len({fingerprint(records), fingerprint(records, [table]), fingerprint(records, [table + 1])}) == 3


def test_diagnostics_of_the_suite_can_be_taken_away(collection, tmp_path, monkeypatch):
    name, card = next(iter(collection.cards.items()))
    table = pd.DataFrame({"encoder": [name], "card_sha256": [card.sha256], "rankme": [2.5]})
    table.to_csv(tmp_path / f"diagnostics-{collection.suite}.csv", index=False)
    monkeypatch.setattr("bench.analysis.source.shipped", lambda folder: tmp_path)
    view = site_view({collection.suite: collection}, SiteFiles())
    site = Site(view, tmp_path / "site")
    data.write(site)
    taken = pd.read_parquet(tmp_path / f"site/data/diagnostics/{collection.suite}.parquet")
    assert taken.to_dict("records") == [{"suite": collection.suite, "encoder": name, "rankme": 2.5}]
    assert "Label-free diagnostics" in (tmp_path / "site/data.html").read_text()


def test_titles_spell_the_architecture_as_people_do(collection):
    view = next(iter(encoder_views({"s": collection}, SiteFiles()).values()))

    def titled(title: str, architecture: str) -> str:
        card = view.card.model_copy(update={"title": title, "architecture": architecture})
        return replace(view, card=card).title

    assert titled("MAE, VIT, tiny", "vit") == "MAE, ViT, tiny"
    assert titled("MAE, cnn, tiny, seed 1", "cnn") == "MAE, CNN, tiny, seed 1"
    assert titled("Vital signs, ViT-B/16", "vit") == "Vital signs, ViT-B/16"
    assert titled("Vit of another kind", "other") == "Vit of another kind"
    assert titled("None of these", "none") == "None of these"
