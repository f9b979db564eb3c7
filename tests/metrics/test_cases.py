"""Scores of cases give every metric of the masks they were made of; two bytes a probability nearly do."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.dataset import Split
from bench.data.task import Task
from bench.errors import DataError
from bench.metrics import lesions, surface
from bench.metrics.base import Comparison
from bench.metrics.cases import case_scores, check_cases, log_odds, probabilities
from bench.metrics.resample import resample_counts
from bench.metrics.scored import primary_of_cases, primary_replicates, score, score_cases
from bench.metrics.truth import Truth

N = 12
IDS = np.array([f"test/{i}" for i in range(N)])
COUNTS = resample_counts("t", "test", IDS, replicates=40)


def task_of(target: str, classes: list[str], metric: str) -> Task:
    card = {
        "schema": 1, "name": "t", "title": "T", "modality": "mri", "target": target, "classes": classes,
        "metric": metric, "licence": "x", "corpus": "x", "source": {"reader": "x"},
    }  # fmt: skip
    return Task.parse(card, where="test")


MASKS = task_of("mask", ["background", "vessel", "disc"], "dice")


def blocks(seed: int) -> np.ndarray:
    """Masks of up to two classes; some are empty."""
    rng, masks = np.random.default_rng(seed), np.zeros((N, 24, 24), np.uint8)
    for i, mask in enumerate(masks):
        for c in (1, 2):
            y, x = rng.integers(0, 16, 2)
            mask[y : y + 7, x : x + 8] = c * (i % 5 != c)
    return masks


@pytest.mark.parametrize("scoring", [1, 2])
def test_every_metric_of_masks_follows_from_scores_of_cases(scoring):
    truth, output = blocks(0), blocks(1)
    test = Split(np.zeros((N, 1, 1, 1), np.uint8), truth, IDS, strata={"contrast": np.linspace(0, 1, N)})
    kept = case_scores(MASKS, output, truth)
    whole = score(MASKS, output, test, resamples=COUNTS, scoring=scoring)
    assert score_cases(MASKS, kept, test, resamples=COUNTS, scoring=scoring) == whole
    assert {"dice", "nsd", "hd95", "cldice", "lesion_recall", "lesion_f1", "iou"} <= set(whole)
    draws = primary_of_cases(MASKS, kept, COUNTS, scoring=scoring)
    np.testing.assert_array_equal(draws, primary_replicates(MASKS, output, test, COUNTS, scoring=scoring))


@pytest.mark.parametrize("block", [24 * 24 * 5, 1 << 22])
@pytest.mark.parametrize("room", [0, 3000, 1 << 27])
def test_what_was_found_in_the_labels_serves_every_output(room, block, monkeypatch):
    monkeypatch.setattr(surface, "_BLOCK_PIXELS", block)
    truth, computed = blocks(0), []
    test = Split(np.zeros((N, 1, 1, 1), np.uint8), truth, IDS)
    monkeypatch.setattr(lesions, "regions", lambda mask, of=lesions.regions: computed.append(mask) or of(mask))
    kept, outputs = Truth(truth, room), [blocks(1), np.zeros_like(truth), truth, blocks(2)]
    alone = [score(MASKS, output, test, resamples=COUNTS) for output in outputs]
    assert len(computed) == 4 * 4  # each of two classes, in the truth and the output
    computed.clear()
    assert [score(MASKS, output, test, resamples=COUNTS, truth=kept) for output in outputs] == alone
    assert len(computed) <= 4 * 4
    assert len(computed) == 4 * 2 + 2 or room < 1 << 27
    assert sum(array.nbytes for found in kept._kept.values() for array in found) <= room
    for output, expected in zip(outputs, alone, strict=True):  # what is kept stays as it was
        assert score(MASKS, output, test, resamples=COUNTS, truth=kept) == expected


def test_labels_found_in_other_masks_are_refused_and_left_behind_by_a_part():
    test = Split(np.zeros((N, 1, 1, 1), np.uint8), blocks(0), IDS)
    with pytest.raises(ValueError, match="other labels"):
        score(MASKS, blocks(1), test, resamples=None, truth=Truth(blocks(2)))
    whole = Comparison(MASKS, blocks(1), test.labels, COUNTS, 2, truth=Truth(test.labels))
    assert whole.part(np.arange(N) < 4).truth is None


VOLUMES = {"spacing": np.tile([3.0, 1.0, 0.5], (N, 1))}


def volume_blocks(seed):
    rng = np.random.default_rng(seed)
    masks = np.zeros((N, 4, 9, 8), np.uint8)
    for mask in masks[: N - 3]:
        top, left = rng.integers(0, 4, 2)
        mask[rng.integers(0, 3) :, top : top + 4, left : left + 4] = rng.integers(1, 3)
    return masks


def test_metrics_of_volumes_follow_from_scores_of_cases_too():
    truth, output = volume_blocks(0), volume_blocks(1)
    test = Split(np.zeros((N, 1, 1, 1, 1), np.uint8), truth, IDS, **VOLUMES)
    kept = case_scores(MASKS, output, truth, **VOLUMES)
    whole = score(MASKS, output, test, resamples=COUNTS)
    assert score_cases(MASKS, kept, test, resamples=COUNTS) == whole
    assert {"dice", "nsd", "hd95", "lesion_recall", "lesion_f1[<6mm]", "dice[<6mm]"} <= set(whole)
    assert not any("%" in name for name in whole)
    far = kept | {"surfaces": kept["surfaces"] + np.array([0, 1e3])}
    with pytest.raises(DataError, match="distance"):
        check_cases(MASKS, far, truth, **VOLUMES)


def test_distances_of_volumes_are_in_millimetres():
    truth, output = volume_blocks(0), volume_blocks(1)
    near, far = (
        score(MASKS, output, Split(np.zeros((N, 1, 1, 1, 1), np.uint8), truth, IDS, spacing=mm), resamples=None)
        for mm in (VOLUMES["spacing"], 10 * VOLUMES["spacing"])
    )
    assert far["hd95"].value == pytest.approx(10 * near["hd95"].value)
    assert far["nsd"].value < near["nsd"].value
    assert far["dice"].value == near["dice"].value


SPOILT = {
    "areas": lambda a: a["areas"].__setitem__((0, 0, 0), 200),
    "area of an image": lambda a: a["areas"].__setitem__((0, slice(None), 1), 600),
    "surface Dice": lambda a: a["surfaces"].__setitem__((0, 1, 0), 1.5),
    "distance": lambda a: a["surfaces"].__setitem__((0, 1, 1), -1.0),
    "lesions": lambda a: a["lesions"].__setitem__((0, 0, 0, 0), 9),
    "centrelines": lambda a: a["centrelines"].__setitem__((0, 0), 2.0),
}


@pytest.mark.parametrize("what", SPOILT)
def test_impossible_scores_are_refused(what):
    truth = blocks(0)
    kept = {n: a.astype(np.uint16 if a.dtype.kind == "u" else a.dtype) for n, a in
            case_scores(MASKS, blocks(1), truth).items()}  # fmt: skip
    check_cases(MASKS, kept, truth)
    SPOILT[what](kept)
    with pytest.raises(DataError, match="impossible"):
        check_cases(MASKS, kept, truth)
    del kept["lesions"]
    with pytest.raises(DataError, match="lesions"):
        check_cases(MASKS, kept, truth)


@pytest.mark.parametrize("target", ["binary", "multi-class", "multi-label"])
def test_two_bytes_keep_classes_and_sides_and_nearly_every_metric(target):
    k, n, rng = 2 if target == "binary" else 5, 4000, np.random.default_rng(0)
    task = task_of(target, [f"c{i}" for i in range(k)], "auroc")
    odds = rng.normal(0, 4, (n, k))
    if target == "multi-label":
        output, labels = 1 / (1 + np.exp(-odds)), (odds + rng.normal(0, 6, (n, k)) > 3).astype(np.uint8)
    else:
        output = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
        labels = (odds + rng.normal(0, 5, (n, k))).argmax(axis=1)
    output = output.astype(np.float32)
    output[:3] = np.eye(k, dtype=np.float32)[0]  # 0 and 1 themselves
    output[3] = 1 / k
    test = Split(np.zeros((n, 1, 1, 1), np.uint8), labels, np.arange(n).astype(str))
    codes = log_odds(task, output)
    again = probabilities(codes)
    assert codes.dtype == np.int16
    decided = [a >= 0.5 if target == "multi-label" else a.argmax(axis=1) for a in (again, output)]
    assert (decided[0] == decided[1]).all()
    whole, two = (score(task, o, test, resamples=None) for o in (output, again))
    assert whole.keys() == two.keys()
    assert max(abs(whole[name].value - two[name].value) for name in whole) < 2e-4


def test_codes_of_another_type_are_refused():
    with pytest.raises(DataError, match="int16"):
        probabilities(np.zeros((3, 2), np.float64))


def test_equal_labels_of_one_case_stay_equal():
    """Where one class is decided a tie is broken; several labels are decided each for itself."""
    output = np.array([[0.5, 0.5, 0.25]])
    one, several = (task_of(t, list("abc"), "auroc") for t in ("multi-class", "multi-label"))
    assert np.diff(log_odds(several, output)[0, :2]) == 0
    assert np.diff(log_odds(one, output)[0, :2]) == -1
