import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.leaderboard.weights import Tasks, over_cells, task_weights, within_cells

TASKS = Tasks(
    names=np.array(["organ-a", "organ-c", "organ-s", "nodule", "brain", "tumour"]),
    kinds=np.array(["global"] * 5 + ["dense"]),
    modalities=np.array(["ct", "ct", "ct", "ct", "mri", "mri"]),
    origins=np.array(["organ", "organ", "organ", "nodule", "brain", "tumour"]),
)


def test_hand_worked():
    # ct/global: two origins share a cell, three views share an origin; two global cells; two kinds.
    expected = np.array([1 / 3, 1 / 3, 1 / 3, 1, 2, 4]) / 8
    np.testing.assert_allclose(task_weights(TASKS, np.ones(6, bool))[0], expected)


def test_what_is_absent_is_shared_by_its_cell_then_its_kind():
    present = np.array([True, False, False, True, False, True])
    np.testing.assert_allclose(task_weights(TASKS, present)[0], [0.25, 0, 0, 0.25, 0, 0.5])
    only_global = np.array([True, True, True, True, True, False])
    np.testing.assert_allclose(task_weights(TASKS, only_global)[0], np.array([1 / 3, 1 / 3, 1 / 3, 1, 2, 0]) / 4)


@given(st.lists(st.booleans(), min_size=6, max_size=6))
def test_weights_are_shares(present):
    weights = task_weights(TASKS, np.array(present))[0]
    assert (weights >= 0).all()
    assert (weights[~np.array(present)] == 0).all()
    assert weights.sum() == pytest.approx(1.0 if any(present) else 0.0)


def test_kinds_do_not_touch_each_other():
    one = Tasks(*(np.array(x) for x in (["a", "b", "c"], ["global"] * 3, ["ct", "ct", "mri"], ["a", "b", "c"])))
    np.testing.assert_allclose(over_cells(one, np.ones(3, bool), np.array([[3.0, 1.0]])), [[0.75, 0.25]])
    np.testing.assert_allclose(task_weights(one, np.ones(3, bool), np.array([[3.0, 1.0]])), [[0.375, 0.375, 0.25]])
    assert task_weights(one, np.ones(3, bool)).shape == (1, 3)
    several = np.array([[3.0, 9.0, 1.0], [0.1, 0.2, 0.3]])  # ct/global, mri/dense, mri/global
    np.testing.assert_allclose(over_cells(TASKS, np.ones(6, bool), several), [[0.375, 0.5, 0.125], [0.125, 0.5, 0.375]])
    # A cell without weight leaves the others of its kind; a kind without weight leaves the other kind alone.
    np.testing.assert_allclose(over_cells(TASKS, np.ones(6, bool), np.array([[0.0, 1.0, 9.0]])), [[0, 0.5, 0.5]])
    np.testing.assert_allclose(over_cells(TASKS, np.ones(6, bool), np.array([[1.0, 0.0, 3.0]])), [[0.25, 0, 0.75]])


def test_the_cells_by_hand():
    assert TASKS.cells.tolist() == ["ct/global", "mri/dense", "mri/global"]
    assert TASKS.cell_kinds.tolist() == ["global", "dense", "global"]
    assert TASKS.in_cell.sum(axis=1).tolist() == [4, 1, 1]
    assert TASKS.siblings.sum(axis=1).tolist() == [3, 3, 3, 1, 1, 1]
    inside = within_cells(TASKS, np.array([1, 1, 0, 1, 0, 1], bool))
    np.testing.assert_allclose(inside, [[0.25, 0.25, 0, 0.5, 0, 0], [0, 0, 0, 0, 0, 1], [0] * 6])


def test_weightings_act_within_a_kind():
    shares = over_cells(TASKS, np.ones(6, bool), np.array([[3.0, 1.0, 9.0]]))  # ct/global, mri/dense, mri/global
    np.testing.assert_allclose(shares, [[3 / 12 / 2, 0.5, 9 / 12 / 2]])
