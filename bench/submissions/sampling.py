"""Which units are run again, drawn after the submission is fixed, and how likely a forged one is among them.

`python -m bench.submissions.sampling` prints the table of docs/submitting.md.
"""

import random
from collections.abc import Iterable
from math import ceil, comb

from bench.files import sha256_text

FORGED = 0.05
"""Share of forged units that a sample must be able to catch (at least one unit), ..."""
CHANCE = 0.95
"""... with this probability."""


def lot(contents_sha256: str, nonce: str) -> str:
    """What draws: by the bytes of the submission and what the verifier adds.

    An author who changes a byte to move the draw cannot know where to: the nonce comes afterwards. Who has both can
    repeat the draw.
    """
    return sha256_text(f"{contents_sha256}\0{nonce}")


def draw(keys: Iterable[str], n: int, lot: str) -> list[str]:
    """`n` of the units, all where there are fewer."""
    found = sorted(keys)
    return random.Random(lot).sample(found, min(n, len(found)))


def chance(units: int, forged: int, sample: int) -> float:
    """Probability that at least one of `forged` among `units` is in a sample without replacement.

    >>> round(chance(20, 1, 5), 2)
    0.25
    """
    return 1 - comb(units - forged, sample) / comb(units, sample)


def enough(units: int) -> int:
    """Smallest sample that catches FORGED of the units with probability CHANCE; all of a few.

    >>> enough(10), enough(592)
    (10, 55)
    """
    forged = max(1, ceil(FORGED * units))
    return next((m for m in range(units + 1) if chance(units, min(forged, units), m) >= CHANCE), units)


def table() -> str:
    """The chance of catching k forged units of n, for some samples, as Markdown."""
    forged = (1, 2, 5, 10, 30, 60)
    lines = [
        "| units | run again | " + " | ".join(f"{k} forged" for k in forged) + " |",
        "|---" * (2 + len(forged)) + "|",
    ]
    for units in (36, 592, 1086):
        for sample in (3, 12, enough(units), units):
            cells = [f"{100 * chance(units, k, sample):.0f} %" if k <= units else "" for k in forged]
            lines.append(f"| {units:,} | {sample:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
