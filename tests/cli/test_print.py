"""Tables in terminals of any width."""

import io

import pytest
from rich.console import Console

from bench.cli import _print

ROWS = [
    {
        "name": "phantom-ultrasound-diffuse",
        "kind": "global",
        "title": "Liver ultrasound: echotexture",
        "licence": "CC0",
    },
    {"name": "nuclei", "kind": "dense", "title": "Nuclei", "licence": "see [its] source"},
]


@pytest.fixture
def printed(monkeypatch):
    def at(width: int) -> list[str]:
        screen = io.StringIO()
        monkeypatch.setattr(_print, "out", Console(file=screen, width=width, highlight=False))
        _print.print_table("2 tasks", ROWS, cut=("title", "licence"))
        return [line.rstrip() for line in screen.getvalue().splitlines() if line.strip()]

    return at


def test_everything_is_shown_where_there_is_room(printed):
    lines = printed(120)
    assert len(lines) == 5
    assert lines[1].split() == ["name", "kind", "title", "licence"]
    assert lines[4].endswith("see [its] source")


def test_long_texts_are_cut_and_rows_stay_one_line(printed):
    lines = printed(66)
    assert len(lines) == 5
    assert "…" in lines[3]
    assert "phantom-ultrasound-diffuse" in lines[3]


@pytest.mark.parametrize(("width", "heads"), [(58, ["name", "kind", "title"]), (46, ["name", "kind"])])
def test_columns_go_before_the_others_are_broken(printed, width, heads):
    lines = printed(width)
    assert lines[1].split() == heads
    assert len(lines) == 5
    assert max(map(len, lines)) <= width


def test_no_rows_are_no_error(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(_print, "out", Console(file=screen, width=40))
    _print.print_table("0 tasks", [])
    assert screen.getvalue() == "0 tasks\n"


@pytest.mark.parametrize("width", [1, 20, 40])
def test_no_cell_is_lost_where_nothing_fits(width, monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(_print, "out", Console(file=screen, width=width, highlight=False))
    row = {"task": "nuclei", "protocol": "knn-v1", "score [95 % interval]": "0.912 [0.900, 0.920]", "chance": "0.500"}
    _print.print_table("Scores", [row], right=["score [95 % interval]", "chance"])
    assert screen.getvalue().splitlines()[-2].split() == ["nuclei", "knn-v1", "0.912", "[0.900,", "0.920]", "0.500"]


def test_off_a_terminal_a_long_command_says_now_and_then_what_it_does(monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    with _print.passing_line() as told:
        for now[0] in (1, 9, 12, 15, 21.9, 40):
            told(f"task {now[0]:g}")
    shown = capsys.readouterr()
    assert (shown.out, shown.err.splitlines()) == ("", ["task 12", "task 40"])
