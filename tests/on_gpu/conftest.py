"""Tests of what runs on a GPU: on the real one where there is one, else on an emulated one (see `emulated`).

They have a process of their own, which `tests/features/test_extract.py` starts.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from bench.laws.objectives import corpus, recipe  # noqa: F401
from tests.on_gpu.emulated import emulated_gpu

EMULATED = not torch.cuda.is_available()


@pytest.fixture(scope="session", autouse=True)
def gpu() -> Iterator[None]:
    if not EMULATED:
        yield
        return
    with emulated_gpu():
        yield
