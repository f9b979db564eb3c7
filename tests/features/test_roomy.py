import numpy as np
import pytest

from bench.errors import RunError
from bench.features import roomy as module
from bench.features.roomy import roomy


def test_small_arrays_are_held_and_large_ones_lie_in_a_file_that_goes_with_them(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    monkeypatch.setattr(module, "HELD", 400)
    assert type(roomy((10, 10))) is np.ndarray
    large = roomy((10, 11))
    assert isinstance(large, np.memmap)
    large[3] = 7
    assert large.sum() == 77
    assert large.dtype == np.float32
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_said_before_anything_is_encoded(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path))
    with pytest.raises(RunError, match=r"GB more, .* are free.*MEDSSL_HOME"):
        roomy((1 << 20, 1 << 20, 1 << 10))
