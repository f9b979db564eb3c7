"""Every metric of the set keeps the laws; a new one in the folder is tested at once."""

from __future__ import annotations

import numpy as np
import pytest

from bench.discover import members
from bench.laws import metrics as laws
from bench.laws.metrics import *  # noqa: F403
from bench.metrics.set.accuracy import Accuracy

METRICS = members("bench.metrics.set", "METRIC")


@pytest.fixture(params=METRICS.values(), ids=METRICS)
def metric(request):
    return request.param


class Broken(Accuracy):
    """A metric with one fault, which is done to its values."""

    primary_for = ("binary",)

    def __init__(self, fault, chance=0.5):
        self.fault, self.level = fault, chance

    def value(self, given):
        return self.fault(super().value(given), given)

    def parts(self, given):
        return {"all": self.value(given)[:1]}

    def chance(self, classes):
        return self.level

    def of_candidates(self, task, probability, labels):
        return super().of_candidates(task, probability, labels)[::-1]


def spoilt(values, given):
    given.labels[0] += 1
    return values


SOUND = Broken(lambda values, given: values)
FAULTS = {
    "a_fair_answer_has_a_value": Broken(lambda values, given: values * np.nan),
    "the_perfect_answer_is_better_than_any_other": Broken(lambda values, given: -values),
    "a_guess_is_worse_than_the_perfect_answer": Broken(SOUND.fault, chance=1.0),
    "a_weight_is_a_case_said_so_often": Broken(lambda values, given: values + given.weights.max(1) - 1),
    "no_order_of_cases_matters": Broken(lambda values, given: values + given.labels[0]),
    "what_it_is_given_stays_as_it_was": Broken(spoilt),
    "its_parts_are_replicates_too": SOUND,
    "where_it_is_undefined_it_is_nan": Broken(lambda values, given: np.nan_to_num(values)),
    "many_outputs_at_once_are_as_one_after_the_other": SOUND,
}


@pytest.mark.parametrize("law", FAULTS)
def test_a_law_sees_the_fault_it_is_for(law):
    with pytest.raises((AssertionError, ValueError)):
        getattr(laws, f"test_{law}")(FAULTS[law])


def test_every_law_has_a_fault():
    assert {name for name in vars(laws) if name.startswith("test_")} == {f"test_{law}" for law in FAULTS}
