import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import average_precision_score, roc_auc_score

from bench.metrics.ranking import auroc, macro_labels, ranking


@st.composite
def tied_cases(draw):
    """Few distinct scores, so that ties are the rule, with integer weights that may be zero."""
    n = draw(st.integers(2, 30))
    positive = draw(hnp.arrays(bool, n))
    scores = draw(hnp.arrays(np.int64, n, elements=st.integers(0, 5))).astype(np.float32)
    weights = draw(hnp.arrays(np.uint8, (3, n), elements=st.integers(0, 4)))
    return positive[:, None], scores[:, None], weights


@given(tied_cases())
def test_equals_scikit_learn_under_sample_weights(case):
    positive, scores, weights = case
    area, precision = (values[:, 0] for values in ranking(positive, scores, weights))
    for r, w in enumerate(weights):
        if w[positive[:, 0]].sum() == 0 or w[~positive[:, 0]].sum() == 0:
            assert np.isnan(area[r])
        else:
            assert area[r] == pytest.approx(roc_auc_score(positive, scores, sample_weight=w), abs=1e-12)
        if w[positive[:, 0]].sum() == 0:
            assert np.isnan(precision[r])
        else:
            assert precision[r] == pytest.approx(average_precision_score(positive, scores, sample_weight=w), abs=1e-12)


@given(tied_cases(), st.randoms(use_true_random=False))
def test_row_order_is_irrelevant(case, random):
    positive, scores, weights = case
    order = np.array(random.sample(range(len(scores)), len(scores)))
    for ours, permuted in zip(ranking(*case), ranking(positive[order], scores[order], weights[:, order]), strict=True):
        np.testing.assert_allclose(ours, permuted, atol=1e-12)


@given(tied_cases())
def test_weights_are_repetitions_and_reversal_is_the_complement(case):
    positive, scores, weights = case
    rows = np.repeat(np.arange(len(scores)), weights[0])
    once = np.ones((1, len(rows)), np.uint8)
    np.testing.assert_allclose(
        auroc(positive, scores, weights[:1]), auroc(positive[rows], scores[rows], once), atol=1e-12
    )
    np.testing.assert_allclose(auroc(positive, -scores, weights), 1 - auroc(positive, scores, weights), atol=1e-12)


def test_hand_worked():
    positive = np.array([[True], [False], [True], [False], [False]])
    scores = np.array([[0.9], [0.8], [0.8], [0.3], [0.1]])
    one = np.ones((1, 5), np.uint8)
    # Pairs: 0.9 beats 3 of 3; 0.8 beats 2 and ties 1 -> (3 + 2.5) / 6.
    assert auroc(positive, scores, one)[0, 0] == pytest.approx(5.5 / 6)
    # Thresholds: 0.9 -> precision 1 at recall 1/2; 0.8 -> 2/3 at recall 1.
    assert ranking(positive, scores, one)[1][0, 0] == pytest.approx(0.5 + 0.5 * 2 / 3)


@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_single_class_is_undefined(positive):
    assert np.isnan(auroc(np.array(positive)[:, None], np.array([[0.1], [0.2]]), np.ones((1, 2), np.uint8)))


def test_a_label_enters_the_macro_mean_with_ten_positives():
    labels = np.zeros((30, 5), np.uint8)
    for column, positives in enumerate((10, 9, 29, 30, 0)):
        labels[:positives, column] = 1
    assert macro_labels(labels).tolist() == [0, 2]  # 30 of 30 have no negative
    assert macro_labels(labels[:, [1, 3, 4]]).tolist() == [0]  # none has ten: the one that has both kinds
    assert macro_labels(labels[:, 3:]).tolist() == [0, 1]
