"""From a run to an encoder folder, the queue of the track, the tuning budget, the tables, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from filelock import FileLock
from safetensors.torch import load_file

from bench import markers
from bench.cli import medssl
from bench.encoders.card import read_card
from bench.encoders.load import load_encoder
from bench.errors import CardError, UserError
from bench.files import sha256_file
from bench.locate import home
from bench.pretrain import report, tuning
from bench.pretrain import trainer as trainer_module
from bench.pretrain.job import Job, objectives
from bench.pretrain.recipe import FOLDER, read_recipe, recipe_names
from bench.pretrain.ship import encoder_name
from bench.pretrain.track import done, run_job, run_track, runs
from bench.toml import to_toml

ROOT = Path(report.__file__).parents[2]


@pytest.fixture(autouse=True)
def _home(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("backbone", ["vit", "cnn"])
def test_a_shipped_encoder_gives_the_features_that_were_trained(backbone, recipe, corpus, tmp_path):
    job = Job("simclr", recipe, backbone)
    card = run_job(job, corpus, tmp_path / "out", tmp_path / "work", threads=1, track="phantom-mini-v1")
    trained = trainer_module.pretrain(job, corpus, tmp_path / "work", threads=1).backbone.eval()
    images = torch.from_numpy(corpus.images[:4].copy())
    encoded = load_encoder(card).encode(images, dense=True)
    with torch.no_grad():
        tokens = trained.tokens(images.permute(0, 3, 1, 2) / 255)
    assert encoded.grid.shape == (4, 5, 5, trained.dim)
    torch.testing.assert_close(encoded.grid.flatten(1, 2), tokens, atol=0.03, rtol=0.03)
    torch.testing.assert_close(encoded.pooled, tokens.mean(1), atol=0.03, rtol=0.03)


def test_the_folder_says_how_it_came_to_be(recipe, corpus, tmp_path):
    job = Job("ibot", recipe, seed=2)
    run_job(job, corpus, tmp_path / "out", tmp_path / "work", threads=1, track="phantom-mini-v1")
    card = read_card(tmp_path / "out")
    weights = tmp_path / "out" / "weights.safetensors"
    story = json.loads((tmp_path / "out" / "training.json").read_text())
    assert card.source["sha256"] == story["weights_sha256"] == sha256_file(weights)
    assert {t.dtype for t in load_file(weights).values()} == {torch.float16}
    assert (card.paradigm, card.objective, card.controlled_track) == (
        "hybrid", "self-distillation+masked-tokens", "phantom-mini-v1",
    )  # fmt: skip
    assert card.pretraining[0].images == 84
    assert story["compute"]["gradient_views"] == recipe.views == 2 * story["compute"]["images"]
    assert story["compute"]["teacher_views"] == recipe.views
    assert [row["step"] for row in story["loss"]] == [1, 2, 3, 4, 5, 6]
    assert [row["step"] for row in story["diagnostics"]] == [0, 3, 6]
    assert {"rankme", "centred_rank", "feature_std", "knn", "linear", "linear/bright"} <= set(story["final"])
    for row in story["loss"]:
        assert row["loss"] == pytest.approx(row["loss/distil"] + row["loss/match"], rel=1e-5)


def test_a_collapsed_encoder_is_shown_as_such(recipe, corpus, tmp_path):
    job = Job("byol", recipe.model_copy(update={"steps": 1, "evaluations": 1, "checkpoints": 1}))
    (tmp_path / "work").mkdir()
    trained = trainer_module.pretrain(job, corpus, tmp_path / "work", threads=1)
    trained.rows[-1] |= {"feature_std": 0.001, "centred_rank": 1.2}
    from bench.pretrain.ship import ship

    ship(job, corpus, trained, tmp_path / "out", command="x")
    assert read_card(tmp_path / "out").description.startswith("Collapsed")
    story = json.loads((tmp_path / "out" / "training.json").read_text())
    assert story["collapsed"] is True
    assert "**collapsed**" in report.runs_table([story])


def test_the_same_command_gives_the_same_hash(recipe, corpus, tmp_path):
    cards = [
        read_card(run_job(Job("denoising", recipe), corpus, tmp_path / n, tmp_path / f"{n}-work", threads=1))
        for n in "ab"
    ]
    assert cards[0].source["sha256"] == cards[1].source["sha256"]
    assert cards[0].sha256 == cards[1].sha256


def test_the_track_has_what_it_promises():
    jobs = runs(read_recipe("tiny"))
    assert len({job.name for job in jobs}) == len(jobs)
    vit = [job for job in jobs if job.backbone == "vit" and job.seed == 0]
    assert {job.objective for job in vit} == set(objectives())
    assert jobs[: len(vit)] == vit
    for paradigm in ("contrastive", "predictive", "generative", "hybrid"):
        of = [job for job in jobs if job.kind.paradigm == paradigm]
        assert any(job.backbone == "cnn" for job in of), paradigm
        assert any(len({j.seed for j in of if j.objective == name}) >= 3 for name in {j.objective for j in of}), (
            paradigm
        )


def test_the_queue_passes_over_what_is_done_or_under_way(recipe, corpus, tmp_path):
    jobs, said = [Job(n, recipe) for n in ("random-init", "mae", "rotation")], []
    busy = home() / "pretrain" / "runs" / jobs[1].identity(corpus.sha256)[:16]
    busy.mkdir(parents=True)
    with FileLock(busy / "lock"):
        run_track(jobs, corpus, tmp_path, threads=1, say=said.append)
    assert [s.split(": ")[1] for s in said] == ["finished", "under way in another process", "finished"]
    said.clear()
    run_track(jobs, corpus, tmp_path, threads=1, say=said.append)
    assert [s.split(": ")[1] for s in said] == ["done", "finished", "done"]
    assert all(done(job, corpus, tmp_path / encoder_name(job, corpus)) for job in jobs)
    other = Job("mae", recipe.model_copy(update={"weight_decay": 0.1}))
    assert not done(other, corpus, tmp_path / encoder_name(other, corpus))


def test_every_objective_has_the_same_trials_and_they_are_not_repeated(recipe, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "FOLDER", tmp_path)
    quick = recipe.model_copy(update={"tuning": recipe.tuning.model_copy(update={"fraction": 0.34})})
    said: list[str] = []
    trials = tuning.tune_all(["mae", "simclr"], quick, corpus, threads=1, say=said.append)
    assert len(said) == 4
    assert {name: sorted(found, key=float) for name, found in trials.items()} == {
        name: [f"{r:g}" for r in sorted(quick.tuning.learning_rates)] for name in ("mae", "simclr")
    }
    assert tuning.trial_of("mae", 0.01, quick).steps == 2
    tuning.tune_all(["mae", "simclr"], quick, corpus, threads=1, say=said.append)
    assert len(said) == 4
    assert tuning.best_rates({"a": {"0.1": 0.5, "0.01": 0.5}, "b": {"0.1": 0.6, "0.01": 0.5}}) == {"a": 0.01, "b": 0.1}


def test_the_tiny_recipe_has_the_rates_its_trials_chose():
    tiny = read_recipe("tiny")
    trials = tuning.read_trials(tiny)
    assert tiny.learning_rates == tuning.best_rates(trials)
    wanted = {f"{rate:g}" for rate in tiny.tuning.learning_rates}
    assert all(set(found) == wanted for found in trials.values())
    # Objectives that came after the track have none.
    assert set(trials) <= {name for name, kind in objectives().items() if kind.trains}


@pytest.mark.parametrize("name", recipe_names())
def test_shipped_recipes_are_consistent(name):
    found = read_recipe(name)
    assert found.name == name
    assert found.size % found.vit.patch == found.corpus_size % found.vit.patch == 0
    assert found.vit.dim % found.vit.heads == 0
    assert found.vit.dim == found.cnn.widths[-1]
    assert found.views_per_step % 2 == 0
    assert set(found.learning_rates) <= set(objectives())


def test_a_recipe_that_does_not_exist():
    with pytest.raises(CardError, match="did you mean 'tiny'"):
        read_recipe("tinny")
    with pytest.raises(CardError, match="no such file"):
        read_recipe(FOLDER / "none.toml")


TABLES = ("runs", "seeds", "tuning", "suite", "suite-seeds", "spread")


def test_tables_come_from_the_records(recipe, corpus, tmp_path):
    for seed in (0, 1):
        job = Job("mae", recipe, seed=seed)
        run_job(job, corpus, tmp_path / "s" / job.name, tmp_path / "w" / job.name, threads=1)
    job = Job("random-init", recipe)
    run_job(job, corpus, tmp_path / "s" / job.name, tmp_path / "w" / job.name, threads=1)
    cards = [read_card(tmp_path / "s" / f"{recipe.name}-vit-mae{end}") for end in ("", "-seed1")]
    assert [card.repeat_of for card in cards] == [None, cards[0].name]
    stories = report.stories_in(tmp_path / "s", recipe)
    rows = report.runs_table(stories).splitlines()[2:]
    assert [row.split(" | ")[0] for row in rows] == ["| random-init, vit", "| mae, vit", "| mae, vit, seed 1"]
    knn = [s["final"]["knn"] for s in stories if s["objective"] == "mae"]
    assert f"| mae | 2 | {np.mean(knn):.4f} | {np.std(knn, ddof=1):.4f} |" in report.seeds_table(stories)
    document = tmp_path / "page.md"
    document.write_text("".join(f"<!-- table {n} -->\nold\n<!-- end {n} -->\n" for n in TABLES))
    report.refresh(document, recipe, tmp_path / "s")
    assert "old" not in document.read_text()
    assert rows[1] in document.read_text()
    with pytest.raises(UserError, match="has no table 'x'"):
        markers.replaced("", "x", "", where=document)


def test_the_page_shows_the_shipped_runs():
    page, tiny = ROOT / "docs" / "controlled-track.md", read_recipe("tiny")
    text, stories = page.read_text(), report.stories_in(ROOT / "submissions", tiny)
    tables = {"runs": report.runs_table(stories), "tuning": report.tuning_table(tiny)}
    for name, table in tables.items():
        assert markers.replaced(text, name, table) == text, f"medssl pretrain --report {page.name} refreshes it"


def mini_recipe(recipe, tmp_path) -> str:
    (tmp_path / "mini.toml").write_text(to_toml(recipe.model_dump(by_alias=True)))
    return str(tmp_path / "mini.toml")


def test_the_command_on_ones_own_images_with_wandb_offline(recipe, tmp_path, monkeypatch):
    import wandb

    wandb.teardown()  # its session keeps the folder of whoever used it first in this process
    monkeypatch.chdir(tmp_path)
    images = np.random.default_rng(0).integers(0, 256, (32, 40, 40), dtype=np.uint8)
    np.savez(tmp_path / "Own scans.npz", images=images)
    arguments = ["pretrain", "--objective", "mae", "--data", "Own scans.npz", "--recipe", mini_recipe(recipe, tmp_path)]
    result = CliRunner().invoke(medssl, [*arguments, "--wandb", "offline"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    folder = tmp_path / "pretrained" / "own-scans-npz-mini-vit-mae"
    card = read_card(folder)
    assert card.name == folder.name
    assert card.controlled_track is None
    assert card.pretraining[0].corpus == "Own scans.npz"
    assert list((folder / "run" / "wandb").glob("offline-run-*/*.wandb"))
    before = sha256_file(folder / "weights.safetensors")
    assert CliRunner().invoke(medssl, arguments, catch_exceptions=False).exit_code == 0
    assert sha256_file(folder / "weights.safetensors") == before


def test_the_command_lists_and_explains():
    listed = CliRunner().invoke(medssl, ["pretrain", "--objective", "list"])
    assert f"{len(objectives())} objectives" in listed.output
    assert all(name in listed.output for name in objectives())
    assert CliRunner().invoke(medssl, ["pretrain"]).exit_code == 2
    wrong = CliRunner().invoke(medssl, ["pretrain", "--objective", "simclr", "--recipe", "tinny"])
    assert "did you mean 'tiny'" in str(wrong.exception)


def test_the_track_on_ones_own_images_says_the_command_that_repeats_it(recipe, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "scans.npz", images=np.random.default_rng(0).integers(0, 256, (32, 40, 40), dtype=np.uint8))
    mine = ["--data", "scans.npz", "--recipe", mini_recipe(recipe, tmp_path)]
    arguments = ["pretrain", "--track", "--objective", "random-init", *mine, "--out", "out"]
    result = CliRunner().invoke(medssl, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    story = json.loads(next(tmp_path.glob("out/*/training.json")).read_text())
    assert " ".join(mine) in story["command"]
