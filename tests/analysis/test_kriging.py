"""What tasks foretell of others, beside plain loops, another solver and cases worked out by hand."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import lsq_linear

from bench.analysis.kriging import VarianceComponents, foretell, left_out_error, spread_of
from bench.analysis.measurement import NotEnough

COLUMNS = pd.DataFrame({
    "kind": ["global", "global", "dense", "global", "dense"], "modality": list("aabba"), "origin": list("oopqr"),
})  # fmt: skip


def scores() -> np.ndarray:
    """Centred scores of seven encoders, two results missing."""
    rng = np.random.default_rng(2)
    found = rng.normal(0, 3, (7, 1)) + rng.normal(0, 2, (7, 2))[:, [0, 0, 1, 0, 1]] + rng.normal(0, 1, (7, 5))
    found[0, 1] = found[3, 4] = np.nan
    return found - np.nanmean(found, axis=0)


def product(x: np.ndarray, y: np.ndarray) -> float:
    """Covariance of two tasks over the encoders that have both, each centred already."""
    both = np.isfinite(x) & np.isfinite(y)
    return float((x[both] * y[both]).sum() / (both.sum() - 1))


def test_variances_are_those_planted():
    columns = pd.DataFrame(
        [(k, m) for k in ("global", "dense") for m in "abcd" for _ in range(3)], columns=["kind", "modality"]
    )
    rng, kind, modality = (
        np.random.default_rng(0),
        columns["kind"].eq("dense").astype(int),
        columns["modality"].map("abcd".index),
    )
    n = 4000
    scores = rng.normal(0, 4, (n, 1)) + rng.normal(0, 2, (n, 2))[:, kind] + rng.normal(0, 3, (n, 4))[:, modality]
    scores += rng.normal(0, 5, scores.shape)
    found = spread_of(scores - scores.mean(0), columns)
    assert (found.everywhere, found.kind, found.modality, found.task) == pytest.approx((16, 4, 9, 25), rel=0.15)
    new = scores[:, 0]  # foretold from the other tasks, the error is what is said
    told = foretell((scores - scores.mean(0))[:, 1:], columns.iloc[1:], found, "global", "a")
    assert np.std(new - new.mean() - told.score) == pytest.approx(told.spread.mean(), rel=0.05)


def test_variances_are_the_nonnegative_least_squares_of_another_solver():
    values = scores()
    pairs = list(combinations(range(5), 2))
    y = [product(values[:, i], values[:, j]) for i, j in pairs]
    kind, modality = COLUMNS["kind"], COLUMNS["modality"]
    design = np.array([[1.0, kind[i] == kind[j], modality[i] == modality[j]] for i, j in pairs])
    expected = lsq_linear(design, y, bounds=(0, np.inf), tol=1e-14).x
    own = np.mean([product(values[:, i], values[:, i]) for i in range(5)])
    found = spread_of(values, COLUMNS)
    assert (found.everywhere, found.kind, found.modality) == pytest.approx(tuple(expected), abs=1e-6)
    assert found.task == pytest.approx(own - expected.sum(), abs=1e-6)
    assert found.shared == pytest.approx(expected.sum(), abs=1e-6)
    alone = spread_of(values, COLUMNS, apart=False)
    assert (alone.everywhere, alone.kind, alone.modality) == (pytest.approx(np.mean(y)), 0, 0)
    assert alone.task == pytest.approx(own - np.mean(y))


def test_a_pair_of_tasks_counts_from_three_encoders_on():
    values = np.array([[1.0, 2.0, 3.0], [0.0, 1.0, -2.0], [-1.0, -3.0, -1.0], [np.nan, np.nan, 0.0]])
    values[2, 2] = np.nan  # tasks 0 and 1 share three encoders, each of them two with task 2
    columns = pd.DataFrame({"kind": "global", "modality": list("abc")})
    found = spread_of(values, columns, apart=False)
    assert found.everywhere == pytest.approx((2 + 0 + 3) / 2)
    assert found.task == pytest.approx(np.mean([2 / 2, 14 / 2, 13 / 2]) - 2.5)


@pytest.mark.parametrize("shape", [(2, 4), (4, 2)])
def test_too_few_encoders_or_tasks_are_refused(shape):
    columns = pd.DataFrame({"kind": "global", "modality": ["a"] * shape[1]})
    with pytest.raises(NotEnough, match="three of each are needed"):
        spread_of(np.zeros(shape), columns)


def test_three_encoders_and_three_tasks_are_enough():
    values = np.array([[1.0, 2.0, 0.5], [0.0, -1.0, 0.5], [-1.0, -1.0, -1.0]])
    assert spread_of(values, COLUMNS.iloc[:3], apart=False).everywhere == pytest.approx((1.5 + 0.75 + 0.75) / 3)


def test_tasks_without_encoders_in_common_say_nothing():
    alone = np.where(np.eye(4, dtype=bool), np.arange(4.0), np.nan)
    columns = pd.DataFrame({"kind": "global", "modality": list("abcd")})
    with pytest.raises(NotEnough, match="no two tasks share three"):
        spread_of(alone, columns)


def test_what_is_foretold_of_one_task_by_hand():
    columns = pd.DataFrame({"kind": ["global", "dense"], "modality": ["a", "b"]})
    spread = VarianceComponents(everywhere=0.5, kind=0.25, modality=0.125, task=0.125)
    values = np.array([[2.0, np.nan], [np.nan, 2.0], [np.nan, np.nan]])
    told = foretell(values, columns, spread, "global", "a")
    # The first encoder has a task of the kind and modality, covariance .875 of 1; the second one of neither, .5 of 1.
    assert told.score == pytest.approx([2 * 0.875, 2 * 0.5, np.nan], nan_ok=True)
    assert told.error**2 == pytest.approx([0.875 - 0.875**2, 0.875 - 0.5**2, np.nan], nan_ok=True)
    assert told.spread**2 == pytest.approx(told.error**2 + 0.125, nan_ok=True)
    both = foretell(np.array([[2.0, 1.0]]), columns, spread, "dense", "a")
    cov, new = np.array([[1.0, 0.5], [0.5, 1.0]]), np.array([0.5 + 0.125, 0.5 + 0.25])
    weight = np.linalg.inv(cov) @ new
    assert both.score[0] == pytest.approx(weight @ [2.0, 1.0])
    assert both.error[0] ** 2 == pytest.approx(0.875 - new @ weight)


def test_where_modalities_do_not_matter_the_overall_order_stands():
    columns = pd.DataFrame({"kind": "global", "modality": list("aabbcc")})
    level = np.array([3.0, 1.0, 0.0, -4.0])[:, None] + np.zeros(6)
    level[1, 0] += 9.0  # luck on one task of the modality asked for
    told = foretell(level, columns, VarianceComponents(9.0, 0.0, 0.0, 30.0), "global", "a")
    assert told.score.argmax() == 0
    trusting = foretell(level, columns, VarianceComponents(0.0, 0.0, 9.0, 1.0), "global", "a")
    assert trusting.score.argmax() == 1


def test_the_error_of_data_sets_left_out_is_that_of_plain_loops():
    values, origins, errors = scores(), COLUMNS["origin"].to_numpy(), []
    for origin in np.unique(origins):
        rest = values[:, origins != origin]
        tasks = range(rest.shape[1])
        a = np.mean([product(rest[:, i], rest[:, j]) for i, j in combinations(tasks, 2)])
        b = np.mean([product(rest[:, i], rest[:, i]) for i in tasks]) - a
        for task in np.flatnonzero(origins == origin):
            for encoder, score in zip(rest, values[:, task], strict=True):
                known = encoder[np.isfinite(encoder)]
                errors.append((a * known.sum() / (b + a * len(known)) - score) ** 2)
    assert left_out_error(values, COLUMNS, apart=False) == pytest.approx(np.nanmean(errors))
    assert left_out_error(values, COLUMNS, apart=True) != pytest.approx(np.nanmean(errors))


def test_kinds_and_modalities_count_when_a_data_set_is_left_out():
    rng = np.random.default_rng(1)
    by_kind = rng.normal(0, 5, (40, 2))
    columns = pd.DataFrame({"kind": ["global", "dense"] * 4, "modality": list("abcdefgh"), "origin": list("abcdefgh")})
    values = by_kind[:, [0, 1] * 4] + rng.normal(0, 1, (40, 8))
    values -= values.mean(axis=0)
    apart, overall = (left_out_error(values, columns, apart=a) for a in (True, False))
    assert apart < 2 < 5 < overall


def test_where_too_few_tasks_are_left_there_is_no_error():
    assert np.isnan(left_out_error(scores()[:, :3], COLUMNS.iloc[:3], apart=False))
