"""What a rescoring compares, and when predictions are a copy or the truth itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace as Has

import numpy as np
import pytest

from bench.metrics.interval import Interval
from bench.submissions.compare import _distance
from bench.submissions.report import VerificationReport
from bench.submissions.rescore import _is_truth, _wrong_output
from bench.submissions.structure import check_copies


@pytest.mark.parametrize("end", ["value", "low", "high"])
def test_a_value_and_both_ends_of_its_interval_are_compared(end: str) -> None:
    sent = Interval(value=0.5, low=0.4, high=0.6)
    assert _distance(sent, sent) == 0
    assert _distance(sent.model_copy(update={end: getattr(sent, end) + 0.01}), sent) == pytest.approx(0.01)
    assert _distance(Interval(value=0.5, low=None, high=None), sent) is None


@pytest.mark.parametrize(
    ("kind", "target", "labels", "output"),
    [
        ("global", "multi-label", [[1, 0], [0, 1]], [[0.9, 0.2], [0.1, 0.8]]),
        ("global", "multi-class", [1, 0], [[0.0, 1.0], [1.0, 0.0]]),
        ("dense", "mask", [[[0, 1]], [[1, 1]]], [[[0, 1]], [[1, 1]]]),
    ],
)
def test_perfect_predictions_are_noticed_and_others_are_not(kind: str, target: str, labels: list, output: list) -> None:
    split = Has(labels=np.array(labels))
    data = Has(task=Has(kind=kind, target=target), tests={"test": split})
    assert _is_truth(data, np.array(output))
    assert not _is_truth(data, np.array(output)[::-1])


@pytest.mark.parametrize("value", [-0.01, 1.01])
def test_probabilities_lie_between_0_and_1(value: float) -> None:
    task = Has(kind="global", target="binary", classes=["no", "yes"])
    output = np.array([[0.0, 1.0], [1.0, 0.0]], np.float32)
    assert _wrong_output(task, output, [0, 1]) is None
    output[0, 0] = value
    assert "outside [0, 1]" in _wrong_output(task, output, [0, 1])


@pytest.mark.parametrize(("copied", "refused"), [(1, False), (2, False), (3, True)])
def test_more_than_a_tenth_of_equal_predictions_is_a_copy(copied: int, refused: bool) -> None:
    def results(name: str, hashes: list[str]) -> Has:
        return Has(card=Has(name=name), records=[Has(predictions_sha256=h) for h in hashes])

    theirs = [f"theirs-{i}" for i in range(20)]
    mine = theirs[:copied] + [f"mine-{i}" for i in range(20 - copied)]
    report = VerificationReport(Path("mine"))
    check_copies([results("mine", mine)], [results("theirs", theirs)], report)
    assert bool(report.problems) is refused
