"""Which TOML files below a folder are task cards."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.data.choose import chosen_tasks
from bench.data.task import Task, cards_in, tasks_in
from bench.encoders.load import REFERENCE
from bench.errors import CardError
from bench.strict import parse_toml
from tests.cards import task_card

CARD = task_card("NAME", 'reader = "npz", file = "own.npz"', corpus="x")
SUITE = 'schema = 1\nname = "s"\ntitle = "S"\ntasks = ["one"]\n[[protocols]]\nname = "knn-v1"\nbudgets = ["100%"]\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One task card, among everything else that a working folder holds."""
    encoder = (REFERENCE / "raw-pixels.toml").read_text()
    files = {
        "cards/one.toml": CARD.replace("NAME", "one"),
        "pyproject.toml": '[project]\nname = "mine"\n',
        "suite.toml": SUITE,
        "my-encoder.toml": encoder,
        "broken/encoder.toml": "not TOML",
        "runs/raw-pixels/encoder.toml": encoder,
        "runs/raw-pixels/mine/run.json": "{}",
        "runs/raw-pixels/mine/task.toml": CARD.replace("NAME", "one"),
        ".venv/pkg/task.toml": CARD.replace("NAME", "one"),
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_only_task_cards_are_read(folder: Path) -> None:
    assert list(tasks_in(folder)) == ["one"]


def test_relative_paths_start_at_the_folder_of_the_card(folder: Path) -> None:
    assert cards_in(folder)["one"][1] == folder / "cards"
    ((_, start),) = chosen_tasks([str(folder)])
    assert start == folder / "cards"


@pytest.mark.parametrize(
    "text",
    [CARD.replace("NAME", "two").replace("schema = 1\n", ""), CARD.replace("target", "tarjet"), 'title = "x"', "x = ["],
)
def test_a_broken_task_card_is_an_error_that_names_it(folder: Path, text: str) -> None:
    (folder / "cards" / "two.toml").write_text(text)
    with pytest.raises(CardError, match=r"two\.toml"):
        tasks_in(folder)


def test_a_name_that_is_taken_names_both_cards(folder: Path) -> None:
    (folder / "again.toml").write_text(CARD.replace("NAME", "one"))
    with pytest.raises(CardError, match=r"cards/one\.toml|again\.toml") as refused:
        tasks_in(folder)
    assert refused.value.fix


def test_grades_in_the_order_of_letters_are_refused():
    def card(*classes):
        return {**parse_toml(CARD.replace("NAME", "one"), where="x"), "target": "ordinal", "classes": list(classes)}

    for classes in (("1", "2", "10"), ("Grade 3", "Grade 2", "Grade 1"), ("mild", "severe"), ("T1a", "T2", "none")):
        Task.parse(card(*classes), where="x")
    with pytest.raises(CardError, match="in order, these are not: Grade 1, Grade 10, Grade 2"):
        Task.parse(card("Grade 1", "Grade 10", "Grade 2"), where="x")
