"""Many tasks are prepared at once, with word of how far each is; interrupted, they stop and leave nothing."""

from __future__ import annotations

import signal
import threading
import time

import numpy as np
import pytest

from bench.data.prepare import prepare_all


@pytest.fixture
def chosen(tiny, make_task, tmp_path):
    np.savez(tmp_path / "t.npz", **tiny())
    kinds = (("a", "b", "c"), ("u", "v", "w"), ("x", "y", "z"))
    return [(make_task(classes=c, name=f"task{i}", reader="npz", file="t.npz"), tmp_path) for i, c in enumerate(kinds)]


def test_says_how_many_images_are_written_and_when_a_task_is_done(chosen):
    told = []
    made = prepare_all(chosen, None, False, 1, lambda name, images: told.append((name, images)))
    assert [m.problem for m in made] == ["", "", ""]
    for task, outcome in zip(chosen, made, strict=True):
        counts = [images for name, images in told if name == task[0].name]
        assert counts[-1] is None
        assert counts[:-1] == sorted(counts[:-1])
        assert counts[-2] == sum(outcome.images.values())


def test_an_interruption_ends_at_the_next_block_and_leaves_nothing(chosen, cache_home):
    begun = []
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a worker of pytest may ignore it

    def told(name: str, images: int | None) -> None:
        begun.append((name, images))
        if len(begun) == 1:
            time.sleep(0.2)  # until the main thread waits for this one
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.5)  # this is a thread: the main one is told meanwhile

    try:
        with pytest.raises(KeyboardInterrupt):
            prepare_all(chosen, None, False, 1, told)
    finally:
        signal.signal(signal.SIGINT, before)
    assert {name for name, _ in begun} == {"task0"}, "the others were not begun"
    assert len(begun) == 2, "the second block was not written"
    assert [p for p in (cache_home / "store").iterdir() if p.is_dir()] == []
