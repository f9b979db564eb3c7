"""The chance of catching forged units, and a draw that an author cannot steer."""

from __future__ import annotations

import random
from pathlib import Path

from bench.submissions.sampling import CHANCE, FORGED, chance, draw, enough, lot, table

KEYS = [f"unit{i}" for i in range(100)]


def test_the_chance_is_that_of_drawing_one() -> None:
    rng = random.Random(0)
    for units, forged, sample in ((20, 1, 5), (50, 3, 10), (100, 5, 45)):
        hits = sum(min(rng.sample(range(units), sample)) < forged for _ in range(20_000))
        assert abs(hits / 20_000 - chance(units, forged, sample)) < 0.015
    assert (chance(10, 1, 10), chance(10, 1, 0)) == (1.0, 0.0)


def test_enough_is_the_smallest_sample_that_keeps_the_promise() -> None:
    for units in (1, 7, 36, 592, 1086):
        forged, n = max(1, -int(-FORGED * units // 1)), enough(units)
        assert chance(units, forged, n) >= CHANCE
        assert n == 1 or chance(units, forged, n - 1) < CHANCE
    assert enough(0) == 0


def test_the_draw_depends_on_the_bytes_and_on_the_nonce() -> None:
    drawn = draw(KEYS, 10, lot("a" * 64, "1"))
    assert drawn == draw(reversed(KEYS), 10, lot("a" * 64, "1"))
    assert len(set(drawn)) == 10
    assert drawn != draw(KEYS, 10, lot("b" * 64, "1")) != draw(KEYS, 10, lot("b" * 64, "2"))
    assert sorted(draw(KEYS, 1000, lot("a" * 64, "1"))) == sorted(KEYS)


def test_the_table_of_the_docs_is_what_the_command_prints() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs" / "submitting.md"
    assert table() in docs.read_text(encoding="utf-8")
