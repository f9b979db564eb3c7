import itertools

import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from bench.analysis.published import TABLE, medmnist_plus
from bench.strict import read_toml


def test_rank_correlations_of_ten_encoders_by_counting_pairs():
    table = np.array(list(read_toml(TABLE)["average"].values()))
    found = medmnist_plus()

    def tau_b(x, y):
        pairs = [(np.sign(x[i] - x[j]), np.sign(y[i] - y[j])) for i, j in itertools.combinations(range(len(x)), 2)]
        dx, dy = np.array(pairs).T
        return (dx * dy).sum() / np.sqrt((dx != 0).sum() * (dy != 0).sum())

    end_to_end, probe, knn = table.T
    assert found["tau linear probe, kNN"] == pytest.approx(tau_b(probe, knn))
    assert found["tau linear probe, end to end"] == pytest.approx(tau_b(probe, end_to_end))
    assert found["tau kNN, end to end"] == pytest.approx(tau_b(knn, end_to_end))
    assert found["tau linear probe, end to end"] < found["tau linear probe, kNN"]


def test_values_by_data_set_average_to_the_published_averages():
    table = read_toml(TABLE)
    by_dataset = dict(table["by_dataset"])
    names = by_dataset.pop("encoders")
    means = np.mean(list(by_dataset.values()), axis=0)
    short = {"CLIP B/16": "CLIP ViT-B/16", "DINO B/16": "DINO ViT-B/16", "SAM B/16": "SAM ViT-B/16"}
    for name, (probe, _, knn) in zip(names, means, strict=True):
        assert probe == pytest.approx(table["average"][short.get(name, name)][1], abs=0.02)
        assert knn == pytest.approx(table["average"][short.get(name, name)][2], abs=0.02)


def test_friedman_of_the_five_known_encoders_against_scipy():
    by_dataset = dict(read_toml(TABLE)["by_dataset"])
    by_dataset.pop("encoders")
    auc = np.array(list(by_dataset.values()))[:, :, 1]
    found = medmnist_plus()
    assert found["Friedman linear probe AUC, 5 encoders"]["p"] == pytest.approx(friedmanchisquare(*auc.T).pvalue)
    assert found["W linear probe AUC, 5 encoders"] > 0.5
