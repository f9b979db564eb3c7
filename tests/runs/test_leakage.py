"""How much features know of the site: nothing, all of it, and only through the class."""

import numpy as np

from bench.runs.leakage import Marked, leakage


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
