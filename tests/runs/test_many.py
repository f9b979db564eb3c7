"""Many encoders through one suite: what can be had runs, the rest is named, and the disk is kept to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save

from bench.encoders.hub import snapshot
from bench.encoders.load import open_card
from bench.encoders.weights_on_disk import download_bytes, is_here
from bench.errors import CardError, RunError
from bench.runs.many import expected, names_of, run_many
from bench.runs.options import RunSpec
from bench.runs.plan import make_plan
from bench.runs.run import run
from tests.encoders.hub_server import Hub, Repo


@pytest.fixture
def spec(squares: Path, tmp_path: Path) -> RunSpec:
    return RunSpec.of(encoder="", suite=None, tasks=str(squares), only=("which",), out=str(tmp_path / "runs"))


@pytest.fixture
def three(hub: Hub) -> Hub:
    """Two small networks, and one that nobody may have."""
    for seed, name in enumerate(("one", "two", "gated")):
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            state = timm.create_model("resnet10t", num_classes=0).state_dict()
        cfg = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear"}
        config = {"architecture": "resnet10t", "pretrained_cfg": cfg}
        held = {"model.safetensors": save(state), "config.json": json.dumps(config).encode()}
        commit = f"{seed}" * 40
        hub.repos[f"lab/{name}"] = Repo({commit: held}, commit)
    return hub


def plan_of(spec: RunSpec):
    return make_plan(spec.what.suite, Path(spec.what.tasks), spec.what.only)


def test_what_cannot_be_had_is_left_out_with_its_reason(three: Hub, spec: RunSpec) -> None:
    three.repos["lab/gated"].refusal = (401, "GatedRepo")
    names = ["hf:lab/gated", "no-such-encoder", "raw-pixels", "hf:lab/one"]
    ended = list(run_many(names, spec, plan_of(spec), run))
    assert [left.encoder for left in ended] == names
    assert "is gated and you are not logged in" in ended[0].reason
    assert "no folder, card or known encoder" in ended[1].reason
    assert all(left.records and not left.reason for left in ended[2:])
    assert {r.weights_sha256 for r in ended[3].records} == {_sha(three, "one")}


def _sha(hub: Hub, name: str) -> str:
    return snapshot(f"lab/{name}", None, where="test").files["model.safetensors"].sha256


def test_the_disk_is_kept_to_and_a_finished_encoder_is_not_fetched_again(three: Hub, spec: RunSpec) -> None:
    size = download_bytes(open_card("hf:lab/one"))
    names = ["hf:lab/one", "hf:lab/two"]
    first = list(run_many(names, spec, plan_of(spec), run, disk=size + 100))
    assert [left.reason for left in first] == ["", ""]
    assert [is_here(open_card(name)) for name in names] == [False, True]
    asked = len(three.requests)
    again = list(run_many(names, spec, plan_of(spec), run, disk=size + 100))
    assert [len(left.records) for left in again] == [len(left.records) for left in first]
    assert not [r for r in three.requests[asked:] if "/cdn/" in r]


def test_weights_over_the_limit_are_left_out(three: Hub, spec: RunSpec) -> None:
    (left,) = run_many(["hf:lab/one"], spec, plan_of(spec), run, disk=1000)
    assert "over the 0.00 GB of --disk" in left.reason
    assert is_here(open_card("hf:lab/one")) is False


def test_what_is_to_come_is_told_before(three: Hub, spec: RunSpec) -> None:
    small, large, here = expected(["hf:lab/one", "dinov2-large", "raw-pixels"], plan_of(spec))
    assert small.download == len(three.repos["lab/one"].commits["0" * 40]["model.safetensors"])
    assert large.download == 4 * 304367616  # the hub here does not hold it: from the card's parameters
    assert here.download == 0
    assert large.seconds > 20 * small.seconds
    assert not [r for r in three.requests if "/cdn/" in r]


def test_names_come_from_words_a_list_or_a_file(tmp_path: Path) -> None:
    assert "lunit-swav-resnet50" in names_of("catalogue:lunit-tcga")
    assert names_of("a, b,a") == ["a", "b"]
    (tmp_path / "list.txt").write_text("# ours\nraw-pixels\n\ndinov2-small  # theirs\n")
    assert names_of(str(tmp_path / "list.txt")) == ["raw-pixels", "dinov2-small"]
    with pytest.raises(CardError, match="no card of the catalogue is 'smal'"):
        names_of("catalogue:smal")
    with pytest.raises(RunError, match="names no encoder"):
        names_of(" , ")


def test_another_suite_is_not_taken_for_finished(three: Hub, spec: RunSpec) -> None:
    size = download_bytes(open_card("hf:lab/one"))
    list(run_many(["hf:lab/one", "hf:lab/two"], spec, plan_of(spec), run, disk=size + 100))
    other = spec.but(only=("which", "where"))
    (left,) = run_many(["hf:lab/one"], other, plan_of(other), run, disk=size + 100)
    assert {r.unit.task for r in left.records} == {"which", "where"}
