"""A place that a class had before is still answered, with word of the new one."""

from __future__ import annotations

import importlib
import sys

import pytest

from bench.encoders.features import Features


def test_the_earlier_place_of_features():
    sys.modules.pop("bench.features.base", None)
    with pytest.warns(FutureWarning, match=r"import Features from bench\.encoders\.features"):
        found = importlib.import_module("bench.features.base")
    assert found.Features is Features
