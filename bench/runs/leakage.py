"""How much frozen features know of where an image was made: a site index, and the robustness of neighbourhoods.

site_leakage: balanced accuracy with which a linear probe tells the site of images of patients it has not seen, from 0
(chance) to 1. It is high also where sites have other patients or other classes. site_robustness looks past that (the
robustness index of PathoROB, Koemen et al. 2025): of the nearest neighbours that have the class and another site, or
the site and another class, the share of the first; above 0.5, class counts for more than site.
"""

from dataclasses import dataclass

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from bench.metrics.interval import Interval
from bench.metrics.products import Weights, weighted_sums
from bench.metrics.resample import interval, ratio, resample_counts, with_point

LEAKAGE = ("site_leakage", "site_robustness")
FOLDS = 5
NEIGHBOURS = 20
C = 0.01
"""Inverse strength of the probe's penalty, on standardised features."""
MOST = 4000
"""Images looked at, the first of each site in turn."""


@dataclass(frozen=True)
class Marked:
    """Images of a split: features (n, d), site of each ("" unknown), groups or None, ids, and class where one is."""

    features: np.ndarray
    sites: np.ndarray
    groups: np.ndarray | None
    ids: np.ndarray
    labels: np.ndarray | None


def leakage(task: str, marked: Marked) -> dict[str, Interval]:
    """ "site_leakage" and, of a task of one class an image, "site_robustness", with 95 % intervals over patients.

    {} where fewer than two sites have images of `FOLDS` patients each.
    """
    given = _usable(marked)
    if given is None:
        return {}
    counts = with_point(resample_counts(task, "train", given.ids, given.groups), len(given.ids))
    found = {"site_leakage": _told(given, counts)}
    if given.labels is not None:
        found["site_robustness"] = _neighbours(given, given.labels, counts)
    intervals = {name: interval(estimates) for name, estimates in found.items()}
    return {name: value for name, value in intervals.items() if value is not None}


def _usable(marked: Marked) -> Marked | None:
    units = marked.ids if marked.groups is None else marked.groups
    large = [s for s in np.unique(marked.sites) if s and len(np.unique(units[marked.sites == s])) >= FOLDS]
    if len(large) < 2:
        return None
    most = MOST // len(large)
    rows = np.sort(np.concatenate([np.flatnonzero(marked.sites == s)[:most] for s in large]))
    groups, labels = (None if a is None else a[rows] for a in (marked.groups, marked.labels))
    return Marked(marked.features[rows], marked.sites[rows], groups, marked.ids[rows], labels)


def _told(given: Marked, counts: Weights) -> np.ndarray:
    """Balanced accuracy of the site over held-out patients, 0 at chance, in each replicate (1 + B,)."""
    names, site = np.unique(given.sites, return_inverse=True)
    units = given.ids if given.groups is None else given.groups
    right = np.zeros(len(site))
    for fitted, held in StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0).split(given.features, site, units):
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=1000, class_weight="balanced"))
        probe.fit(given.features[fitted].astype(np.float64), site[fitted])
        right[held] = probe.predict(given.features[held].astype(np.float64)) == site[held]
    of_site = (site[:, None] == np.arange(len(names))).astype(np.float64)
    recall = ratio(weighted_sums(counts, of_site * right[:, None]), weighted_sums(counts, of_site)).mean(axis=1)
    return (recall - 1 / len(names)) / (1 - 1 / len(names))


def _neighbours(given: Marked, labels: np.ndarray, counts: Weights) -> np.ndarray:
    """Robustness index in each replicate (1 + B,), cosine neighbours of other patients; NaN where none counts."""
    x = given.features.astype(np.float64) - given.features.mean(axis=0, dtype=np.float64)
    x /= np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    near = x @ x.T
    units = given.ids if given.groups is None else given.groups
    near[units[:, None] == units[None, :]] = -np.inf
    first = np.argsort(-near, axis=1, kind="stable")[:, :NEIGHBOURS]
    same_class = labels[first] == labels[:, None]
    same_site = given.sites[first] == given.sites[:, None]
    right, wrong = (same_class & ~same_site).sum(1), (~same_class & same_site).sum(1)
    sums = weighted_sums(counts, np.stack([right, wrong], axis=1).astype(np.float64))
    return ratio(sums[:, 0], sums.sum(axis=1))
