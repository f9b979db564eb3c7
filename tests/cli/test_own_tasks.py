"""The road of own tasks: two folders of one name, two encoders, and every verb without an option."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.analysis.claim import LEDGER
from bench.cli import main
from bench.encoders.load import REFERENCE

Medssl = Callable[..., "object"]
CARD = """schema = 1
name = "squares"
title = "Bright or dark squares"
modality = "xray"
target = "binary"
classes = ["dark", "bright"]
licence = "internal"
corpus = "own"
source = { reader = "npz", file = "squares.npz" }
"""


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder: `mine` and `other/mine` with tasks, an encoder, and runs of it and of raw pixels."""
    from tests.cli.conftest import write_npz

    work = tmp_path_factory.mktemp("clinic")
    for folder in (work / "mine", work / "other" / "mine"):
        folder.mkdir(parents=True)
        (folder / "squares.toml").write_text(CARD)
        write_npz(folder / "squares.npz")
    (work / "enc").mkdir()
    text = (REFERENCE / "colour-histogram.toml").read_text().replace('"colour-histogram"', '"enc"', 1)
    (work / "enc" / "encoder.toml").write_text(text.replace('paradigm = "reference"', 'paradigm = "contrastive"'))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        for line in ("raw-pixels --tasks mine", "enc --tasks mine", "enc --tasks other/mine", "enc --tasks mine"):
            with pytest.raises(SystemExit) as stop:
                main(["run", *line.split()])
            assert stop.value.code == 0, line
    return work


@pytest.fixture
def here(clinic: Path, tmp_path: Path, medssl: Medssl) -> Path:
    """A copy of the working folder, in which `medssl` runs; there are no submissions beside it."""
    for name in ("mine", "other", "enc", "runs"):
        shutil.copytree(clinic / name, tmp_path / name)
    for plan in (tmp_path / "runs").rglob("plan.json"):
        plan.write_text(plan.read_text().replace(str(clinic), str(tmp_path)))
    return tmp_path


@pytest.fixture(autouse=True)
def no_submissions(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The shipped submissions are not read: they are many."""
    from bench.leaderboard import collect

    monkeypatch.setattr(collect, "shipped", lambda name: tmp_path / "none")


def test_two_folders_of_one_name_are_two_suites(here: Path, medssl: Medssl) -> None:
    assert sorted(p.name for p in (here / "runs" / "enc").iterdir() if p.is_dir()) == ["mine", "other-mine"]
    listed = medssl("runs", "list").out
    assert "other-mine" in listed
    assert str(Path("other") / "mine") in listed


def test_a_run_of_some_tasks_is_not_listed_as_finished(here: Path, medssl: Medssl) -> None:
    text = (here / "mine" / "squares.toml").read_text()
    (here / "two").mkdir()
    for name in ("one", "other"):
        (here / "two" / f"{name}.toml").write_text(text.replace('"squares"', f'"{name}"'))
    shutil.copy(here / "mine" / "squares.npz", here / "two")
    for task, state in (("one", "in part"), ("other", "finished")):
        ran = medssl("run", "raw-pixels", "--tasks", "two", "--task", task)
        assert ran.out.splitlines()[-1] == "Next: medssl leaderboard --suite two"
        row = next(line for line in medssl("runs", "list").out.splitlines() if " two " in line)
        done, of = map(int, re.search(r"(\d+) of (\d+)", row).groups())
        assert (state in row, done == of) == (True, state == "finished"), row
    shutil.rmtree(here / "runs" / "raw-pixels" / "two" / "units", ignore_errors=True)
    (here / "runs" / "raw-pixels" / "two" / "records.jsonl").unlink()
    assert "interrupted" in next(line for line in medssl("runs", "list").out.splitlines() if " two " in line)


def test_runs_that_are_not_there_or_damaged_are_named(here: Path, medssl: Medssl) -> None:
    for arguments, said in (
        (["list", "--records", "nowhere"], "nowhere: no such folder"),
        (["list", "--records", "mine/squares.toml"], "no such"),
        (["clean", "enc", "--suite", "nope", "--yes"], "there are runs on: mine, other-mine"),
    ):  # fmt: skip
        told = medssl("runs", *arguments)
        assert (told.code, said in told.err) == (2, True), told.err
    (here / "runs" / "enc" / "mine" / "records.jsonl").write_text("{")
    assert "Damaged: " in medssl("runs", "show", "enc", "--suite", "mine").err


def test_what_is_missing_on_several_suites_is_said_once(here: Path, medssl: Medssl) -> None:
    board = medssl("leaderboard").out
    assert board.count("What do encoders reach that learned nothing?") == 1
    assert board.count("medssl run random-init-cnn --tasks") == 2


def test_a_refused_submission_leaves_no_folder(here: Path, medssl: Medssl) -> None:
    (here / "runs" / "enc" / "mine" / "records.jsonl").write_text("")
    before = sorted(here.iterdir())
    refused = medssl("submit", "enc", "--suite", "mine", "--out", "deep/submissions")
    assert refused.code == 2, refused.out
    assert "units are missing" in refused.err
    assert sorted(here.iterdir()) == before


def test_results_whose_plan_is_damaged_are_not_run_anew_beside_them(here: Path, medssl: Medssl) -> None:
    plans = [here / "runs" / encoder / "mine" / "plan.json" for encoder in ("enc", "raw-pixels")]
    for plan in plans:
        plan.write_text(plan.read_text()[:99])
    refused = medssl("run", "enc", "--tasks", "mine")
    assert refused.code == 2
    assert "is not a readable plan" in refused.err
    assert "move that folder of results away" in refused.err
    assert sorted(p.name for p in (here / "runs" / "enc").iterdir() if p.is_dir()) == ["mine", "other-mine"]
    assert medssl("run", "enc", "--tasks", "other/mine").code == 0, "the other folder goes on"


@pytest.mark.parametrize("name", ["encoder.toml", "mine/run.json", "mine/plan.json", "mine/records.jsonl"])
@pytest.mark.parametrize("held", ["", "{"])
def test_a_damaged_file_of_a_run_is_named_and_never_a_traceback(here: Path, medssl: Medssl, name: str, held: str):
    (here / "runs" / "enc" / name).write_text(held)
    for verb in ("runs list", "runs show enc", "leaderboard", "compare enc raw-pixels", "submit enc --suite mine"):
        told = medssl(*verb.split())
        assert told.code in (0, 1, 2), verb
    board = medssl("leaderboard", "--suite", "mine")
    assert name == "mine/run.json" or Path(name).name in board.out + board.err


def test_a_board_stands_beside_what_learned_nothing_and_offers_what_is_missing(here: Path, medssl: Medssl) -> None:
    done = medssl("leaderboard")
    assert done.code == 0, done.err
    row = next(line for line in done.out.splitlines() if " enc " in line)
    assert "over raw-pixels [95 %]" in done.out
    assert row.count("[") == 2, "its score and its difference to raw pixels"
    assert "medssl run random-init-cnn --tasks" in done.out


def test_a_run_ends_with_its_scores_beside_chance_and_what_learned_nothing(here: Path, medssl: Medssl) -> None:
    rng, arrays = np.random.default_rng(0), {}
    for split, n in (("train", 40), ("val", 20), ("test", 30)):
        labels, images = np.arange(n) % 2, rng.integers(0, 256, (n, 16, 16)).astype(np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[:, 8 * label : 8 * label + 8] //= 4  # a place, which a histogram does not see
        arrays |= {f"{split}_images": images, f"{split}_labels": labels}
    np.savez(here / "mine" / "squares.npz", **arrays)
    assert medssl("run", "raw-pixels", "--tasks", "mine").code == 0
    done = medssl("run", "enc", "--tasks", "mine")
    assert done.code == 0, done.err
    scores = {}
    for name in ("enc", "raw-pixels"):
        records = map(json.loads, (here / "runs" / name / "mine" / "records.jsonl").read_text().splitlines())
        scores[name] = {
            record["unit"]["protocol"]: record["metrics"]["test"]["auroc"]["value"]
            for record in records
            if record["status"] == "done" and record["unit"]["budget"] == "100%"
        }
    assert set(scores["enc"]) == {"knn-v1", "linear-v2"}
    for protocol, score in scores["enc"].items():
        row = next(line for line in done.out.splitlines() if protocol in line)
        shown = [float(number) for number in re.findall(r"(?<!v)[+-]?\d\.\d{3}", row)]
        value, _, _, chance, difference, low, high = shown
        over = score - scores["raw-pixels"][protocol]
        assert (value, chance, difference) == (round(score, 3), 0.5, round(over, 3))
        assert low < difference < high < 0
    assert "medssl run random-init-cnn --tasks mine" in done.out


def test_a_card_corrected_between_two_runs_of_one_process_counts(here: Path, medssl: Medssl) -> None:
    card = here / "mine" / "squares.toml"
    assert medssl("run", "enc", "--tasks", "mine").code == 0
    card.write_text(card.read_text().replace('"binary"', '"binary"\nmetric = "balanced_accuracy"'))
    done = medssl("run", "enc", "--tasks", "mine")
    assert "what the task asks for changed" in done.err
    assert "balanced_accuracy" in done.out


@pytest.mark.parametrize("verb", ["compare enc raw-pixels", "runs show enc", "site build --submissions none"])
def test_every_verb_takes_own_results_without_their_cards(here: Path, medssl: Medssl, verb: str) -> None:
    (here / "none").mkdir()
    arguments = verb.split() + (["--records", "runs"] if "site" in verb else [])
    done = medssl(*arguments)
    assert done.code == 0, done.err
    assert "mine" in done.out


def test_the_site_tells_suites_of_ones_own_apart(here: Path, medssl: Medssl) -> None:
    (here / "none").mkdir()
    done = medssl("site", "build", "--submissions", "none", "--records", "runs")
    assert done.code == 0, done.err
    front = (here / "public" / "index.html").read_text()
    assert "Own tasks" not in front
    assert {"other-mine", "mine"} <= set(re.findall(r">\s*((?:other-)?mine)\s*<", front))
    assert "1 task with real images" in front


def test_advice_and_analyses_come_from_one_suite_of_runs(here: Path, medssl: Medssl) -> None:
    ask = ["advise", "--modality", "xray", "--task", "classification", "--records", "runs"]
    several = medssl(*ask)
    assert several.code == 2
    assert "--suite" in several.err
    assert "other-mine" in several.err
    said = medssl(*ask, "--suite", "mine").out
    assert "Too little evidence on xray classification: self-supervised encoders: 1" in said
    assert medssl("analyze", "--records", "runs", "--suite", "mine").code == 0
    untested = medssl(*ask, "--suite", "mine", "--validate")
    assert untested.code == 2
    assert "two source data sets" in untested.err


def test_claims_of_ones_own_are_judged_alone(here: Path, medssl: Medssl) -> None:
    ask = ["analyze", "--records", "runs", "--suite", "mine", "--claims", "claims", "--json"]
    (here / "claims").mkdir()
    none = medssl(*ask)
    assert none.code == 2
    assert "holds no claim" in none.err
    text = (LEDGER / "h07-rank-diagnostic.toml").read_text()
    (here / "claims" / "h1.toml").write_text(text.replace('"H7"', '"H1"'))
    assert [v["id"] for v in json.loads(medssl(*ask).out)["verdicts"]] == ["H1"]


def test_an_exported_table_keeps_its_suites_apart(here: Path, medssl: Medssl) -> None:
    assert medssl("runs", "export", "scores.csv").code == 0
    assert set(pd.read_csv(here / "scores.csv")["suite"]) == {"mine", "other-mine"}
    ask = ["advise", "--modality", "xray", "--task", "classification", "--records", "scores.csv"]
    assert medssl(*ask).code == 2, "they do not compare"
    assert medssl(*ask, "--suite", "mine").code == 0


def test_one_bad_folder_is_named_and_the_rest_goes_on(here: Path, medssl: Medssl) -> None:
    (here / "runs" / "enc" / "other-mine" / "records.jsonl").write_text("{")
    for verb in (["leaderboard"], ["compare", "enc", "raw-pixels"], ["runs", "list"], ["runs", "export", "x.csv"]):
        done = medssl(*verb)
        assert done.code == 0, done.err
    assert "unreadable" in medssl("runs", "list").out
    assert "other-mine" in medssl("leaderboard").err


def test_the_folder_one_is_in_is_run_twice(here: Path, medssl: Medssl) -> None:
    shutil.rmtree(here / "other")
    for _ in range(2):
        done = medssl("run", "enc", "--tasks", ".")
        assert done.code == 0, done.err


def test_own_runs_are_sent_only_when_they_are_named(here: Path, medssl: Medssl) -> None:
    refused = medssl("submit", "enc")
    assert refused.code == 2
    assert "mine, other-mine" in refused.err
    assert "runs export" in refused.err
    assert not (here / "submissions").exists()
    sent = medssl("submit", "enc", "--suite", "mine")
    assert sent.code == 0, sent.err
    assert "(squares)" in sent.out
    assert "Not sent: your runs on other-mine" in sent.out
    files = {p.relative_to(here / "submissions/enc").as_posix() for p in (here / "submissions/enc").rglob("*.*")}
    probe = f"mine/probes/{next((here / 'runs/enc/mine/probes').glob('*.npz')).name}"
    assert files == {"encoder.toml", "mine/records.jsonl", "mine/predictions/squares.npz", probe}
    verified = medssl("verify", "submissions/enc", "--rescore", "--json")
    assert json.loads(verified.out)["badge"] == "rescored", "the author's own runs tell what the suite is"
    shutil.rmtree(here / "runs")
    strange = medssl("verify", "submissions/enc", "--rescore")
    assert strange.code == 2
    assert "--tasks" in strange.err
    assert medssl("verify", "submissions/enc", "--rescore", "--tasks", "mine").code == 0
