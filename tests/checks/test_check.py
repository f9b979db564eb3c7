"""`medssl check` and `medssl new` as their users meet them."""

from __future__ import annotations

import json
import shutil
import tomllib

import pytest
from click.testing import CliRunner
from safetensors.torch import save_file

from bench.checks.check import check, report
from bench.cli.check import COMMAND as CHECK
from bench.cli.new import COMMAND as NEW
from bench.encoders.card import read_card
from bench.encoders.load import REFERENCE, load_encoder
from bench.encoders.new import ADAPTERS
from bench.errors import CardError, RunError

SAID = ("--author", "A", "--objective", "other", "--licence", "MIT", "--method", "M", "--paradigm", "hybrid")
"""What `medssl new` leaves blank otherwise."""


def run(command, *arguments: str):
    return CliRunner().invoke(command, list(arguments), catch_exceptions=False)


@pytest.fixture
def folder(tmp_path, vit):
    """A folder made by `medssl new` with the known weights, and its card set to their size."""
    save_file(vit.state_dict(), tmp_path / "w.safetensors")
    result = run(
        NEW, "mine", "--yes", "--out", str(tmp_path / "mine"), "--weights", str(tmp_path / "w.safetensors"),
        "--model", "vit_tiny_patch16_224", "--size", "64", "--pooling", "cls+mean", "--paradigm", "hybrid",
        "--objective", "masked-image-modelling", "--author", 'A "quoted" Author', "--licence", "MIT", "--method", "M",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    card = tmp_path / "mine" / "encoder.toml"
    small = "options = { img_size = 32, patch_size = 8, embed_dim = 32, depth = 2, num_heads = 2 }"
    lines = [small if line.startswith("# options") else line for line in card.read_text().splitlines()]
    card.write_text("\n".join(lines))
    return tmp_path / "mine"


def test_from_new_to_check(folder):
    assert read_card(folder).authors == ['A "quoted" Author']
    result = run(CHECK, str(folder), "--images", "0", "--suite", "phantom-mini")
    assert result.exit_code == 0, result.output
    for word in ("card", "weights", "deterministic", "batch size", "size", "speed", "suite phantom-mini"):
        assert f" {word} " in result.output
    assert "not disclosed" in result.output
    assert "FAILS" not in result.output


def test_json_is_the_same_report(folder):
    values = json.loads(run(CHECK, str(folder), "--images", "0", "--json").output)
    assert values["passed"] is True
    assert {f["level"] for f in values["findings"]} <= {"ok", "warning", "problem", "skipped"}
    shapes = next(f for f in values["findings"] if f["check"] == "shapes")
    assert shapes["values"] == {"dimension": 64, "grid": [8, 8, 32]}


def test_full_check_of_a_reference_encoder():
    found = {f.check: f for f in check("colour-histogram", images=40)}
    assert {"collapse", "above chance", "normalisation", "speed", "forecast"} <= set(found)
    assert found["forecast"].values["images"] == 40 * 2 * 2 * 4
    assert found["weights"].message.startswith("none")


@pytest.mark.parametrize(
    ("old", "new", "where", "message"),
    [
        ("w.safetensors", "gone.safetensors", "loads", "no such file"),
        ('sha256 = "', 'sha256 = "0', "card", "sha256"),
        ("schema = 1", "schema = 1\nlicens = 1", "card", "did you mean 'licence'"),
        ("num_heads = 2", "num_heads = 3", "loads", "timm cannot build"),
        ("depth = 2", "depth = 3", "loads", "missing from the file"),
        ("size = 64", "size = 60", "loads", "not a multiple of the patch size"),
    ],
)
def test_failures_are_one_line_and_exit_1(old, new, where, message, folder):
    card = folder / "encoder.toml"
    card.write_text(card.read_text().replace(old, new))
    result = run(CHECK, str(folder), "--json")
    last = json.loads(result.output)["findings"][-1]
    assert result.exit_code == 1
    assert (last["check"], last["level"]) == (where, "problem")
    assert message in last["message"]


def test_a_device_that_is_not_there_is_one_message():
    with pytest.raises(RunError, match="unknown device 'gpu'"):
        list(check("raw-pixels", device="gpu"))


def test_code_is_refused_by_check_too(tmp_path):
    card = (REFERENCE / "raw-pixels.toml").read_text()
    head, tail = card.split("[source]")[0], card.split("[preprocessing]")[1]
    (tmp_path / "mine.py").write_text("raise SystemExit('it ran')")
    source = f'[source]\nadapter = "python"\nfile = "mine.py"\nsha256 = "{"0" * 64}"\n'
    (tmp_path / "encoder.toml").write_text(f"{head}{source}\n[preprocessing]{tail}")
    found = report(tmp_path)
    assert not found.passed
    assert "--trust-code" in found.findings[-1].message


def test_precomputed_features_are_said_to_be(tmp_path, make_card):
    import numpy as np

    from bench.encoders.features import Features
    from bench.encoders.sources.embeddings import write_embeddings

    digest = write_embeddings(tmp_path / "e.npz", {"test": (["a"], Features(np.ones((1, 2), np.float32), None))})
    card = (REFERENCE / "raw-pixels.toml").read_text()
    source = f'[source]\nadapter = "embeddings"\nfiles.mini = {{ path = "e.npz", sha256 = "{digest}" }}\n'
    card = card.split("[source]")[0] + source + "\n[preprocessing]" + card.split("[preprocessing]")[1]
    (tmp_path / "encoder.toml").write_text(card)
    found = {f.check: f for f in check(tmp_path)}
    assert found["contract"].level == "skipped"
    assert found["features of mini"].message == "2 global features, no grid; images: test 1"
    (tmp_path / "e.npz").write_bytes(b"PK")
    assert not report(tmp_path).passed


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_new_writes_a_valid_card_for_every_adapter(adapter, tmp_path):
    result = run(NEW, "mine", "--yes", "--out", str(tmp_path / "x"), "--adapter", adapter, *SAID)
    assert result.exit_code == 0, result.output
    assert read_card(tmp_path / "x").source["adapter"] == adapter


def test_new_makes_up_nothing_about_people_and_method(tmp_path):
    assert run(NEW, "mine", "--yes", "--out", str(tmp_path / "x"), "--licence", "MIT").exit_code == 0
    card = tomllib.loads((tmp_path / "x" / "encoder.toml").read_text())
    assert [card[key] for key in ("authors", "licence", "paradigm", "objective", "method")] == [[""], "MIT", "", "", ""]
    found = report(tmp_path / "x")
    assert not found.passed
    assert "4 blanks to fill in: authors, paradigm (contrastive" in found.findings[-1].message


def test_new_takes_a_title_in_any_script(tmp_path):
    assert run(NEW, "mine", "--yes", "--out", str(tmp_path / "x"), "--title", "🩻 微", *SAID).exit_code == 0
    assert tomllib.loads((tmp_path / "x" / "encoder.toml").read_text())["title"] == "🩻 微"


def test_new_overwrites_nothing(folder):
    before = (folder / "encoder.toml").read_bytes()
    with pytest.raises(CardError, match="exists already"):
        run(NEW, "mine", "--yes", "--out", str(folder))
    assert (folder / "encoder.toml").read_bytes() == before


@pytest.mark.parametrize("arguments", [("--paradigm", "contrastiv"), ("--adapter", "tim"), ("--normalisation", "x")])
def test_new_refuses_unknown_words(arguments, tmp_path):
    result = run(NEW, "mine", "--yes", "--out", str(tmp_path / "x"), *arguments)
    assert result.exit_code == 2
    assert "expected one of" in result.output
    assert not (tmp_path / "x").exists()


def test_new_refuses_a_name_that_is_no_name(tmp_path):
    with pytest.raises(CardError, match="'name'"):
        run(NEW, "My Encoder", "--yes", "--out", str(tmp_path / "x"))
    assert not (tmp_path / "x").exists()


def test_new_asks_where_someone_can_answer(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.cli.new._interactive", lambda: True)
    answers = "A. Author\nCC0-1.0\nhybrid\nother\nM\ncnn\ntimm\nresnet18\n128\nhalf\nmean\n"
    result = CliRunner().invoke(NEW, ["mine", "--out", str(tmp_path / "x")], input=answers, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    card = read_card(tmp_path / "x")
    assert (card.paradigm, card.source["model"], card.preprocessing.size) == ("hybrid", "resnet18", 128)
    assert (card.preprocessing.mean, card.features.pooling) == ([0.5], "mean")


def test_an_empty_answer_takes_the_default_or_leaves_a_blank(tmp_path, monkeypatch):
    monkeypatch.setattr("bench.cli.new._interactive", lambda: True)
    answers = "\n\nhybird\nhybrid\n\n\n\n\n\n\n\n\n"
    result = CliRunner().invoke(NEW, ["mine", "--out", str(tmp_path / "x")], input=answers, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert "'hybird' is not one of" in result.output
    card = tomllib.loads((tmp_path / "x" / "encoder.toml").read_text())
    assert [card[key] for key in ("authors", "licence", "paradigm", "objective")] == [[""], "", "hybrid", ""]
    assert card["source"]["model"] == "vit_small_patch16_224"


def test_copied_folder_still_loads(folder, tmp_path, images):
    shutil.copytree(folder, tmp_path / "copy")
    shutil.rmtree(folder)
    assert load_encoder(tmp_path / "copy").encode(images).pooled.shape == (10, 64)
