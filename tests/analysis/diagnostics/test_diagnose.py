"""Every diagnostic stands under its name, and what cannot be had is None."""

import numpy as np
import pytest

from bench.analysis.diagnostics import diagnose
from bench.analysis.diagnostics.spectrum import alignment, alpha_req, rankme, uniformity
from bench.analysis.diagnostics.tokens import dense_structure, high_norm_share, pathology_contrast, token_locality

RNG = np.random.default_rng(0)
POOLED, VIEWS, GRID = RNG.normal(size=(8, 6)), RNG.normal(size=(8, 6)), RNG.normal(size=(8, 4, 4, 6))
GLOBAL = {"rankme": rankme(POOLED), "alpha_req": alpha_req(POOLED), "uniformity": uniformity(POOLED)}
NONE = dict.fromkeys(["alignment", "token_locality", "high_norm_share", "dse"])


@pytest.fixture(scope="module")
def masks():
    found = np.zeros((8, 16, 16), bool)
    found[:, 4:12, 4:8] = True
    return found


def test_global_vectors_alone():
    assert diagnose(POOLED) == {**NONE, **GLOBAL}
    assert diagnose(POOLED, views=VIEWS) == {**NONE, **GLOBAL, "alignment": alignment(POOLED, VIEWS)}


def test_a_grid_gives_what_is_said_of_patches_and_lesions(masks):
    of_patches = {
        "token_locality": token_locality(GRID), "high_norm_share": high_norm_share(GRID), "dse": dense_structure(GRID),
    }  # fmt: skip
    assert diagnose(POOLED, GRID) == {**NONE, **GLOBAL, **of_patches}
    lesions = {f"pathology_contrast[{name}]": x for name, x in pathology_contrast(GRID, masks).items()}
    assert diagnose(POOLED, GRID, masks=masks) == {**NONE, **GLOBAL, **of_patches, **lesions}
    assert sum(x is not None for x in lesions.values()) == 1


def test_masks_without_a_grid_say_nothing(masks):
    assert diagnose(POOLED, masks=masks) == {**NONE, **GLOBAL}


@pytest.mark.parametrize(("shape", "there"), [((1, 3), False), ((2, 2), True), ((4, 1), True)])
def test_a_grid_of_fewer_than_four_patches_has_no_structure(shape, there):
    found = diagnose(POOLED, RNG.normal(size=(8, *shape, 6)))
    assert [found[name] is not None for name in ("token_locality", "high_norm_share", "dse")] == [there] * 3
