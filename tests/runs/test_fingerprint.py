"""A suite's fingerprint: every definition, parameter and checksum counts, the order of keys does not."""

import bz2
import copy
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.data.sources.npz import NpzSource
from bench.data.task import Suite, Task, suite_names
from bench.errors import CardError
from bench.locate import shipped
from bench.metrics import SCORING
from bench.protocols.base import Protocol
from bench.runs.fingerprint import suite_fingerprint
from bench.runs.plan import make_plan
from bench.runs.records import Record
from bench.strict import read_toml

SUITE = {
    "schema": 1, "name": "s", "title": "S", "tasks": ["t", "u"],
    "protocols": [
        {"name": "p-v1", "budgets": ["1%", "100%"], "seeds": 5},
        {"name": "q-v1", "budgets": ["k=4"], "seeds": 2},
    ],
}  # fmt: skip


def card(name):
    return {
        "schema": 1, "name": name, "title": "T", "modality": "ct", "target": "binary", "classes": ["a", "b"],
        "licence": "CC0", "corpus": "c",
        "source": {"reader": "npz", "file": "f.npz", "md5": "0" * 32, "rows": {"train": 1}},
    }  # fmt: skip


class Linear(Protocol):
    kind = "global"

    def __init__(self, name, **params):
        self.name, self.params = name, params

    def predict(self, problem, subsets):
        raise NotImplementedError


def of(suite=SUITE, tasks=None, protocols=None):
    tasks = tasks or {"t": card("t"), "u": card("u")}
    return suite_fingerprint(
        Suite.parse(suite, where="s"),
        {name: Task.parse(values, where=name) for name, values in tasks.items()},
        protocols or {"p-v1": Linear("p-v1", c=1), "q-v1": Linear("q-v1", k=2)},
    )


def changed(values, path, value):
    values = copy.deepcopy(values)
    *inner, last = path
    place = values
    for step in inner:
        place = place[step]
    place[last] = value
    return values


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["name"], "s2"),
        (["tasks"], ["t"]),
        (["synthetic"], True),
        (["protocols", 0, "seeds"], 4),
        (["protocols", 0, "budgets"], ["1%"]),
        (["protocols", 1, "name"], "p-v1"),
    ],
)
def test_the_suite_counts(path, value):
    assert of(changed(SUITE, path, value)) != of()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["modality"], "mri"),
        (["classes"], ["b", "a"]),
        (["metric"], "balanced_accuracy"),
        (["corpus"], "d"),
        (["origin"], "o"),
        (["left_out"], "saturated"),
        (["extent"], "focal"),
        (["synthetic"], True),
        (["source", "md5"], "1" * 32),
        (["source", "file"], "g.npz"),
        (["source", "rows", "train"], 2),
        (["source", "mask"], "nonzero"),
    ],
)
def test_every_definition_and_checksum_of_a_card_counts(path, value):
    assert of(tasks={"t": changed(card("t"), path, value), "u": card("u")}) != of()


def test_the_scoring_version_counts_and_the_first_one_is_not_spoken_of():
    first = of(SUITE | {"scoring": 1})
    assert first != of(SUITE | {"scoring": 2})
    assert of() == of(SUITE | {"scoring": SCORING})
    # The value of before suites stated a scoring version.
    assert first == "67571387578e749363c40f5cfcd4a45bc00db9d204ea4456ceeb123de7e7f234"


def test_parameters_count():
    assert of(protocols={"p-v1": Linear("p-v1", c=2), "q-v1": Linear("q-v1", k=2)}) != of()
    assert of(protocols={"p-v1": Linear("p-v1", c=1, d=1), "q-v1": Linear("q-v1", k=2)}) != of()


def test_the_version_of_a_reader_counts_from_scoring_2_on(monkeypatch):
    before = of(), of(SUITE | {"scoring": 1})
    monkeypatch.setattr(NpzSource, "version", "another")
    assert of() != before[0]
    assert of(SUITE | {"scoring": 1}) == before[1]


@pytest.mark.parametrize("encoder", ["raw-pixels", "tiny-vit-simclr"])
def test_phantom_v1_keeps_the_fingerprint_of_the_records_made_on_it(encoder):
    with bz2.open(shipped("submissions") / encoder / "phantom-v1" / "records.jsonl.bz2", "rt") as file:
        record = Record.from_json(file.readline())
    plan = make_plan("phantom-v1")
    assert record.scoring == plan.suite.scoring == 1
    assert record.made_by.suite_fingerprint == suite_fingerprint(plan.suite, plan.tasks, plan.protocols)


@pytest.mark.parametrize("name", suite_names())
def test_every_shipped_suite_states_its_scoring(name):
    assert "scoring" in read_toml(shipped("tasks") / "suites" / f"{name}.toml")


@given(st.randoms(use_true_random=False))
def test_order_of_keys_and_lists_does_not_count(random):
    def shuffled(value):
        if isinstance(value, dict):
            items = list(value.items())
            random.shuffle(items)
            return {k: shuffled(v) if k != "classes" else v for k, v in items}
        if isinstance(value, list):
            return random.sample([shuffled(v) for v in value], len(value))
        return value

    tasks = shuffled({"t": card("t"), "u": card("u")})
    assert of(shuffled(SUITE), tasks, shuffled({"p-v1": Linear("p-v1", c=1), "q-v1": Linear("q-v1", k=2)})) == of()


def test_prose_and_addresses_do_not_count():
    tasks = {"t": card("t") | {"title": "Better", "caveats": ["more"], "description": "x"}, "u": card("u")}
    tasks["t"]["source"]["url"] = "https://elsewhere.example/f.npz"
    assert of(SUITE | {"title": "Better", "description": "x"}, tasks) == of()


def test_names_that_are_not_given_are_errors():
    with pytest.raises(CardError, match="suite 's': names 'u'"):
        of(tasks={"t": card("t")})
    with pytest.raises(CardError, match="names 'q-v1'"):
        of(protocols={"p-v1": SimpleNamespace(sha256="x", reads_text=False)})
