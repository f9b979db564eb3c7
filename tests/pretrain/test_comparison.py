"""A controlled comparison in so many minutes: the same bytes however it is cut, and nothing half done."""

from __future__ import annotations

import errno
import os
import time

import numpy as np
import pytest
from click.testing import CliRunner

from bench.cli import medssl
from bench.errors import RunError
from bench.files import sha256_file
from bench.pretrain import comparison, crew, schedule
from bench.pretrain.choice import choose
from bench.pretrain.comparison import Settings, command_of, compare, comparison_recipe
from bench.pretrain.corpus import open_corpus
from bench.pretrain.crew import JobOutcome
from bench.pretrain.job import Job, objectives
from bench.pretrain.ledger import Ledger, read_ledger
from bench.pretrain.merge import merge
from bench.pretrain.recipe import Tuning
from bench.pretrain.results import ComparisonFolder

FEW = ("random-init", "simclr", "mae")


@pytest.fixture
def mini(recipe, corpus, tmp_path, monkeypatch):
    """(recipe, corpus file): three objectives, two rates, one repeated trial, one seed; half of the steps a trial."""
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(schedule, "objectives", lambda: {name: objectives()[name] for name in FEW})
    monkeypatch.setattr(schedule, "SEEDS", (1,))
    np.savez(tmp_path / "c.npz", images=corpus.images, labels=corpus.labels["bright"])
    tuning = Tuning(learning_rates=[1e-3, 1e-2], fraction=0.5, noise_seeds=1, noise_objectives=["mae"])
    changed = {"track": "mini-v1", "corpus": "c.npz", "seeded": ["mae"], "cnn_objectives": ["simclr"], "tuning": tuning}
    return recipe.model_copy(update=changed), tmp_path / "c.npz"


def run(mini, out, *, home=None, monkeypatch=None, workers=1, minutes=None):
    """One run; returns its ledger, what it said, and how much is left."""
    recipe, data = mini
    if home is not None:
        monkeypatch.setenv("MEDSSL_HOME", str(home))
    settings, said = Settings(recipe.corpus, data, workers=workers, minutes=minutes), []
    results = ComparisonFolder(out, Ledger.of(recipe, open_corpus(recipe.corpus, recipe, data=data)))
    summary = compare(recipe, results, settings, say=said.append)
    assert (summary.trials + summary.encoders) <= len(said)
    return results.ledger, said, summary.left


ALL = {"mini-vit-random-init", "mini-vit-mae", "mini-vit-simclr", "mini-cnn-simclr", "mini-vit-mae-seed1"}


def test_trials_come_first_and_every_encoder_is_packed_once(mini, tmp_path):
    found, said, left = run(mini, tmp_path / "out")
    assert left == 0
    assert set(found.encoders) == ALL
    assert {n: sorted(r) for n, r in found.trials.items()} == {n: ["0.001", "0.01"] for n in ("mae", "simclr")}
    assert all(sorted(seeds) == ["0", "1"] for seeds in found.trials["mae"].values())
    assert [s.split(":")[0] for s in said[:2]] == ["mini-vit-random-init", "trial simclr at 0.001, seed 0"]
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"ledger.json", "encoders-1.zip"}
    again, said, left = run(mini, tmp_path / "out")
    assert (again, left) == (found, 0)
    assert said == []
    merged = merge([tmp_path / "out"], tmp_path / "encoders")
    assert set(merged.encoders) == ALL
    for name, finished in merged.encoders.items():
        assert sha256_file(tmp_path / "encoders" / name / "weights.safetensors") == finished.weights
        assert (tmp_path / "encoders" / name / "log.jsonl").exists()


def test_the_bytes_are_those_of_a_single_run_with_the_rate_that_was_chosen(mini, tmp_path, monkeypatch):
    one, *_ = run(mini, tmp_path / "one", home=tmp_path / "h1", monkeypatch=monkeypatch)
    two, *_ = run(mini, tmp_path / "two", home=tmp_path / "h2", monkeypatch=monkeypatch, workers=2)
    assert one == two
    recipe, data = mini
    rate = choose(one.trials).rates["mae"]
    job = Job("mae", recipe.model_copy(update={"learning_rates": {"mae": rate}}))
    assert one.encoders["mini-vit-mae"].run == job.identity(open_corpus("", recipe, data=data).sha256)
    assert f"--rate {rate:g}" in command_of(job, Settings("c.npz"))


def test_stopped_in_the_middle_it_leaves_nothing_half_done_and_goes_on_to_the_same_bytes(mini, tmp_path, monkeypatch):
    whole, *_ = run(mini, tmp_path / "whole", home=tmp_path / "h1", monkeypatch=monkeypatch)
    stops = crew._stops
    for at, missing in ((5, 1 + 4), (9, 1)):  # in a trial, without which no rate is settled; in an encoder
        asked: list[int] = []
        monkeypatch.setattr(crew, "_stops", lambda deadline, asked=asked, at=at: asked.append(0) or len(asked) == at)
        cut, _, left = run(mini, tmp_path / "cut", home=tmp_path / "h2", monkeypatch=monkeypatch)
        assert left == missing
    assert set(cut.encoders) < ALL
    monkeypatch.setattr(crew, "_stops", stops)
    resumed, _, left = run(mini, tmp_path / "cut", home=tmp_path / "h2", monkeypatch=monkeypatch)
    assert left == 0
    assert resumed.encoders == whole.encoders
    assert resumed.trials == whole.trials


def test_nothing_is_begun_that_does_not_fit_and_time_is_kept(mini, tmp_path):
    started = time.monotonic()
    found, said, left = run(mini, tmp_path / "out", minutes=0.01)
    assert (len(found.encoders), len(found.trials)) == (0, 0)
    assert left > 0
    assert said == []
    assert time.monotonic() - started < 20


def test_a_run_elsewhere_is_passed_over(mini, tmp_path, monkeypatch):
    run(mini, tmp_path / "one")
    recipe, data = mini
    results = ComparisonFolder(tmp_path / "two", Ledger.of(recipe, open_corpus("", recipe, data=data)))
    results.know(read_ledger(tmp_path / "one"), where="one")
    said: list[str] = []
    summary = compare(recipe, results, Settings(recipe.corpus, data), say=said.append)
    assert str(summary).startswith("0 trials and 0 encoders in 0.0 minutes")
    assert summary.left == len(said) == 0
    assert all(not finished.file for finished in results.ledger.encoders.values())


def test_one_that_fails_is_kept_as_such_and_stops_nobody(mini, tmp_path, monkeypatch):
    def work(order):
        if order.item.job.objective == "simclr" and not order.item.trial:
            return JobOutcome(failed="the loss of 'simclr' is nan at step 3")
        return crew.work(order)

    monkeypatch.setattr(comparison, "work", work)
    found, said, left = run(mini, tmp_path / "out")
    assert left == 0
    assert set(found.failed) == {"mini-vit-simclr", "mini-cnn-simclr"}
    assert set(found.encoders) == {name for name in ALL if "simclr" not in name}
    assert any("nan at step 3" in line for line in said)


def test_a_trial_that_diverges_scores_as_chance(mini, tmp_path, monkeypatch):
    def pretrain(*_, **__):
        raise RunError("the loss of 'mae' is nan at step 1", fix="lower the learning rate")

    monkeypatch.setattr(crew, "pretrain", pretrain)
    found, *_ = run(mini, tmp_path / "out")
    assert set(found.trials["mae"]["0.01"].values()) == {0.0}
    assert set(found.failed) >= {"mini-vit-mae"}


def test_an_interrupt_saves_what_is_under_way(mini, tmp_path):
    recipe, data = mini
    results = ComparisonFolder(tmp_path / "out", Ledger.of(recipe, open_corpus("", recipe, data=data)))

    def say(line):
        if "trial" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(recipe, results, Settings(recipe.corpus, data), say=say)
    assert sum(map(len, read_ledger(tmp_path / "out").trials.values())) == 1
    assert run(mini, tmp_path / "out")[2] == 0


def test_a_full_disk_is_said_with_what_to_do(mini, tmp_path, monkeypatch):
    def fsync(handle):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    recipe, data = mini
    results = ComparisonFolder(tmp_path / "out", Ledger.of(recipe, open_corpus("", recipe, data=data)))
    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(RunError, match=r"No space left on device.*free some space"):
        compare(recipe, results, Settings(recipe.corpus, data), say=lambda line: None)
    assert not list(tmp_path.glob("out/*"))


def test_the_command_names_its_tracks():
    wrong = CliRunner().invoke(medssl, ["pretrain", "--track", "open-smal-v1"])
    assert "did you mean 'open-small-v1'" in str(wrong.exception)
    assert comparison_recipe("open-small-v1").name == "open-small"
    mixed = CliRunner().invoke(medssl, ["pretrain", "--track", "open-small-v1", "--objective", "mae"])
    assert mixed.exit_code == 2
    assert CliRunner().invoke(medssl, ["pretrain", "--minutes", "9"]).exit_code == 2
    assert CliRunner().invoke(medssl, ["pretrain", "--merge", "."]).exit_code == 2
