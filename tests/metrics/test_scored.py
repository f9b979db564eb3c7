from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, cohen_kappa_score, roc_auc_score

from bench.data.dataset import Split
from bench.data.task import Task
from bench.errors import DataError
from bench.metrics.calibration import fit_temperature
from bench.metrics.resample import resample_counts
from bench.metrics.scored import primary_replicates, score


def task(target, classes, metric="auroc", kind="global"):
    card = {
        "schema": 1, "name": "t", "title": "T", "kind": kind, "modality": "mri", "target": target,
        "classes": classes, "metric": metric, "licence": "x", "corpus": "x", "source": {"reader": "x"},
    }  # fmt: skip
    return Task.parse(card, where="test")


def split(labels, **more):
    n = len(labels)
    return Split(np.zeros((n, 1, 1, 1), np.uint8), labels, np.array([f"test/{i}" for i in range(n)]), **more)


def probabilities(n, k, seed=0):
    p = np.random.default_rng(seed).random((n, k)).astype(np.float32)
    return p / p.sum(1, keepdims=True)


CASES = {
    "binary": (task("binary", ["no", "yes"]), split(np.arange(60) % 2), probabilities(60, 2)),
    "multi-class": (task("multi-class", list("abc")), split(np.arange(60) % 3), probabilities(60, 3)),
    "balanced": (
        task("multi-class", list("abc"), "balanced_accuracy"), split(np.arange(60) % 3), probabilities(60, 3)
    ),
    "ordinal": (task("ordinal", list("01234"), "qwk"), split(np.arange(60) % 5), probabilities(60, 5)),
    "multi-label": (
        task("multi-label", list("abc")),
        split((np.random.default_rng(1).random((60, 3)) < [0.5, 0.3, 0.05]).astype(np.uint8)),
        np.random.default_rng(2).random((60, 3)).astype(np.float32),
    ),
    "dense": (
        task("mask", ["background", "vessel", "lesion"], "dice", "dense"),
        split(np.random.default_rng(3).integers(0, 3, (12, 9, 8)).astype(np.uint8)),
        np.random.default_rng(4).integers(0, 3, (12, 9, 8)).astype(np.uint8),
    ),
}  # fmt: skip


def counts_of(s, replicates=200):
    return resample_counts("t", "test", s.ids, s.groups, replicates)


@pytest.mark.parametrize("name", CASES)
def test_every_metric_has_an_interval_around_the_primary_replicates(name):
    t, s, output = CASES[name]
    found = score(t, output, s, resamples=counts_of(s))
    assert all(np.isfinite(i.value) for i in found.values())
    replicates = primary_replicates(t, output, s, counts_of(s))
    primary = found[t.metric]
    np.testing.assert_allclose([primary.low, primary.high], np.nanquantile(replicates, [0.025, 0.975]))
    assert primary.low <= primary.value <= primary.high
    bare = score(t, output, s, resamples=None)
    assert {n: i.value for n, i in bare.items()} == pytest.approx({n: i.value for n, i in found.items()}, abs=1e-12)
    assert all(i.low is None and i.high is None for i in bare.values())


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("patients", [1, 2])
def test_one_patient_gives_a_score_and_no_interval(name, patients):
    t, s, output = CASES[name]
    s = replace(s, groups=np.arange(len(s)).astype(str) if patients > 1 else np.full(len(s), "the only one"))
    found = score(t, output, s, resamples=counts_of(s))[t.metric]
    assert found.value == score(t, output, s, resamples=None)[t.metric].value
    assert (found.low is None, found.high is None) == (patients == 1,) * 2
    assert np.isnan(primary_replicates(t, output, s, counts_of(s))).all() == (patients == 1)


@pytest.mark.parametrize("name", CASES)
def test_row_order_is_irrelevant(name):
    t, s, output = CASES[name]
    order = np.random.default_rng(0).permutation(len(s))
    shuffled = Split(s.images[order], s.labels[order], s.ids[order])
    once, again = (score(t, o, x, resamples=counts_of(x)) for o, x in ((output, s), (output[order], shuffled)))
    assert once.keys() == again.keys()
    for metric, interval in once.items():
        for end in ("value", "low", "high"):
            assert getattr(again[metric], end) == pytest.approx(getattr(interval, end), abs=1e-12)


@pytest.mark.parametrize("name", CASES)
def test_a_replicate_is_the_metric_of_the_drawn_cases(name):
    t, s, output = CASES[name]
    counts = counts_of(s, 5)
    replicates = primary_replicates(t, output, s, counts)
    if t.target == "multi-label":
        kept = s.labels.sum(0) >= 10
        output, s, t = output[:, kept], split(s.labels[:, kept]), task("multi-label", ["a", "b"])
    for value, row in zip(replicates, counts, strict=True):
        rows = np.repeat(np.arange(len(s)), row)
        drawn = primary_replicates(t, output[rows], split(s.labels[rows]), np.ones((1, len(rows)), np.uint8))
        assert value == pytest.approx(drawn[0], abs=1e-12)


def test_primaries_equal_scikit_learn():
    t, s, output = CASES["multi-class"]
    found = score(t, output, s, resamples=None)
    assert found["auroc"].value == pytest.approx(roc_auc_score(s.labels, output, multi_class="ovr"))
    t, s, output = CASES["binary"]
    found = score(t, output, s, resamples=None)
    assert found["auroc"].value == pytest.approx(roc_auc_score(s.labels, output[:, 1]))
    assert found["auprc"].value == pytest.approx(average_precision_score(s.labels, output[:, 1]))
    t, s, output = CASES["ordinal"]
    decided = np.rint(output.astype(float) @ np.arange(5)).astype(int)
    expected = cohen_kappa_score(s.labels, decided, weights="quadratic")
    assert score(t, output, s, resamples=None)["qwk"].value == pytest.approx(expected)


@pytest.mark.parametrize(("positives", "counts"), [(9, False), (10, True)])
def test_a_label_enters_the_macro_means_with_ten_positives(positives, counts):
    truth = np.zeros((60, 2), np.uint8)
    truth[:20, 0] = truth[:positives, 1] = 1
    output = np.random.default_rng(0).random((60, 2)).astype(np.float32)
    found = score(task("multi-label", ["a", "b"]), output, split(truth), resamples=None)
    areas = [roc_auc_score(truth[:, c], output[:, c]) for c in range(1 + counts)]
    assert found["auroc"].value == pytest.approx(np.mean(areas))
    assert ("auroc[b]" in found) is counts


def test_a_multi_label_macro_leaves_rare_labels_out_and_has_no_accuracy():
    t, s, output = CASES["multi-label"]
    found = score(t, output, s, resamples=None)
    areas = [roc_auc_score(s.labels[:, c], output[:, c]) for c in range(2)]
    assert s.labels[:, 2].sum() < 10
    assert found["auroc"].value == pytest.approx(np.mean(areas))
    assert found["auroc[a]"].value == pytest.approx(areas[0])
    assert "auroc[c]" not in found
    assert "accuracy" not in found


@pytest.mark.parametrize(("scoring", "enough"), [(1, 500), (2, 200)])
def test_calibration_needs_cases_enough_and_a_temperature_from_validation(scoring, enough):
    t = CASES["multi-class"][0]
    small, large = split(np.arange(enough - 1) % 3), split(np.arange(enough) % 3)
    how = {"resamples": None, "scoring": scoring}
    assert not any("ece" in m for m in score(t, probabilities(enough - 1, 3), small, **how))
    output = probabilities(enough, 3)
    plain = score(t, output, large, **how)
    assert "ece_unscaled" in plain
    assert "ece" not in plain
    temperature = fit_temperature(probabilities(200, 3, seed=5), np.arange(200) % 3)
    scaled = score(t, output, large, **how, temperature=temperature)
    assert scaled["ece"].value < scaled["ece_unscaled"].value


def test_the_present_set_has_one_calibration_error():
    """A temperature, which a protocol may have fitted, is not used: docs/choices.md."""
    t, truth, output = CASES["binary"][0], split(np.arange(300) % 2), probabilities(300, 2)
    found = {n for n in score(t, output, truth, resamples=None, temperature=2.0) if "ece" in n}
    assert found == {"ece_unscaled"}


def test_a_single_class_leaves_the_primary_out():
    t, _, output = CASES["binary"]
    found = score(t, output, split(np.zeros(60, int)), resamples=None)
    assert "auroc" not in found
    assert "mcc" not in found
    assert "accuracy" in found


def found_missed_false_and_clean():
    """Four images: the lesion found, the lesion missed, none but one called, none and none called."""
    truth, output = np.zeros((2, 4, 10, 10), np.uint8)
    truth[0, 2:5, 2:5] = truth[1, 2:5, 2:5] = 1
    output[0] = truth[0]
    output[2, 0, 0] = 1
    return truth, output


@pytest.mark.parametrize("name", ["lesion", "vessel"])
@pytest.mark.parametrize(("scoring", "images"), [(1, 2), (2, 3)])
def test_a_false_alarm_counts_from_scoring_2_on(name, scoring, images):
    t = task("mask", ["background", name], "dice", "dense")
    truth, output = found_missed_false_and_clean()
    found = {n: i.value for n, i in score(t, output, split(truth), resamples=None, scoring=scoring).items()}
    assert found["dice"] == found["iou"] == found["nsd"] == pytest.approx(1 / images)
    assert found["hd95"] == pytest.approx(np.hypot(10, 10) * (images - 1) / images)
    assert found.get("cldice") == (pytest.approx(1 / images) if name == "vessel" else None)
    assert found.get("dice_foreground") == (0.5 if scoring == 2 else None)
    assert found["dice[2-10%]"] == 0.5
    assert "dice[<0.5%]" not in found
    assert found["specificity"] == 0.5
    assert found["lesion_recall"] == found["lesion_recall[2-10%]"] == 0.5
    assert found["lesion_f1"] == pytest.approx(2 / (2 + 1 + 1))


def test_a_stratum_of_masks_keeps_its_false_alarms():
    t = task("mask", ["background", "lesion"], "dice", "dense")
    truth, output = (np.concatenate([m, m[:1], m[:1]]) for m in found_missed_false_and_clean())
    contrast = np.array([0.0, 1.0, np.nan, np.nan, 2.0, 3.0])
    found = score(t, output, split(truth, strata={"contrast": contrast}), resamples=None)
    assert found["dice[contrast=low]"].value == pytest.approx(1 / 2)
    assert found["dice[contrast=middle]"].value == 0


def test_a_class_no_image_shows_is_not_judged_by_false_alarms():
    t = task("mask", ["background", "lesion", "other"], "dice", "dense")
    truth, output = found_missed_false_and_clean()
    output[3, 9, 9] = 2
    weights = np.array([[1, 1, 1, 1], [0, 0, 2, 2]], np.uint8)
    values = primary_replicates(t, output, split(truth), weights)
    assert values[0] == pytest.approx(1 / 3)
    assert np.isnan(values[1])


def test_vessels_have_a_centreline_and_contrast_its_terciles():
    t, s, output = CASES["dense"]
    graded = split(s.labels, strata={"contrast": np.where(np.arange(12) < 3, np.nan, np.arange(12.0))})
    found = score(t, output, graded, resamples=None)
    assert "cldice" in found
    low = np.r_[0:3, 3:6]
    expected = score(t, output[low], split(s.labels[low]), resamples=None)
    assert found["dice[contrast=low]"].value == pytest.approx(expected["dice"].value)
    assert found["lesion_recall[contrast=low]"].value == pytest.approx(expected["lesion_recall"].value)


def test_a_global_stratum_keeps_the_ungraded_as_cases_to_tell_from():
    t, s, output = CASES["binary"]
    contrast = np.where(s.labels == 1, np.arange(60.0), np.nan)
    found = score(t, output, split(s.labels, strata={"contrast": contrast}), resamples=None)
    keep = (s.labels == 0) | (np.arange(60) < 20)
    expected = roc_auc_score(s.labels[keep], output[keep, 1])
    assert found["auroc[contrast=low]"].value == pytest.approx(expected)


@settings(max_examples=20)
@given(st.sampled_from(["shape", "nan", "above", "class", "dtype"]))
def test_what_is_no_prediction_is_refused(fault):
    t, s, output = CASES["dense" if fault in ("class", "dtype") else "multi-class"]
    bad = output.copy()
    if fault == "shape":
        bad = bad[1:]
    elif fault == "dtype":
        bad = bad.astype(np.int64)
    else:
        bad[0, 0] = {"nan": np.nan, "above": 1.5, "class": 7}[fault]
    with pytest.raises(DataError):
        score(t, bad, s, resamples=None)


def test_the_package_offers_it_under_its_name():
    import bench.metrics

    assert bench.metrics.score is score


def test_masks_by_hand():
    """A lesion of 16 of 400 pixels found but for 4, a false alarm, and an image that is rightly left empty."""
    truth, output = np.zeros((2, 3, 20, 20), np.uint8)
    truth[0, 2:6, 2:6] = 1
    output[0, 2:6, 2:5] = output[1, 10:12, 10:12] = 1
    found = score(task("mask", ["background", "lesion"], "dice", "dense"), output, split(truth), resamples=None)
    values = {name: interval.value for name, interval in found.items()}
    one = 2 * 12 / (12 + 16)
    assert values["dice"] == pytest.approx((one + 0) / 2)
    assert values["dice_foreground"] == pytest.approx(one)
    assert values["iou"] == pytest.approx((12 / 16 + 0) / 2)
    assert values["specificity"] == pytest.approx(1 / 2)
    assert values["lesion_recall"] == 1.0
    assert values["lesion_f1"] == pytest.approx(2 * 1 / (2 * 1 + 1))
    assert {name: v for name, v in values.items() if name.startswith("dice[")} == {"dice[2-10%]": pytest.approx(one)}


def test_the_centreline_of_the_vessel_alone_is_judged():
    truth = np.zeros((2, 24, 24), np.uint8)
    vessels = task("mask", ["background", "disc", "vessel"], "dice", "dense")
    truth[:, 4, 2:22] = 2
    truth[:, 12:20, 12:20] = 1
    output = truth.copy()
    output[:, 12:20, 12:20] = 0  # the disc is missed
    found = score(vessels, output, split(truth), resamples=None)
    assert found["cldice"].value == 1.0
    swapped = np.where(truth == 1, 1, 0).astype(np.uint8)  # the vessel is missed
    found = score(
        task("mask", ["background", "disc", "vessel"], "dice", "dense"), swapped, split(truth), resamples=None
    )
    assert found["cldice"].value == 0.0
