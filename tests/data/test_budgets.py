"""Label budgets: nested, stratified, by patient, the same for everyone."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.budget import Budget
from bench.data.budgets import Subset, subsets, why_invalid
from bench.data.task import Task
from bench.errors import DataError

BUDGETS = ["1%", "5%", "10%", "25%", "100%"]


def task(target: str = "multi-class", k: int = 3, name: str = "made-up") -> Task:
    metric = {"ordinal": "qwk", "mask": "dice"}.get(target, "auroc")
    return Task.parse({
        "schema": 1, "name": name, "title": "T", "kind": "dense" if target == "mask" else "global", "modality": "ct",
        "target": target, "classes": [f"c{i}" for i in range(k)], "metric": metric, "licence": "CC0", "corpus": "n",
        "source": {},
    }, where="test")  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(100, 700), st.integers(2, 6), st.integers(0, 50), st.booleans())
def test_budgets_are_nested_and_have_their_size(n, k, seed, grouped):
    labels = np.random.default_rng(seed).integers(0, k, n)
    groups = np.array([f"p{i // 3}" for i in range(n)]) if grouped else None
    rows = [subsets(task(k=k), labels, groups, b, [seed])[0].rows for b in BUDGETS]
    for smaller, larger in pairwise(rows):
        assert np.isin(smaller, larger).all()
        assert (np.diff(larger) > 0).all()
    for budget, found in zip(BUDGETS, rows, strict=True):
        wanted = max(1, round(n * int(budget[:-1]) / 100))
        assert abs(len(found) - wanted) <= (3 if grouped else 0)
    if grouped:
        for found in rows:
            assert not set(groups[found]) & set(np.delete(groups, found))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 100), st.lists(st.integers(20, 300), min_size=2, max_size=5))
def test_each_class_keeps_its_share(seed, counts):
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
    for budget, share in (("10%", 0.1), ("25%", 0.25)):
        rows = subsets(task(k=len(counts)), labels, None, budget, [seed])[0].rows
        assert (abs(np.bincount(labels[rows], minlength=len(counts)) - share * np.array(counts)) <= 1.5).all()


def test_subsets_are_pinned():
    """A change of the draw changes every published number: this hash may not move."""
    labels = np.arange(300) % 3
    found = [s for b in [*BUDGETS, "k=4", "n=16"] for s in subsets(task(), labels, None, b, range(5))]
    digest = hashlib.sha256()
    for s in found:
        digest.update(f"{s.budget}|{s.seed}|{len(s.rows)}|".encode())
        digest.update(s.rows.astype("<i8").tobytes())
    assert digest.hexdigest() == PINNED


PINNED = "bcaa8c5d52ff5343f08eb8b216b2380720e5d4891e054eaeb51f51b76013626c"


def test_the_order_of_a_stratified_prefix_by_hand():
    # Six rows: four of class 0 stand at 1/8, 3/8, 5/8, 7/8, two of class 1 at 1/4 and 3/4.
    labels = np.array([0, 1, 0, 0, 1, 0])
    for seed in range(5):
        prefixes = [subsets(task("binary", 2), labels, None, f"n={n}", [seed])[0].rows for n in range(1, 7)]
        assert [int(labels[rows].sum()) for rows in prefixes] == [0, 1, 1, 1, 2, 2]


def test_a_patient_counts_for_the_rarest_of_its_classes_by_hand():
    # Four patients of two images; p0 and p1 each show the rare class once: two strata of two patients, at 1/4 and 3/4.
    labels, groups = np.array([0, 1, 1, 0, 0, 0, 0, 0]), np.repeat(["p0", "p1", "p2", "p3"], 2)
    for seed in range(8):
        half = subsets(task("binary", 2), labels, groups, "n=4", [seed])[0].rows
        assert len({*groups[half]} & {"p0", "p1"}) == 1
        assert len({*groups[half]}) == 2


def test_background_is_no_class_of_a_mask():
    # Every image shows class 1; whether it also shows background makes no stratum, so the draw is the same.
    full = np.ones((40, 3, 3), np.uint8)
    part = full.copy()
    part[::4, 0, 0] = 0
    for seed in range(3):
        a, b = (subsets(task("mask", 2), masks, None, "n=10", [seed])[0].rows for masks in (full, part))
        np.testing.assert_array_equal(a, b)
    # Images with nothing on them are a stratum of their own.
    part[:20] = 0
    rows = subsets(task("mask", 2), part, None, "n=10", [0])[0].rows
    assert (rows < 20).sum() == 5


def test_the_nearest_number_of_whole_patients_is_taken():
    groups = np.array(["a"] * 5 + ["b"] * 5 + ["c"] * 5)
    labels = np.zeros(15, int)
    sizes = [len(subsets(task("binary", 2), labels, groups, f"n={n}", [0])[0].rows) for n in (1, 7, 8, 12, 13)]
    assert sizes == [5, 5, 10, 10, 15]
    assert len(subsets(task("binary", 2), np.zeros(30, int), None, "1%", [0])[0].rows) == 1


@pytest.mark.parametrize(("budget", "kind", "few"), [("n=4", "mask", 1), ("k=1", "binary", 1), ("n=4", "binary", 2)])
def test_shots_and_few_masks_need_one_example_and_others_two(budget, kind, few):
    labels = np.array([0, 0, 0, 1, 1, 1])
    train = labels.reshape(-1, 1, 1).astype(np.uint8) if kind == "mask" else labels
    one, none, two = (Subset(Budget(budget), 0, np.array(rows)) for rows in ([0, 1, 3], [0, 1, 2], [0, 1, 3, 4]))
    assert (why_invalid(task(kind, 2), train, one) is None) == (few == 1)
    assert f"holds 0 of 'c1'; {few} are needed" in why_invalid(task(kind, 2), train, none)
    assert why_invalid(task(kind, 2), train, two) is None


def test_a_class_that_the_split_lacks_is_not_asked_for():
    labels = np.array([0, 0, 1, 1])
    assert why_invalid(task(k=3), labels, Subset(Budget("50%"), 0, np.arange(4))) is None


def test_places_of_unequal_classes_by_hand():
    # Eight rows of class 0 at 1/16, 3/16, ..., 15/16, three of class 1 at 1/6, 1/2, 5/6: no two stand together.
    labels = np.array([0] * 8 + [1] * 3)
    found = [labels[subsets(task("binary", 2), labels, None, f"n={n}", [1])[0].rows].sum() for n in range(1, 12)]
    assert found == [0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3]


def test_several_labels_stratify_by_the_rarest_shown():
    # Label 0 on all, label 1 on eight of forty, two of these with the rarer label 2.
    labels = np.zeros((40, 3), np.uint8)
    labels[:, 0], labels[:8, 1], labels[:2, 2] = 1, 1, 1
    for seed in range(4):
        rows = subsets(task("multi-label"), labels, None, "n=20", [seed])[0].rows
        assert labels[rows].sum(0).tolist() == [20, 4, 1]


@pytest.mark.parametrize("target", ["mask", "multi-label"])
def test_shots_are_of_single_classes(target):
    with pytest.raises(DataError, match="shots per class are not defined"):
        subsets(task(target), np.zeros((9, 3, 3), np.uint8), None, "k=1", [0])


def test_as_many_shots_as_there_are():
    labels = np.array([0, 0, 1, 1])
    assert subsets(task("binary", 2), labels, None, "k=2", [0])[0].rows.tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("positives", [1, 2])
def test_one_label_of_several_with_two_positives_is_enough(positives):
    labels = np.zeros((9, 3), np.uint8)
    labels[:positives, 1] = 1
    found = why_invalid(task("multi-label"), labels, Subset(Budget("50%"), 0, np.arange(4)))
    assert found == (None if positives > 1 else "no label has 2 positive images in 50% of the training images")


def test_seeds_and_tasks_differ_and_the_whole_split_does_not():
    labels = np.arange(300) % 3
    a, b = subsets(task(), labels, None, "10%", [0, 1])
    other = subsets(task(name="another"), labels, None, "10%", [0])[0]
    assert not np.array_equal(a.rows, b.rows)
    assert not np.array_equal(a.rows, other.rows)
    assert all(np.array_equal(s.rows, np.arange(300)) for s in subsets(task(), labels, None, "100%", [0, 7]))


def test_shots_are_k_of_each_class_nested_and_from_different_patients():
    labels = np.repeat([0, 1, 2], 40)
    groups = np.array([f"p{i // 4}" for i in range(120)])
    found = {k: subsets(task(), labels, groups, f"k={k}", [5])[0].rows for k in (1, 4, 8, 32)}
    for k, rows in found.items():
        assert (np.bincount(labels[rows]) == k).all()
    assert np.isin(found[4], found[8]).all()
    assert len(set(groups[found[8]])) == 24


def test_image_counts_prefix_the_same_order():
    labels = np.arange(300) % 3
    few, more = (subsets(task(), labels, None, b, [2])[0].rows for b in ("n=16", "10%"))
    assert len(few) == 16
    assert np.isin(few, more).all()


def test_what_cannot_be_drawn_is_an_error_with_the_number():
    labels = np.array([0] * 50 + [1] * 3)
    with pytest.raises(DataError, match="asks for 4 images of 'c1', the training split has 3"):
        subsets(task("binary", 2), labels, None, "k=4", [0])
    with pytest.raises(DataError, match="asks for 60 images"):
        subsets(task("binary", 2), labels, None, "n=60", [0])
    with pytest.raises(DataError, match="not defined"):
        subsets(task("multi-label"), np.ones((9, 3), np.uint8), None, "k=2", [0])


def test_a_class_with_fewer_than_two_images_is_refused_with_its_name():
    labels = np.array([0] * 190 + [1] * 10)
    chosen = subsets(task("binary", 2), labels, None, "5%", [0])[0]
    assert "'c1'; 2 are needed" in why_invalid(task("binary", 2), labels, chosen)
    assert why_invalid(task("binary", 2), labels, subsets(task("binary", 2), labels, None, "25%", [0])[0]) is None


def test_multi_label_needs_one_label_and_masks_need_each_class():
    labels = np.zeros((100, 3), np.uint8)
    labels[:50, 0] = 1
    rows = subsets(task("multi-label"), labels, None, "10%", [0])[0]
    assert why_invalid(task("multi-label"), labels, rows) is None
    assert "no label" in why_invalid(task("multi-label"), labels * 0, rows)
    masks = np.zeros((100, 4, 4), np.uint8)
    masks[:60, 0, 0], masks[:4, 1, 1] = 1, 2
    assert "'c2'" in why_invalid(task("mask"), masks, subsets(task("mask"), masks, None, "10%", [0])[0])
    assert why_invalid(task("mask", 2), masks > 0, subsets(task("mask", 2), masks > 0, None, "10%", [0])[0]) is None


def test_a_budget_that_whole_patients_make_another_is_refused():
    labels = np.arange(60) % 2
    binary = task("binary", 2)
    for patients, budget, reason in (
        (["p"] * 60, "10%", "10% of 60 training images: 6 asked for; patients are kept whole, which gives 60"),
        (["p"] * 60, "n=8", "n=8 of 60 training images: 8 asked for; patients are kept whole, which gives 60"),
        ([f"p{i // 20}" for i in range(60)], "10%", "6 asked for; patients are kept whole, which gives 20"),
        ([f"p{i // 12}" for i in range(60)], "10%", None),
        (["p"] * 60, "100%", None),
    ):
        drawn = subsets(binary, labels, np.array(patients), budget, [0])[0]
        found = why_invalid(binary, labels, drawn)
        assert found is None if reason is None else reason in found
