"""One window in numbers is not meant for files in different units."""

import pytest

from bench.data.windows import PixelMeaning, UnitsSeen
from bench.errors import DataError


def test_files_that_say_no_units_hide_no_disagreement():
    seen = UnitsSeen()
    for name, units in (("a", "unknown"), ("b", "other")):
        seen.agree(PixelMeaning(units), name)
    with pytest.raises(DataError, match=r"b: is not in Hounsfield units .* unlike c"):
        seen.agree(PixelMeaning("hounsfield"), "c")


def test_files_of_which_only_some_are_rescaled_disagree_whoever_comes_first():
    for order in (True, None, False), (False, None, True):
        seen = UnitsSeen()
        for rescaled in order[:2]:
            seen.agree(PixelMeaning(rescaled=rescaled), rescaled)
        with pytest.raises(DataError, match=r"False: has no rescale tags, unlike True"):
            seen.agree(PixelMeaning(rescaled=order[2]), order[2])
