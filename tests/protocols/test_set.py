"""What each protocol says of itself, as suites, records and pages read it: a change here is a new version."""

from __future__ import annotations

import pytest

from bench.discover import members
from bench.laws.problems import make_task
from bench.protocols import _corrupt
from bench.protocols.base import base_split, copy_of

ANY = ("%", "k=", "n=")
CLASSES = ("binary", "multi-class", "multi-label", "ordinal")
TARGETS = {"cox-v1": ("survival",), "ridge-v1": ("number",), "zero-shot-v1": CLASSES, "bag-attention-v1": CLASSES}
SET = {  # name: title, kind and board, budgets, flags, bags, volumes, hash of name and params
    "attentive-v1": ("Attentive probe", "global diagnostic", ANY, "needs_grid seeded", "too", "too", "799a3284ce18"),
    "bag-attention-v1": (
        "Gated attention over the bag",
        "global diagnostic",
        ANY,
        "seeded",
        "only",
        "too",
        "042065458d19",
    ),
    "bag-max-v1": ("Linear probe, largest of the bag", "global diagnostic", ANY, "", "only", "too", "795a29526eb6"),
    "cox-v1": ("Cox probe", "global frozen", ANY, "", "too", "too", "b2194aa9eacc"),
    "dense-linear-v1": ("Dense linear probe", "dense frozen", ANY, "", "too", "never", "5d748753964e"),
    "dense-linear-v2": ("Dense linear probe", "dense frozen", ANY, "", "too", "never", "83fb00d66bcf"),
    "dense-retrieval-v1": ("Dense retrieval", "dense frozen", ANY, "seeded", "too", "never", "91e2c1cd010e"),
    "dense-retrieval-v2": ("Dense retrieval", "dense frozen", ANY, "seeded", "too", "never", "ce7dce1f1d27"),
    "dense-volume-v1": ("Dense linear probe of volumes", "dense frozen", ANY, "", "too", "only", "c84d41c889c0"),
    "few-shot-v1": ("SimpleShot", "global frozen", ("k=",), "", "too", "too", "b56ac00dccfc"),
    "fine-tune-v1": ("Fine-tuning", "global fine-tune", ANY, "seeded", "never", "too", "8ca26835d5b9"),
    "knn-parity-v1": ("k nearest neighbours, Euclidean", "global diagnostic", ANY, "", "too", "too", "9cffa2c2bd7c"),
    "knn-v1": ("k nearest neighbours", "global frozen", ANY, "", "too", "too", "a6d3fd832c1b"),
    "linear-fine-v2": ("Linear probe, fine grid", "global diagnostic", ANY, "", "too", "too", "503b66071b1f"),
    "linear-shots-v2": ("Linear probe, few shots", "global diagnostic", ("k=",), "", "too", "too", "b2e6255f517c"),
    "linear-v1": ("Linear probe", "global frozen", ANY, "", "too", "too", "0da8b99e860e"),
    "linear-v2": ("Linear probe", "global frozen", ANY, "", "too", "too", "a3efcdc67f23"),
    "ridge-v1": ("Ridge probe", "global frozen", ANY, "", "too", "too", "3cbf2279aa31"),
    "robustness-v2": ("Robustness to corruptions", "global robustness", ("%",), "", "never", "too", "9d43b0295f93"),
    "zero-shot-v1": ("Zero-shot, by prompts", "global zero-shot", ("k=0",), "reads_text", "too", "too", "66995336e79c"),
}
PROTOCOLS = members("bench.protocols", "PROTOCOL")


def test_the_set() -> None:
    assert sorted(PROTOCOLS) == sorted(SET)


@pytest.mark.parametrize("name", sorted(SET))
def test_a_protocol(name: str) -> None:
    p = PROTOCOLS[name]
    flags = " ".join(flag for flag in ("needs_grid", "reads_text", "seeded") if getattr(p, flag))
    assert (p.title, f"{p.kind} {p.board}", p.takes, flags, p.bags, p.volumes, p.sha256[:12]) == SET[name]
    assert (p.name, p.targets) == (name, TARGETS.get(name, (*CLASSES, "mask")))


def test_results_on_masks_of_several_classes_are_told_from_those_without_a_bound_on_the_gap() -> None:
    for name in ("dense-linear-v1", "dense-linear-v2", "dense-volume-v1"):
        protocol = PROTOCOLS[name]
        assert protocol.sha256_on(make_task("mask", 2)) == protocol.sha256
        assert protocol.sha256_on(make_task("mask", 3)) != protocol.sha256
    assert PROTOCOLS["linear-v2"].sha256_on(make_task("multi-class", 3)) == PROTOCOLS["linear-v2"].sha256


def test_what_is_written_down_of_the_numbers() -> None:
    """docs/protocols.md and the papers that the modules name."""
    shots, parity = PROTOCOLS["few-shot-v1"].params, PROTOCOLS["knn-parity-v1"].params
    assert shots == {"centre": "support", "length": 1, "distance": "euclidean", "scores": "softmax(-d^2/2)"}
    assert parity == {"k": 11, "distance": "euclidean", "centre": None, "weights": "uniform"}
    blur = PROTOCOLS["robustness-v2"].params["blur_sd"]
    assert blur == _corrupt.BLUR_SD
    assert sorted(blur) == list(blur), "stronger at each severity"


def test_names_of_changed_copies() -> None:
    assert copy_of("test", "noise-3") == "test~noise-3"
    assert base_split("test~noise-3") == base_split("test") == "test"


def test_a_protocol_says_why_it_does_not_apply() -> None:
    linear, dense = PROTOCOLS["linear-v2"], PROTOCOLS["dense-linear-v2"]
    assert linear.refuses(make_task("mask", 2)) == "linear-v2 is for global tasks"
    assert dense.refuses(make_task("binary", 2)) == "dense-linear-v2 is for dense tasks"
    assert PROTOCOLS["bag-max-v1"].refuses(make_task("binary", 2)) == "bag-max-v1 is for bags of images"
    assert PROTOCOLS["few-shot-v1"].refuses_budget("10%") == "few-shot-v1 is defined for budgets with 'k='"
    assert linear.refuses_budget("n=16") is None


def _floats(value: object) -> list[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        return [number for part in value for number in _floats(part)]
    return [value] if isinstance(value, float) else []


@pytest.mark.parametrize("name", sorted(SET))
def test_its_numbers_are_the_same_on_every_processor(name: str) -> None:
    """What is computed (a power, a logarithm) may differ in the last digit, and with it the protocol's hash."""
    assert all(x == float(f"{x:.12g}") for x in _floats(dict(PROTOCOLS[name].params)))
