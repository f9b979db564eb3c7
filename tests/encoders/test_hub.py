"""The road to a model hub, against one on this machine that speaks its protocol."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bench.encoders.hub import fetch, snapshot
from bench.errors import EncoderError, RunError
from tests.encoders.hub_server import Hub, Repo

A, B = "a" * 40, "b" * 40
WEIGHTS = bytes(range(256)) * 4000
NAME = "lab/net"


def repo(**changes: object) -> Repo:
    return Repo({A: {"model.safetensors": WEIGHTS, "config.json": b"{}"}}, A, **changes)


def get(revision: str | None = A, file: str = "model.safetensors") -> Path:
    return fetch(NAME, file, revision, where="card")


def test_large_and_small_files_arrive_whole_and_are_asked_for_once(hub: Hub) -> None:
    hub.repos[NAME] = repo()
    assert get().read_bytes() == WEIGHTS
    assert get(file="config.json").read_bytes() == b"{}"
    asked = len(hub.requests)
    assert get().read_bytes() == WEIGHTS
    assert len(hub.requests) == asked
    hub.stop()
    assert get().read_bytes() == WEIGHTS


def test_a_listing_says_commit_sizes_hashes_and_licence(hub: Hub) -> None:
    hub.repos[NAME] = repo(licence="cc-by-4.0")
    found = snapshot(NAME, None, where="card")
    assert (found.revision, found.licence) == (A, "cc-by-4.0")
    assert found.files["model.safetensors"].size == len(WEIGHTS)
    assert found.files["config.json"].sha256 is None


def test_a_cut_connection_goes_on_where_it_stopped(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 1000)
    hub.repos[NAME] = repo(cuts=1)
    assert get().read_bytes() == WEIGHTS
    assert hub.ranges == [f"bytes={len(WEIGHTS) // 2}-"]


def test_wrong_bytes_are_refused_and_not_kept(hub: Hub) -> None:
    hub.repos[NAME] = repo(spoilt=True)
    with pytest.raises(EncoderError, match=r"arrived damaged: sha256 [0-9a-f]{64}, the hub says [0-9a-f]{64}"):
        get()
    hub.repos[NAME].spoilt = False
    assert get().read_bytes() == WEIGHTS


@pytest.mark.parametrize(
    ("token", "refusal", "message"),
    [
        (None, (401, "GatedRepo"), "lab/net is gated and you are not logged in .*accept its terms at .*set HF_TOKEN"),
        ("hf_x", (403, "GatedRepo"), "access to lab/net is not granted to the account of your HF_TOKEN"),
        ("hf_x", (403, ""), "access to lab/net is not granted"),
        ("hf_x", (401, ""), "the hub refuses your HF_TOKEN for lab/net"),
        (None, (401, "RepoNotFound"), "the hub shows no repository lab/net"),
    ],
)
def test_who_may_not_have_a_file_reads_why(hub, token, refusal, message, monkeypatch) -> None:
    if token:
        monkeypatch.setenv("HF_TOKEN", token)
    hub.repos[NAME] = repo(refusal=refusal)
    with pytest.raises(EncoderError, match=message):
        get()
    assert hub.tokens == ([f"Bearer {token}"] * len(hub.tokens) if token else [])


def test_a_token_is_sent_to_the_hub_and_not_to_where_it_points(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    hub.repos[NAME] = repo()
    get()
    assert hub.tokens
    assert len(hub.tokens) == len([r for r in hub.requests if "/cdn/" not in r])


def test_an_unknown_repository_commit_and_file_are_told_apart(hub: Hub) -> None:
    with pytest.raises(EncoderError, match="the hub shows no repository lab/net"):
        get()
    hub.repos[NAME] = repo()
    with pytest.raises(EncoderError, match=f"the hub has no commit {B} of lab/net .*history was rewritten"):
        get(B)
    with pytest.raises(EncoderError, match=r"lab/net@aaaaaaaa holds no other\.bin"):
        get(file="other.bin")


def test_no_network_is_one_message_at_once(hub: Hub) -> None:
    hub.stop()
    started = time.monotonic()
    with pytest.raises(EncoderError, match=r"cannot get lab/net@aaaaaaaa from http://127.* .*check the network"):
        get()
    assert time.monotonic() - started < 3


def test_offline_is_said_to_be_a_setting(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(EncoderError, match="is not on this machine, and HF_HUB_OFFLINE is set"):
        get()
    assert hub.requests == []


def test_a_file_larger_than_the_disk_is_refused_before_it_comes(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repos[NAME] = repo()
    monkeypatch.setattr("bench.data.space.SPARE_BYTES", 1 << 60)
    with pytest.raises(RunError, match=r"GB are free \(free some space, or set HF_HOME to a larger disk\)"):
        get()
    assert not [r for r in hub.requests if "/cdn/" in r]


def test_a_busy_hub_is_not_waited_for(hub: Hub) -> None:
    hub.repos[NAME] = repo(busy=True)
    with pytest.raises(EncoderError, match="the hub answers 503 for lab/net"):
        snapshot(NAME, None, where="card")
