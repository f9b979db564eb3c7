import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics as sk

from bench.metrics import confusion


@st.composite
def decisions(draw):
    n, k = draw(st.integers(2, 25)), draw(st.integers(2, 5))
    classes = st.integers(0, k - 1)
    truth, predicted = (draw(hnp.arrays(np.int64, n, elements=classes)) for _ in range(2))
    weights = draw(hnp.arrays(np.uint8, (2, n), elements=st.integers(0, 3)))
    weights[:, 0] = 1
    return truth, predicted, k, weights


@given(decisions())
def test_equal_to_scikit_learn_on_repeated_cases(case):
    truth, predicted, k, weights = case
    counts = confusion.tally(truth, predicted, k, weights)
    for r, w in enumerate(weights):
        t, p = np.repeat(truth, w), np.repeat(predicted, w)
        assert confusion.accuracy(counts)[r] == pytest.approx(sk.accuracy_score(t, p))
        recall = sk.recall_score(t, p, average="macro", labels=np.unique(t), zero_division=0)
        assert confusion.balanced_accuracy(counts)[r] == pytest.approx(recall)
        assert confusion.macro_f1(counts)[r] == pytest.approx(sk.f1_score(t, p, average="macro", zero_division=0))
        assert confusion.mean_absolute_error(truth, predicted, weights)[r] == pytest.approx(
            sk.mean_absolute_error(t, p)
        )
        if len(np.unique(t)) > 1:
            assert confusion.mcc(counts)[r] == pytest.approx(sk.matthews_corrcoef(t, p), abs=1e-9)
        else:
            assert np.isnan(confusion.mcc(counts)[r])


@given(decisions())
def test_kappa_equals_scikit_learn(case):
    truth, predicted, k, weights = case
    for ours, w in zip(confusion.quadratic_kappa(truth, predicted, weights), weights, strict=True):
        t, p = np.repeat(truth, w), np.repeat(predicted, w)
        if len(np.unique([*t, *p])) == 1:
            assert np.isnan(ours)
        else:
            reference = sk.cohen_kappa_score(t, p, weights="quadratic", labels=np.arange(k))
            assert ours == pytest.approx(reference, abs=1e-9)


def test_expected_class_is_the_rounded_mean_whatever_the_scale():
    probabilities = np.array([[0.5, 0.0, 0.5], [0.1, 0.2, 0.7], [0.9, 0.1, 0.0]], np.float32)
    assert confusion.expected_class(probabilities).tolist() == [1, 2, 0]
    assert confusion.expected_class(probabilities * 0.5).tolist() == [1, 2, 0]


def test_constant_decisions_have_no_correlation():
    counts = confusion.tally(np.array([0, 1, 1]), np.array([1, 1, 1]), 2, np.ones((1, 3), np.uint8))
    assert confusion.mcc(counts)[0] == 0
