"""Has an encoder seen a task's images? Known cases, and what silence can and cannot do."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bench.submissions.contamination as module
from bench.data.task import shipped_tasks, suite_names
from bench.encoders import reference
from bench.encoders.card import PretrainingCorpus
from bench.encoders.catalogue import cards
from bench.submissions.contamination import contamination, known_corpus, sources_of
from bench.words import MODALITIES

TASKS = shipped_tasks()
TABLE = tomllib.loads(Path(module.__file__).with_name("corpora.toml").read_text(encoding="utf-8"))["corpus"]
CARD = next(iter(reference.cards().values()))
CORPORA = st.lists(st.sampled_from([*sorted(TABLE), "a hospital of ours"]), max_size=4)


def state(names: list[str] | None, task: str) -> str:
    corpora = None if names is None else [PretrainingCorpus(corpus=name) for name in names]
    return contamination(CARD.model_copy(update={"pretraining": corpora}), TASKS[task]).state


@pytest.mark.parametrize(
    ("corpus", "task", "expected"),
    [
        ("NIH ChestX-ray14", "chestmnist-224", "yes"),
        ("nih_cxr14", "chestmnist-224", "yes"),
        ("MedMNIST+", "chestmnist-224", "yes"),
        ("RSNA Pneumonia Detection Challenge", "chestmnist-224", "yes"),
        ("LiTS", "organamnist-224", "yes"),
        ("OrganCMNIST", "organamnist-224", "yes"),
        ("TCGA", "monusac-256", "yes"),
        ("MedMNIST", "fracturemnist3d-64", "yes"),
        ("COVID-19 Radiography Database", "pneumoniamnist-224", "yes"),
        ("CheXpert", "chestmnist-224", "no"),
        ("ImageNet", "chestmnist-224", "no"),
        ("TCGA", "pathmnist-224", "no"),
        ("our hospital's X-rays", "chestmnist-224", "unknown"),
        ("PANCAN-XL", "monusac-256", "yes"),
        ("PANCAN-XL", "pathmnist-224", "unknown"),
        ("OpenUS-46", "breastmnist-224", "unknown"),
        ("OpenUS-46", "chestmnist-224", "no"),
        ("NIH-CXR8", "chestmnist-224", "yes"),
        ("Imaging Data Commons", "nodulemnist3d-64", "yes"),
        ("CT-3M", "organamnist-224", "unknown"),
        ("BRAX", "chestmnist-224", "no"),
        ("SA-1B", "breastmnist-224", "no"),
        ("open-v1-training", "kvasirseg", "no"),
        ("open-v1-training", "chestmnist-224", "no"),
        ("open-v1-training", "pneumoniamnist-224", "yes"),
    ],
)
def test_known_cases(corpus: str, task: str, expected: str) -> None:
    assert state([corpus], task) == expected


def test_every_corpus_of_a_task_is_in_the_vocabulary() -> None:
    assert {task.corpus for task in TASKS.values() if known_corpus(task.corpus) != task.corpus} == set()


def test_the_vocabulary_is_sound() -> None:
    meant: dict[str, set[str]] = {}
    for name, entry in TABLE.items():
        for alias in [name, *entry.get("aliases", [])]:
            meant.setdefault(module._plain(alias), set()).add(name)
    assert {alias for alias, names in meant.items() if len(names) > 1} == set()
    assert {inner for entry in TABLE.values() for inner in entry.get("contains", [])} <= set(TABLE)
    assert all(name in sources_of(name) for name in TABLE)
    assert {word for entry in TABLE.values() for word in entry.get("gathers", [])} <= {"any", *MODALITIES}
    assert {key for entry in TABLE.values() for key in entry} == {"aliases", "contains", "gathers", "apart_from"}
    assert {entry["apart_from"] for entry in TABLE.values() if "apart_from" in entry} <= set(suite_names())


def test_what_gathers_public_sets_has_not_gathered_made_up_images() -> None:
    made_up = [name for name, task in TASKS.items() if task.synthetic]
    assert made_up
    assert {state(["OpenUS-46", "CT-3M", "Imaging Data Commons"], name) for name in made_up} == {"no"}


def test_the_catalogue_names_corpora_of_the_vocabulary() -> None:
    """Those of one owner are named as they call them, and stay unknown."""
    named = {c.corpus for card in cards().values() for c in card.pretraining or ()}
    assert {corpus for corpus in named if known_corpus(corpus) is None} == {"Mass-100K"}


@given(CORPORA, st.sampled_from(sorted(TABLE)), st.sampled_from(sorted(TASKS)))
def test_telling_more_never_makes_a_cell_clean(names: list[str], more: str, task: str) -> None:
    """Adding a corpus to a card moves its state towards "yes", never towards "no"."""
    order = ("no", "unknown", "yes")
    assert order.index(state([*names, more], task)) >= order.index(state(names, task))


@given(st.sampled_from(sorted(TASKS)))
def test_silence_is_unknown_never_clean(task: str) -> None:
    assert state(None, task) == "unknown"


def test_training_images_alone_are_said():
    found = contamination(
        CARD.model_copy(update={"pretraining": [PretrainingCorpus(corpus="open-v1-training")]}), TASKS["ph2"]
    )
    assert found.reason == "open-v1-training holds training images of it, and none of its validation or test patients"
