"""What metrics find in the labels of a split alone, kept for the outputs that are compared with them later."""

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import numpy as np

A = TypeVar("A", bound=tuple[np.ndarray, ...])
ROOM = 1 << 27
"""Bytes that are kept of one split; what comes later is computed each time."""


class Truth:
    """Arrays that follow from `labels`, which must not change; it lives as long as who scores outputs against them."""

    def __init__(self, labels: np.ndarray, room: int = ROOM) -> None:
        self.labels, self._room = labels, room
        self._kept: dict[Hashable, Any] = {}

    def once(self, key: Hashable, compute: Callable[[], A]) -> A:
        """`compute()`, which may read nothing but the labels; computed once for each key while there is room."""
        if key in self._kept:
            return cast(A, self._kept[key])
        found = compute()
        if (size := sum(array.nbytes for array in found)) <= self._room:
            self._kept[key] = found
            self._room -= size
        return found
