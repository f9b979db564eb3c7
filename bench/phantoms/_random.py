"""Random streams that stay the same on every machine, NumPy version and number of processes."""

import hashlib

from numpy.random import PCG64, RandomState, SeedSequence


def stream(*keys: int | str) -> RandomState:
    """A random stream of its own for each list of keys, independent of all others.

    `RandomState` on purpose: its streams are frozen for good (NEP 19), those of `Generator` are not, and the
    checksums of the suite must hold under later NumPy versions.

    >>> bool(stream("a", 1).uniform() == stream("a", 1).uniform() != stream("a", 2).uniform())
    True
    """
    words = [int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:8]) for key in keys]
    return RandomState(PCG64(SeedSequence(words)))


def balanced(index: int, classes: int, *keys: int | str) -> int:
    """Class of image `index`: each run of `classes` images holds every class once, in random order.

    >>> sorted(balanced(i, 3, "demo") for i in range(3))
    [0, 1, 2]
    """
    block, place = divmod(index, classes)
    return int(stream(*keys, "block", block).permutation(classes)[place])


def between(rng: RandomState, low: float, high: float) -> float:
    """One uniform float64 in [low, high)."""
    return float(rng.uniform(low, high))


def fork(rng: RandomState) -> RandomState:
    """A child stream; however much is drawn from it, `rng` goes on the same."""
    return RandomState(PCG64(SeedSequence(rng.randint(0, 2**31, 4).tolist())))
