"""Properties of reading: blocks equal the whole, scales are linear, hashes are the DCT they claim to be."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.data.duplicates import perceptual_hashes
from bench.data.images import fit_mask
from bench.data.pixels import to_uint8
from bench.data.sources import npz


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_blocks_of_an_npz_equal_the_whole(tmp_path_factory, make_task, monkeypatch_module, data):
    n = data.draw(st.lists(st.integers(1, 40), min_size=3, max_size=3))
    dtype = data.draw(st.sampled_from([np.uint8, np.int64, np.int32, np.float64]))
    tail = data.draw(st.sampled_from([(5, 4), (5, 4, 1), (3, 6, 3)]))
    rng, arrays = np.random.default_rng(0), {}
    for split, rows in zip(("train", "val", "test"), n, strict=True):
        arrays[f"{split}_images"] = rng.integers(0, 256, (rows, *tail), dtype=np.uint8)
        arrays[f"{split}_labels"] = rng.integers(0, 3, (rows, 1)).astype(dtype)
    folder = tmp_path_factory.mktemp("npz")
    save = data.draw(st.sampled_from([np.savez, np.savez_compressed]))
    save(folder / "t.npz", **arrays)
    monkeypatch_module.setattr(npz, "BLOCK_BYTES", data.draw(st.integers(1, 500)))
    task = make_task(reader="npz", file="t.npz")
    splits = npz.SOURCE.parse(task.source, where="t").load(task, folder)
    for split, loaded in splits.items():
        np.testing.assert_array_equal(loaded.images.reshape(-1, *tail), arrays[f"{split}_images"])
        np.testing.assert_array_equal(loaded.labels, arrays[f"{split}_labels"][:, 0].astype(np.int64))
        assert loaded.ids.tolist() == [f"{split}/{i}" for i in range(len(loaded))]


@pytest.fixture(scope="module")
def monkeypatch_module():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@given(
    st.lists(st.integers(0, 65535), min_size=2, max_size=30),
    st.integers(0, 60000),
    st.integers(1, 60000),
)
def test_a_window_is_linear_and_clips(values, low, width):
    images = np.array(values, np.uint16).reshape(1, 1, -1, 1)
    out = to_uint8(images, [float(low), float(low + width)], Counter()).ravel()
    exact = [min(1.0, max(0.0, (v - low) / width)) * 255 for v in values]
    assert np.abs(out - np.array(exact)).max() <= 0.5 + 1e-9


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_a_resized_mask_holds_no_new_class(h, w, size, seed):
    mask = np.random.default_rng(seed).integers(0, 5, (h, w), dtype=np.uint8)
    out = fit_mask(mask, size)
    assert out.shape == ((size, size) if (h, w) != (size, size) else mask.shape)
    assert set(np.unique(out)) <= set(np.unique(mask)) | {0}


def test_perceptual_hash_against_a_dct_written_out():
    thumbnails = np.random.default_rng(0).random((3, 32, 32))
    k, x = np.arange(32)[:, None], np.arange(32)[None]
    basis = np.cos(np.pi * (2 * x + 1) * k / 64) * np.where(k == 0, np.sqrt(1 / 32), np.sqrt(2 / 32))
    for thumbnail, found in zip(thumbnails, np.unpackbits(perceptual_hashes(thumbnails), axis=1), strict=True):
        low = (basis @ thumbnail @ basis.T)[:8, :8].ravel()
        expected = low > np.median(low[1:])
        assert found[1:].tolist() == expected[1:].tolist()
