"""How much features know of the site: nothing, all of it, and only through the class."""

import numpy as np
import pytest

from bench.runs.leakage import Marked, _neighbours, leakage


def marked(seed, site_effect, class_effect, n=200, confounded=False):
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 2
    site = np.where(rng.random(n) < 0.95, label, 1 - label) if confounded else rng.permutation(label)
    x = rng.normal(size=(n, 16))
    x[:, 0] += site_effect * site
    x[:, 1] += class_effect * label
    ids = np.array([f"i{i}" for i in range(n)])
    return Marked(x.astype(np.float32), np.array(["Jena", "Kiel"])[site], None, ids, label)


def test_a_site_that_features_do_not_know():
    found = leakage("t", marked(0, 0.0, 3.0))
    assert found["site_leakage"].low < 0
    assert found["site_robustness"].low > 0.7


def test_a_site_that_features_know():
    found = leakage("t", marked(0, 6.0, 0.0))
    assert found["site_leakage"].low > 0.9
    assert found["site_robustness"].high < 0.3


def test_a_site_known_through_its_classes_leaks_and_is_robust():
    found = leakage("t", marked(0, 0.0, 6.0, confounded=True))
    assert found["site_leakage"].low > 0.7
    assert found["site_robustness"].value > 0.3


def test_the_robustness_index_worked_out_by_hand(monkeypatch):
    """Two times four directions, opposite to each other so that their middle is 0; two neighbours each.

    0 Ax, 10 Ay, 25 Bx, 45 By (degrees, class, site): 0 has 10 (right) and 25 (wrong); 10 has 0 (right) and 25; 25 has
    10 and 45 (right); 45 has 25 (right) and 10 (wrong). 180 Ay, 190 Bx, 205 Ay, 225 By: 180 has 190 and 205, 190 has
    180 and 205, none of which counts; 205 has 190 and 225 (wrong); 225 has 205 (wrong) and 190 (right).
    """
    monkeypatch.setattr("bench.runs.leakage.NEIGHBOURS", 2)
    angle = np.radians([0, 10, 25, 45, 180, 190, 205, 225])
    label, site = np.array(list("AABBABAB")), np.array(list("xyxyyxyy"))
    ids = np.array([f"i{i}" for i in range(8)])
    given = Marked(np.stack([np.cos(angle), np.sin(angle)], axis=1), site, None, ids, label)
    found = _neighbours(given, label, np.array([[1] * 8, [2, 0, 0, 0, 1, 1, 1, 0]], np.uint8))
    assert found == pytest.approx([5 / 9, 2 / 5])


def test_patients_stay_on_one_side():
    """Features that know each patient, and nothing of sites, tell the site only where patients are known already."""
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(20), 10)
    given = Marked(
        np.eye(20)[patient] + rng.normal(0, 0.01, (200, 20)), np.array(["A", "B"])[patient % 2],
        np.array([f"p{p}" for p in patient]), np.array([str(i) for i in range(200)]), None,
    )  # fmt: skip
    alone = Marked(given.features, given.sites, None, given.ids, None)
    assert leakage("t", alone)["site_leakage"].value > 0.95
    assert leakage("t", given)["site_leakage"].value < 0.5
    assert "site_robustness" not in leakage("t", given)


def test_one_site_says_nothing():
    given = marked(0, 0.0, 0.0)
    assert leakage("t", Marked(given.features, np.full(200, "A"), None, given.ids, None)) == {}
    few = np.array(["A"] * 196 + ["B"] * 4)
    assert leakage("t", Marked(given.features, few, None, given.ids, None)) == {}
