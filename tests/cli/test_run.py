"""Every option of `medssl run` reaches the specification of the run."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

import bench.runs.run
from bench.cli.run import COMMAND
from bench.errors import RunError
from bench.runs.executors._base import Resources
from bench.runs.run import RunSpec


def spec_of(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> RunSpec:
    seen: list[RunSpec] = []

    def session(spec: RunSpec) -> None:
        seen.append(spec)
        raise RunError("seen")

    monkeypatch.setattr(bench.runs.run, "session", session)
    CliRunner().invoke(COMMAND, ["raw-pixels", *arguments])
    return seen[0]


def test_without_options_a_run_is_what_python_makes_of_a_name(monkeypatch):
    found = spec_of(monkeypatch, "--device", "cpu")
    assert found == RunSpec("raw-pixels", device="cpu", command=found.command)
    assert spec_of(monkeypatch).resources == Resources(gpus=1)


def test_every_option_is_a_field(monkeypatch):
    found = spec_of(
        monkeypatch, "--suite", "phantom-mini", "--task", "a,b", "--task", "c", "--out", "o", "--model", "m",
        "--device", "cpu", "--precision", "fp32", "--compile", "--deterministic", "--threads", "2", "--batch-size", "3",
        "--no-cache", "--accept-checksum", "--trust-code", "--allow-outside", "--executor", "slurm", "--workers", "4",
        "--partition", "p", "--minutes", "5", "--logs", "l", "--gpus", "6", "--cpus", "7", "--address", "local",
        "--watch", "jsonl:w",
    )  # fmt: skip
    assert found == RunSpec(
        "raw-pixels", "phantom-mini", None, ("a", "b", "c"), "o", model="m", device="cpu", precision="fp32",
        compiled=True, deterministic=True, threads=2, batch_size=3, trust_code=True, allow_outside=True,
        accept_checksum=True, cache=False, command=found.command, executor="slurm", watches=("jsonl:w",),
        resources=Resources(4, "local", "p", 5, "l", 6, 7),
    )  # fmt: skip
