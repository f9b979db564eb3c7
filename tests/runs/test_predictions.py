"""Packed predictions come back exactly; a name that lies about its bits is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from bench.errors import UserError
from bench.files import npz_bytes
from bench.runs.predictions import predictions_bytes, read_predictions

masks = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=4, max_side=19), elements=st.integers(0, 1))
classes = hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=9), elements=st.integers(0, 5))
scores = hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats(0, 1, width=32))


@given(st.dictionaries(st.from_regex(r"[a-z]{1,4}/test", fullmatch=True), masks | classes | scores, max_size=3))
def test_round_trip(tmp_path_factory, arrays: dict[str, np.ndarray]) -> None:
    path = tmp_path_factory.mktemp("p") / "x.npz"
    path.write_bytes(predictions_bytes(arrays))
    again = read_predictions(path)
    assert set(again) == set(arrays)
    for key, array in arrays.items():
        assert again[key].dtype == array.dtype
        np.testing.assert_array_equal(again[key], array)


def test_masks_are_small(tmp_path: Path) -> None:
    y, x = np.mgrid[:128, :128]
    disks = np.stack([((x - 64) ** 2 + (y - 64) ** 2 < r**2) for r in range(5, 55)]).astype(np.uint8)
    assert len(predictions_bytes({"a/test": disks})) < disks.size / 40


@pytest.mark.parametrize("name", ["a@bits7", "a@bits99", "a@bits", "a@bitsx", "a@bits-1", "a@bits999999999"])
def test_a_lying_name_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(npz_bytes({name: np.zeros((2, 3, 2), np.uint8)}))
    with pytest.raises(UserError, match="bits"):
        read_predictions(path)


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    masks, scores = np.eye(4, 9, dtype=np.uint8)[None], np.ones((3, 2), np.float32)
    (tmp_path / "p.npz").write_bytes(predictions_bytes({"a/test": masks, "b/test": scores, "b/test-shift": scores}))
    (one,) = read_predictions(tmp_path / "p.npz", only=["a/test", "absent"]).items()
    assert one[0] == "a/test"
    np.testing.assert_array_equal(one[1], masks)
    assert read_predictions(tmp_path / "p.npz", only=[]) == {}
