"""Every option of `medssl run` reaches the specification of the run."""

from __future__ import annotations

from dataclasses import fields

import pytest
from click.testing import CliRunner

import bench.runs.run
from bench.cli.run import COMMAND
from bench.errors import RunError
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


def test_a_slurm_job_gets_a_gpu_where_the_device_may_be_one():
    assert [RunSpec.of(device=d).where.asked.gpus for d in ("auto", "cpu", "cuda")] == [1, 0, 1]
    assert RunSpec.of(device="cpu", gpus=2).where.asked.gpus == 2
