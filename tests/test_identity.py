"""What was measured, by content: which part of an identity each change reaches, and in which words it is told."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import bench
from bench.data.dataset import Split, TaskData
from bench.data.task import Task
from bench.encoders.base import Encoder
from bench.encoders.load import read_card
from bench.features.probe import Probe
from bench.identity import Computed, Identity, Measure, card_changes, card_parts, made_with, measured, part, task_parts

CARD = {
    "schema": 1, "name": "t", "title": "T", "modality": "mri", "target": "binary", "classes": ["no", "yes"],
    "licence": "x", "corpus": "x", "source": {"reader": "npz", "file": "t.npz"},
}  # fmt: skip


def encoder(value: float = 0.5, **options: object) -> Encoder:
    """A convolution of one weight, wrapped."""
    network = torch.nn.Conv2d(3, 4, 4, stride=4)
    torch.nn.init.constant_(network.weight, value)
    torch.nn.init.zeros_(network.bias)
    return bench.wrap(network, name="mine", **{"size": 32, **options})


def computed(dense: bool = False, value: float = 0.5, **options: object) -> Computed:
    return Measure(encoder(value, **options)).computed("t", dense)


def task(**changes: object) -> Task:
    return Task.parse(CARD | changes, where="test")


def data(card: Task | None = None, **changes: np.ndarray) -> TaskData:
    """Three images a split; `changes` are of the test split's columns."""
    columns = {
        "images": np.arange(3 * 64, dtype=np.uint8).reshape(3, 8, 8, 1), "labels": np.array([0, 1, 0]),
        "groups": np.array(["p", "q", "q"]),
    }  # fmt: skip
    splits = {
        name: Split(**(columns | {"ids": np.array([f"{name}/{i}" for i in range(3)])}))
        for name in ("train", "val", "test")
    }
    splits["test"] = Split(**({"ids": splits["test"].ids} | columns | changes))
    return TaskData(card or task(), splits["train"], splits["val"], {"test": splits["test"]}, "")


@pytest.mark.parametrize(
    ("dense", "change", "told"),
    [
        (False, {}, []),
        (False, {"value": 0.6}, ["the weights changed"]),
        (False, {"size": 64}, ["the preprocessing changed"]),
        (False, {"features": "max"}, ["the pooling or the layer changed"]),
        (
            False,
            {"features": lambda net, x: net(x).amax((2, 3))},
            ["the encoder computes other features of the same images"],
        ),
        (False, {"authors": ["B. Author"], "licence": "MIT", "title": "New", "paradigm": "hybrid"}, []),
        (False, {"size": 64, "value": 0.6}, ["the weights changed", "the preprocessing changed"]),
        (True, {"features": "max"}, ["the pooling or the layer changed"]),
    ],
)
def test_what_an_encoder_computes_and_in_which_words(dense: bool, change: dict, told: list[str]) -> None:
    assert computed(dense).changes(computed(dense, **change)) == told


def test_how_it_is_executed_counts_only_where_it_is_asked() -> None:
    before = computed()
    now = before.model_copy(update={"execution": "bf16"})
    assert before.changes(now) == [f"computed in {before.execution} before, bf16 now"]
    assert before.changes(now, executed=False) == []


def test_the_size_of_the_grid_is_of_dense_features_alone() -> None:
    prepared = {"size": 32, "channels": 3, "mean": [0.0] * 3, "std": [1.0] * 3}
    plain, fine = (encoder(preprocessing=prepared | more).card for more in ({}, {"dense_size": 64}))
    assert card_parts(plain, dense=False) == card_parts(fine, dense=False)
    assert card_parts(plain, dense=True)["preprocessing"] != card_parts(fine, dense=True)["preprocessing"]


def test_where_the_weights_lie_is_no_part_of_the_source(tmp_path: Path) -> None:
    (tmp_path / "encoder.toml").write_text(
        'schema = 1\nname = "x"\nversion = "1"\ntitle = "X"\nauthors = ["A"]\nlicence = "x"\nparadigm = "contrastive"\n'
        'objective = "other"\nmethod = "x"\narchitecture = "cnn"\n[source]\nadapter = "timm"\nmodel = "resnet18"\n'
        f'weights = "a.pth"\nsha256 = "{"1" * 64}"\n[preprocessing]\nsize = 32\nmean = [0.5]\nstd = [0.5]\n'
    )
    card = read_card(tmp_path)
    moved = card.model_copy(update={"source": card.source | {"weights": "folder/b.pth"}})
    other = card.model_copy(update={"source": card.source | {"model": "resnet34"}})
    assert card_parts(card, dense=False) == card_parts(moved, dense=False)
    assert card_parts(card, dense=False) != card_parts(other, dense=False)


def test_a_probe_that_is_kept_stands_for_its_equals_and_each_is_measured_once() -> None:
    kept, asked = [], []

    def adopt(found: Probe) -> Probe:
        asked.append(found.digest)
        kept.append(Probe({name: array + np.float32(1e-7) for name, array in found.arrays.items()}))
        return kept[0]

    measure = Measure(encoder(), adopt)
    assert [measure.computed(name, False).probe for name in "ab"] == [kept[0].digest] * 2
    assert measure.at(lambda found: found).computed("a", False).probe == asked[0] != kept[0].digest
    assert len(set(asked)) == 1
    assert measure.computed("a", True).probe == kept[0].digest
    assert len(set(asked)) == 2, "dense features are measured apart"


def test_the_card_that_made_a_unit_is_known_by_what_it_computes() -> None:
    mine = encoder()
    for dense in (False, True):
        identity = Identity(encoder=Measure(mine).computed("t", dense), data=measured(data()))
        assert made_with(identity, mine.card)
        assert made_with(identity, mine.card.model_copy(update={"title": "New", "version": "2"}))
        assert not made_with(identity, encoder(size=64).card)
    assert not made_with(None, mine.card)


SPLITS = "the splits or their order changed"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, []),
        ({"images": np.zeros((3, 8, 8, 1), np.uint8)}, ["the images changed"]),
        ({"labels": np.array([1, 1, 0])}, ["the labels changed"]),
        ({"groups": np.array(["p", "q", "r"])}, ["the groups changed"]),
        ({"groups": None}, ["the groups changed"]),
        ({"strata": {"finding": np.array(["a", "", "b"])}}, ["the strata changed"]),
        ({"ids": np.array(["test/0", "test/1", "test/7"])}, [SPLITS]),
        ({"ids": np.array(["test/0", "test/1", "test/7"]), "labels": np.array([1, 1, 1])}, [SPLITS]),
        (
            {"images": np.zeros((3, 8, 8, 1), np.uint8), "labels": np.array([1, 1, 0])},
            ["the images changed", "the labels changed"],
        ),
    ],
)
def test_what_the_data_are_and_in_which_words(change: dict, told: list[str]) -> None:
    assert measured(data()).changes(measured(data(**change))) == told


@pytest.mark.parametrize("key", ["classes", "modality", "metric", "target"])
def test_of_a_task_card_what_decides_a_score_counts(key: str) -> None:
    other = {"classes": ["a", "b"], "modality": "ct", "metric": "balanced_accuracy", "target": "multi-class"}[key]
    held = measured(data())
    assert card_changes(held, task_parts(task(**{key: other}))) == ["what the task asks for changed"]
    assert held.changes(measured(data(task(**{key: other})))) == ["what the task asks for changed"]


def test_prose_and_places_of_a_task_card_count_for_nothing() -> None:
    source = {"reader": "npz", "file": "elsewhere.npz"}
    other = task(title="New", licence="y", corpus="z", description="d", caveats=["c"], source=source)
    assert card_changes(measured(data()), task_parts(other)) == []
    assert measured(data()).changes(measured(data(other))) == []


def test_how_slices_become_one_vector_is_told() -> None:
    volumes = task(source=CARD["source"] | {"volume": True, "aggregation": "max"})
    assert card_changes(measured(data()), task_parts(volumes)) == ["aggregation '-' before, 'max' now"]


def test_a_part_depends_on_the_value_and_not_on_the_order_of_keys() -> None:
    assert part({"a": 1, "b": [2]}) == part({"b": [2], "a": 1}) != part({"a": 1, "b": [3]})
    assert len(part("x")) == 16
