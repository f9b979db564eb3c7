"""Drawings: what a mask marks is what changes in the image, and the physics leaves its mark on the statistics."""

import numpy as np
import pytest
from scipy import stats

from bench.phantoms import _fields as F
from bench.phantoms import _shapes as S
from bench.phantoms._random import fork, stream
from bench.phantoms.base import Lesion, Scene
from bench.phantoms.generate import modalities
from bench.phantoms.histology import STAINS

EIGHT = sorted(modalities())


def grey(image):
    return image if image.ndim == 2 else image.mean(2)


def ranks(image):
    """Grey ranks in [0, 1], a little blurred: whatever the exposure and the noise."""
    return F.blur(stats.rankdata(grey(image)).reshape(128, 128) / 128**2, 1.5)


def drawn(name, scene, seed=0):
    return modalities()[name].draw(stream("anatomy", seed), stream("image", seed), scene)


@pytest.mark.parametrize("name", EIGHT)
def test_the_mask_marks_what_changes_with_the_contrast_of_the_lesion(name):
    """The same scene with a faint and with a strong lesion differs inside the mask far more than outside."""
    ratios = []
    for seed in range(3):
        faint, strong = (drawn(name, Scene(lesion=Lesion(0.05, contrast)), seed) for contrast in (0.0, 1.0))
        assert np.array_equal(faint.mask, strong.mask)
        change = np.abs(ranks(faint.image) - ranks(strong.image))
        ratios.append(change[strong.mask > 0].mean() / (change[strong.mask == 0].mean() + 1e-9))
    assert min(ratios) > 3


@pytest.mark.parametrize("name", EIGHT)
def test_no_lesion_no_mask_and_sites_look_different(name):
    plain = drawn(name, Scene())
    assert not plain.mask.any()
    assert not np.allclose(plain.image, drawn(name, Scene(site=1)).image)


@pytest.mark.parametrize("name", EIGHT)
def test_a_small_finding_is_small_and_marked(name):
    modality = modalities()[name]
    for kind in range(1, modality.focal_count):
        area = drawn(name, Scene(focal=kind), kind).finding.mean()
        assert 0 < area < 0.12


@pytest.mark.parametrize("contrast", [0.0, 1.0])
def test_contrast_is_graded(contrast):
    """CT: the drop in grey value inside the tumour follows `contrast`."""
    plain = drawn("ct", Scene()).image
    lesion = drawn("ct", Scene(lesion=Lesion(0.03, contrast)))
    drop = np.median(plain[plain > 0.3]) - lesion.image[lesion.mask > 0].mean()
    assert (drop > 0.1) == (contrast == 1.0)


def test_textures_have_mean_0_and_variance_1():
    for make in (lambda r: F.smooth(r, 2), lambda r: F.band(r, 9), F.white):
        values = np.stack([make(stream("texture", i)) for i in range(40)])
        assert abs(values.mean()) < 0.05
        assert values.var() == pytest.approx(1, abs=0.1)


def test_mixing_keeps_the_variance():
    a, b = F.white(stream("a")), F.white(stream("b"))
    for share in (0.0, 0.3, 1.0):
        assert F.mix(a, b, share).var() == pytest.approx(1, abs=0.05)


def test_rician_noise_has_the_moments_of_scipy():
    sample = F.rician(stream("rice"), np.full((400, 400), 3.0), 1.5)
    mean, variance = stats.rice(b=3.0 / 1.5, scale=1.5).stats()
    assert sample.mean() == pytest.approx(mean, rel=0.01)
    assert sample.var() == pytest.approx(variance, rel=0.02)


def test_poisson_variance_equals_its_mean():
    counts = F.poisson(stream("p"), np.full((300, 300), 40.0))
    assert counts.var() == pytest.approx(counts.mean(), rel=0.03)


def test_gaussianised_patterns_share_one_histogram():
    a, b = F.gaussianised(F.smooth(stream(1), 3)), F.gaussianised(-np.exp(F.band(stream(2), 8)))
    assert np.array_equal(np.sort(a, None), np.sort(b, None))
    assert a.var() == pytest.approx(1, abs=1e-3)


def test_dermoscopy_patterns_have_the_same_histogram():
    from bench.phantoms.dermoscopy import _pattern

    first, *others = [np.sort(_pattern(stream("d", k), k), None) for k in range(4)]
    assert all(np.array_equal(first, other) for other in others)


def test_ultrasound_speckle_is_rayleigh_before_compression():
    """The envelope of fully developed speckle: mean over standard deviation is 1.91 (Goodman)."""
    field = stream("speckle").standard_normal((2, 400, 400))
    envelope = np.sqrt((field**2).sum(0))
    assert envelope.mean() / envelope.std() == pytest.approx(1.913, abs=0.01)


def test_stains_are_close_to_unit_vectors():
    assert np.linalg.norm(np.concatenate(STAINS), axis=1) == pytest.approx(np.ones(4), abs=0.03)


def test_grow_gives_the_exact_area():
    for area in (0.002, 0.05, 0.15):
        mask, radius = S.grow(S.lesion_field(stream(area > 0.01, 3), np.ones((128, 128)), area), area)
        assert mask.sum() == round(area * 128**2)
        assert radius[mask].max() <= 1 + 1e-9


def test_a_stroke_is_about_one_along_its_middle():
    line = np.stack([np.zeros(5), np.linspace(-0.8, 0.8, 5)], 1)
    drawn_line = S.strokes([line], 4.0)
    assert drawn_line[64, 30:98].max() == pytest.approx(1, abs=0.1)
    assert drawn_line[40].max() < 1e-6


def test_with_histogram_gives_every_channel_the_reference():
    reference = np.sort(stream(1).uniform(size=(128 * 128, 3)), axis=0)
    image = F.with_histogram(stream(2).uniform(size=(128, 128, 3)), reference)
    assert np.array_equal(np.sort(image.reshape(-1, 3), axis=0), reference)


def test_a_fork_leaves_its_parent_as_it_was():
    long, short = stream("fork"), stream("fork")
    fork(long).uniform(size=100)
    fork(short).uniform(size=3)
    assert long.uniform() == short.uniform()
