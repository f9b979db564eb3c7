import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from bench.analysis.diagnostics import diagnose
from bench.analysis.diagnostics.foretell import foretelling
from bench.analysis.diagnostics.similarity import cka, cka_matrix, hsic1
from bench.analysis.diagnostics.spectrum import alignment, alpha_req, rankme, uniformity
from bench.analysis.diagnostics.tokens import dense_structure, high_norm_share, pathology_contrast, token_locality
from bench.analysis.table import pick
from tests.analysis.planted import SimulationDesign, plant

RNG = np.random.default_rng(0)


def test_rankme_of_equal_and_of_one_direction():
    assert rankme(np.eye(16)) == pytest.approx(16, abs=1e-3)
    assert rankme(np.outer(np.arange(1, 9), np.ones(5))) == pytest.approx(1, abs=1e-4)
    s = np.array([4.0, 2.0, 1.0, 1.0])
    p = s / s.sum()
    assert rankme(np.diag(s)) == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-4)


@pytest.mark.parametrize("alpha", [0.5, 1.0, 2.0])
def test_alpha_req_recovers_a_planted_power_law(alpha):
    left = np.linalg.qr(RNG.normal(size=(64, 64)))[0]
    left = np.linalg.qr(left - left.mean(0))[0][:, :20]
    assert alpha_req(left * np.arange(1, 21) ** (-alpha / 2)) == pytest.approx(alpha, abs=1e-6)


def test_alignment_and_uniformity_by_hand():
    z = np.array([[1.0, 0.0], [0.0, 2.0]])
    assert alignment(z, z) == 0
    assert alignment(z, -z) == pytest.approx(4)
    assert uniformity(z) == pytest.approx(-4)  # one pair, squared distance 2, t = 2
    sphere = RNG.normal(size=(500, 8))
    assert uniformity(sphere) < uniformity(sphere + 5)


def test_hsic1_equals_its_definition_over_distinct_indices():
    k, m = (a @ a.T for a in RNG.normal(size=(2, 6, 3)))
    n, total = 6, 0.0
    for i in range(n):
        for j in range(n):
            for q in range(n):
                for r in range(n):
                    if len({i, j, q, r}) == 4:
                        total += k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q])
    assert hsic1(k, m) == pytest.approx(total / (n * (n - 1) * (n - 2) * (n - 3)))


def test_cka_knows_rotation_and_is_about_zero_for_wide_independent_features():
    x = RNG.normal(size=(60, 200))
    turned = x @ np.linalg.qr(RNG.normal(size=(200, 200)))[0] * 3 + 7
    assert cka(x, turned) == pytest.approx(1)
    values = [cka(*RNG.normal(size=(2, 60, 200))) for _ in range(20)]
    assert np.mean(values) == pytest.approx(0, abs=0.05)
    table = cka_matrix({"a": x, "b": turned, "c": RNG.normal(size=(60, 4))})
    assert (table.to_numpy() == table.to_numpy().T).all()


def test_locality_of_a_smooth_grid_of_noise_and_against_scipy():
    y, x = np.mgrid[0:6, 0:6] / 6
    smooth = np.stack([np.cos(y * 3), np.sin(y * 3), np.cos(x * 3), np.sin(x * 3)], -1)[None]
    noise = RNG.normal(size=(8, 6, 6, 16))
    assert token_locality(smooth) > 0.7
    assert token_locality(noise) == pytest.approx(0, abs=0.05)
    one = noise[:1].reshape(36, 16) - noise[:1].reshape(36, 16).mean(0)
    one /= np.linalg.norm(one, axis=1, keepdims=True)
    i, j = np.triu_indices(36, 1)
    at = np.stack(np.divmod(np.arange(36), 6), 1)
    expected = spearmanr((one @ one.T)[i, j], -np.linalg.norm(at[i] - at[j], axis=1)).statistic
    assert token_locality(noise[:1]) == pytest.approx(expected)


def test_high_norm_tokens_are_counted():
    grid = RNG.normal(size=(4, 10, 10, 32))
    before = high_norm_share(grid)
    grid[:, 0, :2] *= 20
    assert high_norm_share(grid) - before == pytest.approx(8 / 400, abs=0.003)


def test_dense_structure_prefers_separated_tokens():
    centres = np.linalg.qr(RNG.normal(size=(16, 16)))[0][:8]
    which = RNG.integers(8, size=(4, 6, 6))
    tight = centres[which] + 0.01 * RNG.normal(size=(4, 6, 6, 16))
    loose = centres[which] + 0.5 * RNG.normal(size=(4, 6, 6, 16))
    assert dense_structure(tight, weight=0) > dense_structure(loose, weight=0) > 0
    assert dense_structure(tight, weight=0) == pytest.approx(np.sqrt(2), abs=0.1)
    assert dense_structure(tight) == dense_structure(tight)


def test_pathology_contrast_by_size_and_blindness():
    masks = np.zeros((2, 64, 64), int)
    masks[0, 24:40, 24:40] = 1  # 6.25 % of the image
    masks[1, 0:4, 0:4] = 1  # 0.39 %
    grid = np.zeros((2, 8, 8, 4))
    grid[..., 0] = 1
    grid[0, 3:5, 3:5] = [-1, 0, 0, 0]
    seen = pathology_contrast(np.tile(grid, (4, 1, 1, 1)), np.tile(masks, (4, 1, 1)))
    assert seen["2-10%"] == pytest.approx(2)
    assert pathology_contrast(grid, masks)["2-10%"] is None  # one image says nothing
    assert seen[">10%"] is None
    assert seen["<0.5%"] is None  # the small lesion is a single patch
    blind = pathology_contrast(RNG.normal(size=(4, 8, 8, 512)), np.tile(masks[:1], (4, 1, 1)))["2-10%"]
    assert blind == pytest.approx(0, abs=0.1)


def test_diagnose_names_what_it_can_and_cannot():
    pooled, grid = RNG.normal(size=(20, 8)), RNG.normal(size=(20, 4, 4, 8))
    bare = diagnose(pooled)
    assert bare["token_locality"] is None
    assert bare["alignment"] is None
    full = diagnose(pooled, grid, views=pooled, masks=np.ones((20, 16, 16)))
    assert full["alignment"] == 0
    assert all(np.isfinite(full[k]) for k in ("rankme", "alpha_req", "uniformity", "dse", "high_norm_share"))
    assert "pathology_contrast[>10%]" in full


def test_foretelling_finds_a_diagnostic_that_is_the_score():
    frame = plant(SimulationDesign(encoders=12))
    score = pick(frame, ["linear-v1"]).groupby("encoder")["score"].mean()
    found = foretelling(frame, pd.DataFrame({"oracle": score, "noise": RNG.normal(size=12)}, score.index))
    found = found.set_index(["diagnostic", "board"])
    assert found.loc[("oracle", "global"), "tau"] == pytest.approx(1)
    assert found.loc[("noise", "global"), "tau"] < 1
    assert {"parameters", "oracle", "noise"} == set(found.index.get_level_values(0))
