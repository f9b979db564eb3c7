"""How threads wait for each other. Where other programs run beside, each step waits for the thread that has no core."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

SPINS = "10000"
"""How often a thread of GNU OpenMP, which torch uses on Linux, looks for work before it gives its core up. Unset it is
300,000: with both of two cores taken by others a suite takes twice as long; with none taken, as long to 2 %."""


def give_cores_up() -> None:
    """Let waiting threads give their cores up soon, unless the user has said how they wait; before torch is loaded."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)


@contextmanager
def one_thread() -> Iterator[None]:
    """For short steps: inside, torch uses one thread; float32 sums then come in one order, whatever is set outside."""
    import torch  # slow to import, and cards are read with the metrics

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
