"""Which units feed a board: every version of a family does, other families and budgets do not."""

import pytest

from bench.recipes import RECIPES, feeds_board, feeds_full_board


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_units_of_every_version_feed_their_boards(version):
    for name in ("linear", "dense-linear"):
        assert feeds_board(f"{name}-{version}", "10%")
        assert feeds_full_board(f"{name}-{version}", "100%")
        assert not feeds_full_board(f"{name}-{version}", "10%")
        assert not feeds_board(f"{name}-{version}", "25%")


def test_other_families_feed_none():
    assert not feeds_board("knn-v1", "100%")
    assert not feeds_board("dense-retrieval-v2", "n=16")


def test_boards_of_other_probes_have_no_label_curves():
    frozen = {recipe.slug: recipe.frozen for recipe in RECIPES}
    assert frozen["overall"]
    assert frozen["low-label"]
    assert not frozen["volumes"]
    assert not frozen["numbers"]
    assert not frozen["fine-tune"]
