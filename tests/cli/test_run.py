"""Every option of `medssl run` reaches the specification of the run."""

from __future__ import annotations

from dataclasses import fields

import pytest
from click.testing import CliRunner

import bench.runs.run
from bench.cli.run import COMMAND
from bench.errors import RunError
from bench.runs.many import Expected
from bench.runs.options import Resources, RunSpec, What


def spec_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> RunSpec:
    seen: list[RunSpec] = []

    def session(spec: RunSpec) -> None:
        seen.append(spec)
        raise RunError("seen")

    monkeypatch.setattr(bench.runs.run, "session", session)
    CliRunner().invoke(COMMAND, ["raw-pixels", *arguments])
    return seen[0]


def test_without_options_a_run_is_what_python_makes_of_a_name(monkeypatch):
    found = spec_of(monkeypatch)
    assert found == RunSpec.of("raw-pixels", command=found.command)


def test_tasks_alone_are_the_suite(monkeypatch, tmp_path):
    assert spec_of(monkeypatch, "--tasks", str(tmp_path)).what == What("raw-pixels", None, str(tmp_path))


def test_every_option_is_a_field_and_every_field_an_option(monkeypatch, tmp_path):
    found = spec_of(
        monkeypatch, "--suite", "phantom-mini", "--tasks", str(tmp_path), "--task", "a,b", "--task", "c", "--out", "o",
        "--model", "m", "--device", "cpu", "--precision", "fp32", "--compile", "--deterministic", "--threads", "2",
        "--batch-size", "3", "--no-cache", "--accept-checksum", "--trust-code", "--allow-outside", "--executor",
        "slurm", "--workers", "4", "--partition", "p", "--minutes", "5", "--logs", "l", "--gpus", "6", "--cpus", "7",
        "--address", "local", "--watch", "jsonl:w",
    )  # fmt: skip
    assert found == RunSpec.of(
        "raw-pixels", "phantom-mini", str(tmp_path), only=("a", "b", "c"), out="o", model="m", device="cpu",
        precision="fp32", compiled=True, deterministic=True, threads=2, batch_size=3, trust_code=True,
        allow_outside=True, accept_checksum=True, cache=False, command=found.command, executor="slurm",
        watches=("jsonl:w",), resources=Resources(4, "local", "p", 5, "l", 6, 7),
    )  # fmt: skip
    for group in (found.what, found.where, found.where.resources, found.trust):
        for field in fields(group):
            assert getattr(group, field.name) != field.default, f"{field.name} kept its default: no option reached it"


def test_the_help_shows_what_where_and_trust_apart():
    text = CliRunner().invoke(COMMAND, ["--help"]).output
    headings = ["What is measured:", "Where it runs:", "Processes and clusters:", "What is trusted:", "Options:"]
    assert [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")] == headings
    assert text.index("What is trusted:") < text.index("--trust-code") < text.index("Options:") < text.index("--json")


def test_off_a_terminal_a_run_says_now_and_then_what_it_does(own_tasks, tmp_path, monkeypatch):
    monkeypatch.setattr("bench.cli._print.SILENCE", 0)
    command = [
        "raw-pixels",
        "--tasks",
        str(own_tasks),
        "--task",
        "own-shapes",
        "--out",
        str(tmp_path),
        "--device",
        "cpu",
    ]
    dry = CliRunner().invoke(COMMAND, [*command, "--dry-run"], catch_exceptions=False)
    assert "own-shapes: a few units as a trial (task 1 of 1)\n" in dry.stderr
    result = CliRunner().invoke(COMMAND, command, catch_exceptions=False)
    said = result.stderr.splitlines()
    assert sum(line.startswith("own-shapes: encoding ") for line in said) >= 2
    units = [int(line.rsplit("(", 1)[1].split()[0]) for line in said if line.endswith(" units done)")]
    assert units == sorted(units)
    assert units[-1] > units[0] == 0


def test_the_forecast_of_many_knows_accepted_data_and_says_what_a_cluster_is_asked_for(monkeypatch):
    asked = []

    def expected(names, plan, *, accept_checksum):
        asked.append(accept_checksum)
        return [Expected(name, 0, 1.0) for name in names]

    def prepared(plan, task, *, accept_checksum):
        asked.append(accept_checksum)
        return True

    monkeypatch.setattr("bench.runs.many.expected", expected)
    monkeypatch.setattr("bench.runs.stand_in.is_prepared", prepared)
    options = ["--encoders", "a,b", "--suite", "phantom-mini", "--accept-checksum", "--executor", "slurm", "--dry-run"]
    said = CliRunner().invoke(COMMAND, options, catch_exceptions=False).output
    assert asked == [True] * 5
    assert "SLURM: 4 jobs, at most 64 at a time, in the default partition; each 1 GPU" in said


def test_a_slurm_job_gets_a_gpu_where_the_device_may_be_one():
    assert [RunSpec.of(device=d).where.asked.gpus for d in ("auto", "cpu", "cuda")] == [1, 0, 1]
    assert RunSpec.of(device="cpu", gpus=2).where.asked.gpus == 2
