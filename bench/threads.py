"""One thread for short steps: where other programs run beside, each step would wait for every thread."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_thread() -> Iterator[None]:
    """Inside, torch uses one thread; float32 sums then come in one order whatever the setting outside."""
    import torch  # slow to import, and cards are read with the metrics

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
