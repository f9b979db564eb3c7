"""One window in numbers is not meant for files in different units."""

import pytest

from bench.data.windows import PixelMeaning, UnitsSeen
from bench.errors import DataError


def test_files_that_say_no_units_hide_no_disagreement():
    seen = UnitsSeen()
    for name, units in (("a", "unknown"), ("b", "other")):
        seen.agree(PixelMeaning(units), [0, 100], name)
    with pytest.raises(DataError, match=r"b: is not in Hounsfield units .* unlike c"):
        seen.agree(PixelMeaning("hounsfield"), [0, 100], "c")
