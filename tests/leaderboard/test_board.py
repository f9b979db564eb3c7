import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UserError
from bench.files import canonical_json
from bench.leaderboard import boards_of

TASKS = [
    ("brain", "global", "mri"), ("knee", "global", "mri"), ("lung", "global", "ct"),
    ("polyp", "dense", "endoscopy"), ("nucleus", "dense", "microscopy"),
]  # fmt: skip


def field(values, **more):
    """Rows of one encoder: task -> value."""
    return [
        {"task": t, "kind": k, "modality": m, "value": values[t], **more} for t, k, m in TASKS if t in values
    ]  # fmt: skip


def full(encoder, values, **more):
    return field(dict(zip([t for t, _, _ in TASKS], values, strict=True)), encoder=encoder, **more)


def made(make_table, make_replicates, rows, **options):
    frame = make_table(rows)
    return boards_of(frame, make_replicates(frame), replicates=400, **options)


def by_name(board):
    return {row.encoder: row for row in board.rows}


def test_scores_by_hand(make_table, make_replicates):
    rows = full("a", [0.9, 0.7, 0.8, 0.6, 0.4]) + full("b", [0.4, 0.7, 0.9, 0.2, 0.3])
    boards = made(make_table, make_replicates, rows)
    assert set(boards) == {"Overall", "Global", "Dense"}
    a, b = (by_name(boards["Global"])[name] for name in "ab")
    assert a.score == pytest.approx(((0.8 + 0.4) / 2 + 0.6) / 2)
    assert b.score == pytest.approx(((-0.2 + 0.4) / 2 + 0.8) / 2)  # below chance counts as it is
    assert by_name(boards["Dense"])["a"].score == pytest.approx(0.5)
    assert by_name(boards["Overall"])["a"].score == pytest.approx((0.6 + 0.5) / 2)
    assert a.cells["mri/global"].value == pytest.approx(0.6)
    assert (a.rank, b.rank, a.tier, b.tier) == (1, 2, 1, 2)
    assert a.low < a.score < a.high
    assert a.rank_text == "1"


def test_reference_rows_are_listed_without_a_rank(make_table, make_replicates):
    rows = full("a", [0.6] * 5) + full("raw-pixels", [0.9] * 5, paradigm="reference") + full("c", [0.5] * 5)
    board = made(make_table, make_replicates, rows)["Overall"]
    assert [row.encoder for row in board.rows] == ["raw-pixels", "a", "c"]
    assert [row.rank for row in board.rows] == [None, 1, 2]
    assert [row.rank_text for row in board.rows][:1] == ["ref."]


def test_an_encoder_without_every_task_is_listed_unranked_with_the_number(make_table, make_replicates):
    rows = full("a", [0.6] * 5) + full("b", [0.5] * 5) + field({"brain": 0.99, "polyp": 0.99}, encoder="cherry")
    board = made(make_table, make_replicates, rows)["Overall"]
    cherry = by_name(board)["cherry"]
    assert cherry.rank is None
    assert set(cherry.missing) == {"knee", "lung", "nucleus"}
    assert cherry.why_unranked == "no result on 3 of 5 tasks"
    assert by_name(board)["a"].rank == 1


def test_a_task_with_unfinished_units_is_missing(make_table, make_replicates):
    rows = full("a", [0.6] * 5) + full("b", [0.7] * 5) + full("c", [0.5] * 5)
    board = made(make_table, make_replicates, rows, unfinished={("b", "lung", "linear-v1", "100%")})["Global"]
    assert by_name(board)["b"].missing == ("lung",)
    assert [r.encoder for r in board.rows if r.rank] == ["a", "c"]


def test_left_out_tasks_other_protocols_splits_and_metrics_stay_out(make_table, make_replicates):
    rows = full("a", [0.6] * 5)
    strays = [
        {"encoder": "a", "task": "saturated", "value": 1.0, "left_out": "solved by a histogram"},
        {"encoder": "a", "task": "brain", "value": 1.0, "protocol": "knn-v1"},
        {"encoder": "a", "task": "brain", "value": 1.0, "split": "test-shift"},
        {"encoder": "a", "task": "brain", "value": 1.0, "metric": "accuracy", "primary": False},
    ]
    plain, mixed = (made(make_table, make_replicates, r)["Global"] for r in (rows, rows + strays))
    assert canonical_json(plain.to_dict()) == canonical_json(mixed.to_dict())


def test_low_label_is_the_mean_over_budgets_of_the_normalised_mean_over_seeds(make_table, make_replicates):
    values = {"1%": [0.5, 0.6, 0.7], "5%": [0.7, 0.7, 0.7], "10%": [0.8, 0.8, 0.9], "25%": [1.0, 1.0, 1.0]}
    rows = [
        {"encoder": "a", "task": "brain", "value": v, "budget": budget, "seed": seed}
        for budget, seeds in values.items()
        for seed, v in enumerate(seeds)
    ]
    board = made(make_table, make_replicates, rows)["Low-label"]
    assert board.rows[0].score == pytest.approx((0.2 + 0.4 + 2 * (2.5 / 3 - 0.5)) / 3)


def test_tasks_of_one_origin_share_a_weight(make_table, make_replicates):
    rows = [
        {"encoder": "a", "task": f"organ-{v}", "origin": "organ", "modality": "ct", "value": 0.75} for v in "acs"
    ] + [{"encoder": "a", "task": "nodule", "modality": "ct", "value": 1.0}]
    assert made(make_table, make_replicates, rows)["Global"].rows[0].score == pytest.approx((0.5 + 1.0) / 2)


def test_sensitivity_by_hand(make_table, make_replicates):
    # a leads on mri, b on ct; equal cells favour a; a weighting w of mri puts a first where w > 0.4.
    rows = [
        {"encoder": "a", "task": "brain", "modality": "mri", "value": 0.9},
        {"encoder": "a", "task": "lung", "modality": "ct", "value": 0.7},
        {"encoder": "b", "task": "brain", "modality": "mri", "value": 0.75},
        {"encoder": "b", "task": "lung", "modality": "ct", "value": 0.8},
    ]
    a, b = made(make_table, make_replicates, rows)["Global"].rows
    assert (a.encoder, a.rank, b.rank) == ("a", 1, 2)
    assert a.weight_first == pytest.approx(0.6, abs=0.04)  # uniform on [0, 1]
    assert a.weight_first + b.weight_first == pytest.approx(1)
    assert (a.weight_low, a.weight_high, b.weight_low, b.weight_high) == (1, 2, 1, 2)
    assert (a.loo_low, a.loo_high, b.loo_low, b.loo_high) == (1, 2, 1, 2)
    assert a.win_rate == b.win_rate == 0.5
    assert a.iqm == pytest.approx(0.6)


def test_missing_replicates_leave_scores_and_take_intervals(make_table):
    frame = make_table(full("a", [0.6] * 5) + full("b", [0.9] * 5))
    board = boards_of(frame, lambda key: None, replicates=400)["Overall"]
    assert [(r.rank, r.low, r.rank_low, r.tier) for r in board.rows] == [(1, None, None, 1), (2, None, None, 1)]


def test_the_same_results_give_the_same_bytes_in_any_order(make_table, make_replicates):
    rows = full("a", [0.6] * 5) + full("b", [0.9, 0.6, 0.6, 0.1, 0.2]) + full("c", [0.55] * 5)
    board = made(make_table, make_replicates, rows)["Global"].to_dict()
    assert list(board) == ["name", "definition", "aggregation", "clean", "notes", "cells", "rows"]
    assert (board["name"], board["aggregation"], board["clean"], board["notes"]) == ("Global", 2, False, [])
    texts = [
        {n: canonical_json(b.to_dict()) for n, b in made(make_table, make_replicates, r).items()}
        for r in (rows, rows[::-1])
    ]
    assert texts[0] == texts[1]


values = st.lists(st.floats(0, 1), min_size=5, max_size=5)
SLOW = settings(max_examples=15, deadline=None)


def test_scores_below_chance_are_listed_last_with_their_cells(make_table, make_replicates):
    rows = full("a", [0.3, 0.4, 0.2, 0.1, 0.1]) + full("b", [0.5] * 5)
    board = made(make_table, make_replicates, rows + field({"polyp": 0.9}, encoder="c"))["Global"]
    assert [row.encoder for row in board.rows] == ["b", "a"]
    a = by_name(board)["a"]
    assert (a.score, a.cells["mri/global"].value) == (pytest.approx(-0.45), pytest.approx(-0.3))
    assert a.low < a.score < a.high


def test_one_alone_has_no_rank(make_table, make_replicates):
    rows = full("a", [0.6] * 5) + full("raw-pixels", [0.9] * 5, paradigm="reference")
    for board in made(make_table, make_replicates, rows).values():
        alone = by_name(board)["a"]
        assert (alone.rank, alone.tier, alone.rank_low, alone.why_unranked) == (
            None, None, None, "no other encoder to rank it among",
        )  # fmt: skip


def test_encoders_without_a_patch_grid_have_no_rank_where_the_suite_has_dense_tasks(make_table, make_replicates):
    values = {"brain": 0.9, "knee": 0.8, "lung": 0.7}
    low = [r | {"budget": b} for b in ("100%", "10%") for r in field(values, encoder="a") + field(values, encoder="b")]
    boards = made(make_table, make_replicates, low, kinds={"global", "dense"})
    for name in ("Overall", "Low-label"):
        assert [(r.rank, r.why_unranked) for r in boards[name].rows] == [(None, "no result on any dense task")] * 2
    assert [r.rank for r in boards["Global"].rows] == [1, 1]
    # Where the suite has no dense task nothing is lacking, and Overall would be Global again.
    boards = made(make_table, make_replicates, low)
    assert set(boards) == {"Global", "Low-label"}
    assert [r.rank for r in boards["Low-label"].rows] == [1, 1]


@SLOW
@given(st.lists(values, min_size=1, max_size=4), values)
def test_a_new_encoder_moves_nobodys_score(make_table, make_replicates, old, new):
    rows = [row for i, v in enumerate(old) for row in full(f"e{i}", v)]
    before = made(make_table, make_replicates, rows)
    after = made(make_table, make_replicates, rows + full("new", new))
    for name, board in before.items():
        for encoder, row in by_name(board).items():
            now = by_name(after[name])[encoder]
            assert (now.score, now.low, now.high, now.cells) == (row.score, row.low, row.high, row.cells)


STATES = st.lists(st.sampled_from(["yes", "no", "unknown"]), min_size=5, max_size=5)


@SLOW
@given(
    st.lists(st.tuples(values, STATES), min_size=1, max_size=3), values, STATES, st.sets(st.integers(0, 4), min_size=1)
)
def test_silence_never_keeps_a_rank_that_disclosure_loses(make_table, make_replicates, others, mine, honest, hidden):
    """Whatever the others do, turning any of one's states into "unknown" never improves one's rank."""

    def rank(states):
        rows = [r | {"contaminated": s} for r, s in zip(full("me", mine), states, strict=True)]
        for i, (v, s) in enumerate(others):
            rows += [r | {"contaminated": c} for r, c in zip(full(f"e{i}", v), s, strict=True)]
        boards = made(make_table, make_replicates, rows, drop_contaminated=True)
        return {n: by_name(b)["me"].rank or 10**6 for n, b in boards.items()}

    silent = ["unknown" if i in hidden else s for i, s in enumerate(honest)]
    told, kept = rank(honest), rank(silent)
    assert all(told[name] <= kept[name] for name in told)


@SLOW
@given(values, STATES)
def test_leaving_contaminated_cells_out_never_raises_a_score(make_table, make_replicates, mine, states):
    rows = [r | {"contaminated": s} for r, s in zip(full("me", mine), states, strict=True)]
    plain, clean = (made(make_table, make_replicates, rows, drop_contaminated=drop) for drop in (False, True))
    for name in plain:
        if clean[name].rows[0].score is not None:
            assert clean[name].rows[0].score <= plain[name].rows[0].score + 1e-12


def test_contamination_by_hand(make_table, make_replicates):
    states = {"honest": ["yes", "no", "no", "no", "no"], "silent": ["unknown"] * 5, "clean": ["no"] * 5}
    scores = {"honest": [1.0, 0.7, 0.7, 0.7, 0.7], "silent": [1.0] * 5, "clean": [0.8, 0.8, 0.8, 0.5, 0.5]}
    rows = [r | {"contaminated": s} for n in states for r, s in zip(full(n, scores[n]), states[n], strict=True)]
    found = by_name(made(make_table, make_replicates, rows, drop_contaminated=True)["Global"])
    assert found["honest"].score == pytest.approx((0.4 + 0.4) / 2)
    assert (found["clean"].rank, found["honest"].rank, found["silent"].rank) == (1, 2, None)
    assert found["silent"].why_unranked == "not disclosed whether 3 of 3 tasks are clean"
    assert (found["silent"].score, list(found)[-1]) == (None, "silent")


def test_cell_replicates_follow_the_rows(make_table, make_replicates):
    board = made(make_table, make_replicates, full("a", [0.6] * 5) + full("b", [0.9] * 5))["Overall"]
    assert board.replicates.shape == (400, 2, len(board.cells))
    for i, row in enumerate(board.rows):
        points = [row.cells[c.key].value for c in board.cells]
        np.testing.assert_allclose(board.replicates[:, i].mean(0), points, atol=0.01)


def test_differences_against_a_baseline_are_paired(make_table, make_replicates):
    rows = full("a", [0.9, 0.7, 0.8, 0.6, 0.4]) + full("b", [0.8, 0.6, 0.7, 0.5, 0.3])
    board = made(make_table, make_replicates, rows)["Global"]
    (difference,) = board.against("b").values()
    a, b = (by_name(board)[name] for name in "ab")
    assert difference.value == pytest.approx(a.score - b.score)
    assert difference.low < difference.value < difference.high
    alone = np.hypot(a.high - a.low, b.high - b.low)  # the width if the two were resampled apart
    assert difference.high - difference.low < 0.5 * alone  # most of the noise is shared, so it cancels
    assert board.score_replicates.shape == (2, 400)


def test_a_baseline_that_is_not_there_is_refused(make_table, make_replicates):
    board = made(make_table, make_replicates, full("a", [0.6] * 5))["Global"]
    with pytest.raises(UserError, match="unknown encoder"):
        board.against("z")


def test_another_pretraining_seed_is_listed_without_a_rank(make_table, make_replicates):
    rows = full("a", [0.5] * 5) + full("a-seed1", [0.9] * 5, repeat_of="a") + full("c", [0.4] * 5)
    board = made(make_table, make_replicates, rows)["Overall"]
    assert {row.encoder: row.rank for row in board.rows} == {"a": 1, "c": 2, "a-seed1": None}
    assert by_name(board)["a-seed1"].why_unranked == "another pretraining seed of a"
