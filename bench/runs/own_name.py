"""The name of a suite of one's own tasks: that of their folder, told apart from others of the same name."""

import re
from collections.abc import Iterator
from pathlib import Path

from bench.files import sha256_text
from bench.strict import unaccented

LONGEST = 40
"""Letters of a name that is derived; the name of a suite whose protocols are used may follow."""


def plain_name(text: str) -> str:
    """The nearest valid name: lower case, accents dropped, other letters a '-'; "" where nothing is left.

    >>> plain_name("Études du foie (2024)"), plain_name("肺")
    ('etudes-du-foie-2024', '')
    """
    return re.sub(r"[^a-z0-9._]+", "-", unaccented(text)).strip("-._")[:LONGEST].rstrip("-._")


def own_names(place: Path) -> Iterator[str]:
    """Names for the tasks at `place` (a folder, or one card), the plainest first: its own, with its parents', a hash.

    The last one is of the whole path, so that no two places share it.
    """
    place = place.resolve()
    own = plain_name(place.stem if place.suffix == ".toml" else place.name)
    if own:
        yield own
        for parent in place.parents:
            if plain_name(parent.name):
                yield f"{plain_name(parent.name)}-{own}"[:LONGEST].rstrip("-._")
    digest = sha256_text(str(place))
    yield f"{own[: LONGEST - 7] or 'tasks'}-{digest[:6]}"
    yield digest[:LONGEST]
