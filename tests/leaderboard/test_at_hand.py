"""Data that cannot be had is tried once: a build asks for every encoder, and each try may take minutes."""

import pytest

from bench.errors import UserError
from bench.leaderboard.at_hand import AtHand


def test_what_cannot_be_had_is_tried_once_and_said_each_time(monkeypatch):
    tried = []

    def load(task, *, folder, masks):
        assert not masks, "boards need no masks: they may be gigabytes"
        tried.append((task, folder))
        if task == "A":
            raise UserError("is not here")
        return object()

    monkeypatch.setattr("bench.leaderboard.at_hand.load_labels", load)
    data = AtHand({"a": "A", "b": "B", "c": "C"}, {"b": "there"})
    for _ in range(2):
        with pytest.raises(UserError, match="is not here"):
            data.load("a")
    assert data.load("b") is data.load("b")
    assert tried == [("A", None), ("B", "there")]
    first = data.load("c")
    data.load("b")
    assert data.load("c") is not first, "only the last is held: hundreds of tasks are hundreds of open files"
