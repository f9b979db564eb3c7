"""What each metric says of itself, as records, pages and selection read it: a change here is a change of the set."""

from __future__ import annotations

import pytest

from bench.discover import members
from bench.metrics import SCORING, known_scoring
from bench.metrics.calibration import BINS, CORRECTED, MIN_CASES, MIN_CASES_PLAIN, SURE, TEMPERATURES

CLASSES = ("binary", "multi-class", "multi-label", "ordinal")
ONE = ("binary", "multi-class", "ordinal")
UNORDERED = ("binary", "multi-class", "multi-label")
ABSENT = "images without the class count where it is predicted"
SET = {  # name: title, targets, primary for, higher is better, since, changes, chance of 2 and of 4 classes
    "accuracy": ("Accuracy", ONE, (), True, 1, {}, None),
    "auprc": ("AUPRC", CLASSES, (), True, 1, {}, None),
    "auroc": ("AUROC", CLASSES, UNORDERED, True, 1, {}, [0.5, 0.5]),
    "balanced_accuracy": ("Balanced accuracy", CLASSES, UNORDERED, True, 1, {}, [0.5, 0.25]),
    "brier": ("Brier", CLASSES, (), False, 1, {}, None),
    "c_index": ("C index", ("survival",), ("survival",), True, 1, {}, [0.5, 0.5]),
    "cldice": ("clDice", ("mask",), (), True, 1, {2: ABSENT}, None),
    "dice": ("Dice", ("mask",), ("mask",), True, 1, {2: ABSENT}, [0.0, 0.0]),
    "dice_foreground": ("Dice, images with foreground", ("mask",), (), True, 2, {}, None),
    "ece": ("ECE", ONE, (), False, 1, {2: CORRECTED}, None),
    "ece_unscaled": ("ECE, unscaled", ONE, (), False, 1, {2: CORRECTED}, None),
    "error": ("Mean absolute error", ("number",), (), False, 1, {}, None),
    "f1": ("F1", CLASSES, (), True, 1, {}, None),
    "hd95": ("HD95, pixels (volumes: mm)", ("mask",), (), False, 1, {2: ABSENT}, None),
    "iou": ("IoU", ("mask",), (), True, 1, {2: ABSENT}, None),
    "lesion_f1": ("Lesion F1", ("mask",), (), True, 1, {}, None),
    "lesion_recall": ("Lesion recall", ("mask",), (), True, 1, {}, None),
    "mae": ("MAE, classes", ("ordinal",), (), False, 1, {}, None),
    "mcc": ("MCC", CLASSES, (), True, 1, {}, None),
    "nsd": ("NSD", ("mask",), (), True, 1, {2: ABSENT}, None),
    "qwk": ("Quadratic weighted kappa", ("ordinal",), ("ordinal",), True, 1, {}, [0.0, 0.0]),
    "r2": ("R²", ("number",), ("number",), True, 1, {}, [0.0, 0.0]),
    "spearman": ("Spearman correlation", ("number",), (), True, 1, {}, None),
    "specificity": ("Specificity, images", ("mask",), (), True, 1, {}, None),
}


def test_the_set():
    found = members("bench.metrics.set", "METRIC")
    assert sorted(found) == sorted(SET)
    for name, metric in found.items():
        chances = [metric.chance(2), metric.chance(4)] if metric.primary_for else None
        said = (metric.title, metric.targets, metric.primary_for, metric.higher_is_better, metric.since)
        assert (*said, dict(metric.changes), chances) == SET[name]
        assert (metric.name, metric.until) == (name, 2 if name == "ece" else None)


def test_what_the_calibration_error_is_made_with():
    """Guo et al. 2017 use 15 bins; the rest is said in docs/protocols.md and docs/statistics.md."""
    assert (BINS, MIN_CASES, MIN_CASES_PLAIN, TEMPERATURES, SURE) == (15, 200, 500, (0.05, 20.0), 2.0)


@pytest.mark.parametrize("version", range(1, SCORING + 1))
def test_versions_that_are_known(version):
    assert known_scoring(version) == version


@pytest.mark.parametrize("version", [0, SCORING + 1])
def test_versions_that_are_not_known(version):
    known = rf"scoring version {version} is not known here \(versions 1 to {SCORING} are\)"
    with pytest.raises(ValueError, match=known):
        known_scoring(version)
