"""Published tables, kept as data with their citation, and the statistics they give."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.stats import kendalltau

from bench.analysis.agreement import friedman, kendall_w
from bench.strict import read_toml

TABLE = Path(__file__).parent / "medmnist-plus.toml"
COLUMNS = ("linear probe ACC", "linear probe AUC", "kNN ACC")


def medmnist_plus() -> dict[str, float | dict[str, float]]:
    """Rank agreement in the MedMNIST+ table of Doerrich et al. 2025.

    tau between the three training schemes over all ten encoders (from their averages); Kendall's W and Friedman's p
    over data sets for the five encoders whose values by data set are at hand, ChestMNIST aside for accuracy (all
    encoders sit at the share of negatives there).
    """
    table = read_toml(TABLE)
    end_to_end, probe, knn = np.array(list(table["average"].values())).T
    out: dict[str, float | dict[str, float]] = {
        "tau linear probe, kNN": float(kendalltau(probe, knn).statistic),
        "tau linear probe, end to end": float(kendalltau(probe, end_to_end).statistic),
        "tau kNN, end to end": float(kendalltau(knn, end_to_end).statistic),
    }
    names = [name for name in table["by_dataset"] if name != "encoders"]
    values = np.array([table["by_dataset"][name] for name in names])
    for i, column in enumerate(COLUMNS):
        chosen = np.array([name != "Chest" or column.endswith("AUC") for name in names])
        scores = values[chosen, :, i]
        out[f"W {column}, 5 encoders"] = kendall_w(scores)
        out[f"Friedman {column}, 5 encoders"] = friedman(scores)
    return out
