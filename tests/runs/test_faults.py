"""A short version of benchmarks/faults_table.py: break a run in every way, give the same command again, compare."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.faults import trials
from benchmarks.faults.arena import NOT_ANSWERED, Arena, State, at_write, reference_of, restart, wait
from benchmarks.hostile.base import edit_lines


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory, private_home: Path) -> Arena:
    return Arena.build(tmp_path_factory.mktemp("arena"))


@pytest.fixture(scope="module")
def whole(arena: Arena) -> tuple[State, list[str], float]:
    return reference_of(arena)


def survived(found: Iterable[trials.Trial]) -> list[trials.Trial]:
    found = list(found)
    assert found
    assert [t.verdict for t in found if not t.verdict.clean] == []
    return found


def test_a_run_has_many_write_points(whole) -> None:
    points = whole[1]
    assert len(points) > 200
    assert {"open", "fsync", "os.rename", "os.remove"} <= set(points)


def test_kills_before_write_points(arena: Arena, whole) -> None:
    reference, points, _ = whole
    found = survived(trials.killed_at(arena, reference, range(5, len(points), 31)))
    assert all(trial.kills == 1 for trial in found)
    kept = [trial.verdict.kept for trial in found]
    assert kept == sorted(kept)
    assert 0 in kept
    assert len(set(kept)) > 2


def test_kills_at_a_flush_that_reached_the_disk_half(arena: Arena, whole) -> None:
    reference, points, _ = whole
    survived(trials.killed_at(arena, reference, range(3, points.count("fsync"), 12), torn=True))


def test_kills_at_random_instants_and_again_and_again(arena: Arena, whole) -> None:
    reference, points, seconds = whole
    survived(trials.killed_sometime(arena, reference, seconds, 2))
    (again,) = survived(trials.killed_until_done(arena, reference, len(points) // 10, 1))
    assert again.kills > 2


def test_a_full_disk_is_one_message_and_costs_no_finished_unit(arena: Arena, whole) -> None:
    reference, points, _ = whole
    survived(trials.disk_full_at(arena, reference, range(len(points) // 2, len(points), 80)))
    place = arena.place("message")
    assert (
        wait(arena.child(place, at_write(place, len(points) * 2 // 3, trials.no_space, lasting=True))) == NOT_ANSWERED
    )
    assert "free some space and run the same command again" in place.message.read_text()


def test_a_cache_that_goes_away_or_is_damaged(arena: Arena, whole) -> None:
    reference, points, _ = whole
    survived(trials.cache_unplugged_at(arena, reference, [len(points) // 3, len(points) // 2]))
    survived(trials.cache_damaged(arena, reference, 2))


def test_two_runs_on_one_folder_and_a_clock_that_jumps(arena: Arena, whole) -> None:
    reference, points, seconds = whole
    survived(trials.two_at_once(arena, reference, seconds, 2))
    survived(trials.clock_jumps(arena, reference, [len(points) // 2]))


def test_the_referee_sees_what_is_wrong(arena: Arena, whole) -> None:
    """Columns of the table can be other than zero."""
    reference = whole[0]
    place = arena.place("spoilt")
    assert wait(arena.child(place)) == 0
    records = place.out / "raw-pixels" / "faults" / "records.jsonl"
    edit_lines(records, lambda lines: lines[0].update(n_labels=9999))
    (place.out / "left-behind").write_text("")
    verdict = restart(arena, place, replace(reference, predictions=dict.fromkeys(reference.predictions, b"")))
    assert not verdict.clean
    assert (verdict.lost, verdict.repeated, verdict.twice) == (0, 0, 0)
    assert verdict.different == 3  # one record, two predictions files
    assert verdict.litter == 1
