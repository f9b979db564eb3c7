"""Rows of a split: which are taken where some stand for all, and what goes along with them."""

from __future__ import annotations

import numpy as np
import pytest

from bench.data.dataset import Split, evenly


@pytest.mark.parametrize(("n", "most", "rows"), [(0, 3, []), (1, 3, [0]), (3, 5, [0, 1, 2]), (9, 3, [0, 4, 8])])
def test_rows_are_evenly_spread_from_the_first_to_the_last(n: int, most: int, rows: list[int]) -> None:
    assert evenly(n, most).tolist() == rows


def test_every_array_goes_with_its_rows() -> None:
    number = np.arange(4)
    split = Split(number, number, number.astype(str), number, {"size": number}, sizes=number)
    some = split.rows(np.array([3, 1]))
    for array in (some.images, some.labels, some.groups, some.strata["size"], some.sizes, some.ids.astype(int)):
        assert array is not None
        assert array.tolist() == [3, 1]
    assert (some.spacing, some.intensities) == (None, None)
