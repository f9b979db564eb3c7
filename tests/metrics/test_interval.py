"""A value with its interval: ordered, of both ends or none, within what a metric can be."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from bench.metrics.interval import Interval


@pytest.mark.parametrize(("low", "high"), [(None, None), (0.2, 0.2), (0.1, 0.9), (-1e6, 1e6)])
def test_what_is_one(low, high):
    assert Interval(value=0.5, low=low, high=high).low == low


@pytest.mark.parametrize(("low", "high"), [(None, 0.2), (0.2, None), (0.3, 0.2), (-1.01e6, 0.0), (0.0, 1.01e6)])
def test_what_is_none(low, high):
    with pytest.raises(ValidationError):
        Interval(value=0.5, low=low, high=high)
