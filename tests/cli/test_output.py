"""What the commands print: one line a row outside a terminal, names that exist, commands that can be pasted."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.cli import demo
from bench.discover import members
from bench.encoders.load import card_path
from benchmarks.hostile.base import write_tasks


@pytest.mark.parametrize("what", ["encoders", "tasks", "protocols", "suites", "objectives"])
def test_a_list_has_one_line_for_each_name(medssl: Callable, what: str) -> None:
    names = [row["name"] for row in json.loads(medssl("list", what, "--json").out)]
    printed = medssl("list", what).out
    assert f"{len(names)} {what}" in printed
    assert [line.split()[0] for line in printed.splitlines()[4:] if line.strip()] == names


@pytest.mark.parametrize("verb", ["data", "runs", "site"])
def test_help_of_a_group_cuts_no_sentence(medssl: Callable, verb: str) -> None:
    shown = medssl(verb, "--help").out
    assert "Commands:" in shown
    assert "..." not in shown.split("Commands:")[1]


def test_every_objective_is_listed(medssl: Callable) -> None:
    rows = json.loads(medssl("list", "objectives", "--json").out)
    assert {row["name"] for row in rows} == set(members("bench.pretrain.objectives", "OBJECTIVE"))
    assert medssl("pretrain", "--objective", "list").out == medssl("list", "objectives").out


def test_the_next_command_can_be_pasted(medssl: Callable, tmp_path: Path) -> None:
    folder = tmp_path / "my räw folder"
    printed = medssl("new", "mine", "--out", folder, "--yes").out
    command = next(line for line in printed.splitlines() if line.startswith("Next: ")).removeprefix("Next: ")
    assert shlex.split(command, comments=True) == ["medssl", "check", str(folder)]
    assert card_path(folder).is_file()


@pytest.mark.parametrize("what", ["encoders", "tasks", "suites"])
def test_a_list_loads_no_heavy_library(what: str) -> None:
    heavy = "{'torch', 'timm', 'pandas', 'sklearn', 'scipy.stats'}"
    code = f"import sys\nfrom bench.cli import medssl\nmedssl(['list', '{what}'], standalone_mode=False)\n"
    told = subprocess.run(
        [sys.executable, "-c", f"{code}print({heavy} & {{*sys.modules}})"], capture_output=True, text=True
    )
    assert told.stdout.splitlines()[-1] == "set()", told.stderr


def test_runs_are_listed_without_a_heavy_library(tmp_path: Path) -> None:
    folder = tmp_path / "mine" / "phantom-mini"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text('{"units": 24}')
    code = f"import sys\nfrom bench.cli import medssl\nmedssl(['runs', 'list', '--records', {str(tmp_path)!r}], "
    code += "standalone_mode=False)\nprint({'torch', 'timm', 'pandas', 'sklearn'} & {*sys.modules})"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "0 of 24" in told.stdout
    assert told.stdout.splitlines()[-1] == "set()", told.stderr


@pytest.mark.parametrize("verb", ["run", "submit"])
def test_a_folder_without_a_card_is_told_where_one_comes_from(medssl: Callable, tmp_path: Path, verb: str) -> None:
    (tmp_path / "empty").mkdir()
    done = medssl(verb, tmp_path / "empty")
    assert done.code == 2
    assert "encoder.toml" in done.err


def test_submitting_a_name_that_is_no_folder_says_what_to_give(medssl: Callable) -> None:
    done = medssl("submit", "colour-histogram")
    assert done.code == 2
    assert "give the folder with its encoder.toml" in done.err


def test_comparing_with_an_unknown_encoder_names_those_with_results(medssl: Callable, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    done = medssl("compare", "a", "b", "--records", tmp_path / "none")
    assert done.code == 2
    assert "there are results of: no encoder" in done.err


def test_comparing_at_what_is_no_label_budget_is_refused(medssl: Callable, tmp_path: Path) -> None:
    done = medssl("compare", "a", "b", "--budget", "10", "--records", tmp_path)
    assert done.code == 2
    assert "--budget" in done.err
    assert "'10': a label budget is a share '10%'" in done.err


def test_encoders_are_found_by_what_their_cards_say(medssl: Callable) -> None:
    def names(*options: str) -> list[str]:
        return [row["name"] for row in json.loads(medssl("list", "encoders", "--json", *options).out)]

    assert "lunit-swav-resnet50" in names("--domain", "histology", "--paradigm", "contrastive", "--size", "small")
    assert set(names("--comparable", "lunit-tcga")) < set(names("--comparable"))
    assert names("--search", "h-optimus-1") == ["h-optimus-1"]
    assert all("biomedclip" in names("--licence", word, "--access", "open") for word in ("mit", "MIT"))
    refused = medssl("list", "encoders", "--domain", "histologie")
    assert refused.code == 2
    assert "they have dermatology" in refused.err
    assert medssl("list", "tasks", "--domain", "histology").code == 2


@pytest.mark.parametrize(
    ("options", "ran"),
    [
        (["--task", "which,where"], {"which", "where"}), (["--task", " where , which"], {"which", "where"}),
        (["--task", "which", "--task", "where"], {"which", "where"}), (["--task", "where"], {"where"}),
    ],
)  # fmt: skip
def test_several_tasks_by_name(medssl: Callable, tmp_path: Path, options: list[str], ran: set[str]) -> None:
    write_tasks(tmp_path / "own", dark=150, bright=190)
    done = medssl("run", "raw-pixels", "--tasks", tmp_path / "own", "--json", *options)
    assert done.code == 0
    assert {json.loads(line)["unit"]["task"] for line in done.out.splitlines() if line.startswith("{")} == ran


def test_many_encoders_are_run_and_those_left_out_are_named(medssl: Callable, tmp_path: Path) -> None:
    write_tasks(tmp_path / "own", dark=150, bright=190)
    ended = medssl("run", "--encoders", "raw-pixels,no-such", "--tasks", tmp_path / "own", "--task", "which")
    assert ended.code == 1
    assert "left out: no folder, card or known encoder 'no-such'" in ended.err
    assert "1 of 2 encoders" in ended.out
    assert medssl("run", "raw-pixels", "--encoders", "raw-pixels").code == 2


@pytest.mark.parametrize(
    ("tail", "code", "said"),
    [
        (">&- 2>&-", 0, ""),
        (">/dev/full", 2, "Error: the output: No space left on device\n"),
    ],
)
def test_output_that_goes_nowhere_is_no_traceback(tail: str, code: int, said: str) -> None:
    many = "from bench.cli import main; import click, bench.cli.list as verb; "
    many += "verb.COMMAND.callback = lambda **_: click.echo('x' * 1_000_000); main(['list', 'suites'])"
    command = f"{shlex.quote(sys.executable)} -c {shlex.quote(many)} {tail}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (code, said)


def test_a_name_too_long_for_the_disk_is_one_message(medssl: Callable) -> None:
    done = medssl("new", "a" * 300, "--yes")
    assert (done.code, done.out) == (2, "")
    assert done.err.endswith("/encoder.toml: File name too long\n")


@pytest.mark.parametrize("option", ["--suite", "--task"])
def test_a_variable_that_is_not_set_runs_nothing(medssl: Callable, option: str) -> None:
    done = medssl("run", "raw-pixels", option, "")
    assert done.code == 2
    assert "is empty" in done.err
    assert medssl("data", "check", "").code == 2


@pytest.mark.parametrize("found", [None, "/usr/bin/medssl"])
def test_the_demonstration_says_how_a_shell_finds_the_command(
    medssl: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, found: str | None
) -> None:
    environment = tmp_path / "an environment"
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "activate").touch()
    monkeypatch.setattr(demo, "ENCODERS", ())
    monkeypatch.setattr(demo.shutil, "which", lambda name: found)
    monkeypatch.setattr(demo.sys, "prefix", str(environment))
    monkeypatch.setattr("bench.publish.site.build", lambda *given: tmp_path / "index.html")
    monkeypatch.setattr("bench.leaderboard.collect.collect", lambda *given, **more: {})
    said = medssl("demo", "--out", tmp_path / "runs").out
    assert (f". '{environment}/bin/activate'" in said) == (found is None)
