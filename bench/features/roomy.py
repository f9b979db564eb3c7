"""Arrays too large to be held in memory: a grid for each of the volumes of a task."""

from __future__ import annotations

import math
import os
import tempfile

import numpy as np

from bench.data.space import require_space
from bench.errors import RunError
from bench.locate import home

HELD = 64 << 20
"""Bytes up to which an array is held in memory."""


def roomy(shape: tuple[int, ...]) -> np.ndarray:
    """An empty float32 array; above 64 MiB a map of a file without a name, which goes with it. Raises RunError.

    The system keeps in memory what of the map is in use, and takes it back where memory is short.
    """
    size = 4 * math.prod(shape)
    if size <= HELD:
        return np.empty(shape, np.float32)
    folder = home()
    require_space(folder, size)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            # The space is taken now: a map of a full disk would end the process.
            os.posix_fallocate(file.fileno(), 0, size) if hasattr(os, "posix_fallocate") else file.truncate(size)
            return np.memmap(file, np.float32, "r+", shape=shape)
    except OSError as error:
        raise RunError(f"features cannot be kept: {error.strerror}", where=folder, fix="set MEDSSL_HOME") from error
