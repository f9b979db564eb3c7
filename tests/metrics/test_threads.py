"""Statistics use one thread of torch, whatever the setting: each of their short steps would wait for all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from bench.metrics import products, ranking
from bench.metrics.products import weighted_sums
from bench.metrics.ranking import auroc


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize("where", [products, ranking])
def test_sums_and_rankings_are_made_on_one_thread(where: object, monkeypatch: pytest.MonkeyPatch) -> None:
    seen, honest = [], products.by_case
    monkeypatch.setattr(where, "by_case", lambda weights: seen.append(torch.get_num_threads()) or honest(weights))
    weights, values = np.ones((3, 40), np.uint8), np.arange(40.0)[:, None]
    weighted_sums(weights, values)
    auroc(values > 20, values, weights)
    assert seen == [1]
    assert torch.get_num_threads() == 2
