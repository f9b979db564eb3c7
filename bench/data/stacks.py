"""Open volumes: the slices of a task are read one by one, and decoding a volume for each would take hours."""

from collections import OrderedDict
from concurrent.futures import Future
from pathlib import Path
from threading import Lock

from bench.data.images import read_stack
from bench.data.stack import Plane, Stack

KEPT = 8
"""Kept open: images and masks of neighbours in the list."""


class Stacks:
    """The last few stacks, each decoded once however many threads ask for its slices."""

    def __init__(self) -> None:
        self._held: OrderedDict[tuple[object, Plane | None, int | None], Future[Stack]] = OrderedDict()
        self._lock = Lock()

    def get(self, source: Path | bytes, plane: Plane | None, channel: int | None = None) -> Stack:
        """The stack of a file, series or volume. Raises DataError."""
        key = source, plane, channel
        with self._lock:
            mine = key not in self._held
            held = self._held.setdefault(key, Future())
            self._held.move_to_end(key)
            while len(self._held) > KEPT:
                self._held.popitem(last=False)
        if mine:
            try:
                held.set_result(read_stack(source, plane, channel))
            except BaseException as error:
                held.set_exception(error)
        return held.result()
