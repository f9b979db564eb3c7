"""Options by name land in their group; a wrong name is no silent default."""

from __future__ import annotations

import pytest

import bench
from bench.errors import RunError
from bench.laws.problems import TinyEncoder
from bench.runs.options import Resources, RunSpec, Trust, What, Where


def test_options_by_name_are_those_of_the_groups():
    found = RunSpec.of("e", None, "cards", device="cpu", minutes=5, trust_code=True, command="c")
    assert found == RunSpec(
        What("e", None, "cards"), Where("cpu", resources=Resources(minutes=5)), Trust(trust_code=True), "c"
    )


def test_what_is_not_changed_stays():
    one = RunSpec.of("e", device="cpu", partition="p")
    assert one.but(workers=2) == RunSpec.of("e", device="cpu", partition="p", workers=2)


def test_an_option_there_is_not_is_refused(tmp_path):
    with pytest.raises(TypeError, match="'devise'"):
        bench.run("raw-pixels", out=tmp_path / "runs", devise="cpu")
    assert not (tmp_path / "runs").exists()


def test_an_encoder_in_memory_is_not_loaded_by_its_name_elsewhere(tmp_path):
    with pytest.raises(RunError, match="in memory"):
        bench.run(TinyEncoder(), out=tmp_path / "runs", executor="processes")


def test_python_takes_the_groups_whole(tmp_path, monkeypatch):
    seen: list[RunSpec] = []

    def session(spec, held):
        seen.append(spec)
        raise RunError("seen")

    monkeypatch.setattr(bench.api, "session", session)
    for more in ({"where": Where("cpu"), "trust": Trust(trust_code=True)}, {"device": "cpu", "trust_code": True}):
        with pytest.raises(RunError, match="seen"):
            bench.run("raw-pixels", **more)
    assert seen == [RunSpec.of("raw-pixels", device="cpu", trust_code=True)] * 2
