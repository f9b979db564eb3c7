"""Property-based fuzzing: hypothesis spoils valid inputs, one value, line or run of bytes at a time."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from benchmarks.fuzz.readers import BINARY, seeds

SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40),
    st.sampled_from([
        "../../etc/passwd", "\u202e", "\ud7ff", "<script>", "__class__", "0" * 64, 10**400, -1, 2**63, 1e308, "\x00",
        "a\nb", "h\N{CYRILLIC SMALL LETTER O}nest", "CON", "%s%n", "{x}", "NaN",
    ]),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
)


def inputs(reader: str) -> st.SearchStrategy[bytes]:
    """Valid inputs of a reader, spoilt."""
    if reader in BINARY:
        return _bytes(reader)
    if reader in ("record", "badge"):
        return st.one_of(_tree(reader), _bytes(reader))
    return st.one_of(_lines(reader), _bytes(reader))


@st.composite
def _bytes(draw: st.DrawFn, reader: str) -> bytes:
    """Up to four runs of bytes replaced, dropped or repeated."""
    data = bytearray(draw(st.sampled_from(seeds(reader))))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        width = draw(st.integers(0, 24))
        data[at : at + width] = draw(st.binary(max_size=24) | st.just(bytes(data[at : at + width]) * 2))
    return bytes(data)


@st.composite
def _lines(draw: st.DrawFn, reader: str) -> bytes:
    """One line of text repeated, dropped, or its value replaced."""
    lines = draw(st.sampled_from(seeds(reader))).split(b"\n")
    at = draw(st.integers(0, len(lines) - 1))
    key = lines[at].split(b"=")[0]
    value = _json(draw(VALUES))
    lines[at : at + 1] = draw(st.sampled_from([[], [lines[at]] * 2, [key + b"= " + value], [value, lines[at]]]))
    return b"\n".join(lines)


@st.composite
def _tree(draw: st.DrawFn, reader: str) -> bytes:
    """One value of a JSON object replaced, dropped or added, at any depth."""
    tree = json.loads(draw(st.sampled_from(seeds(reader))))
    place: Any = tree
    while True:
        key = draw(st.sampled_from(sorted(place)) | st.text(max_size=8)) if place else draw(st.text(max_size=8))
        if isinstance(place.get(key), dict) and draw(st.booleans()):
            place = place[key]
            continue
        if draw(st.booleans()) and key in place:
            del place[key]
        else:
            place[key] = draw(VALUES)
        return _json(tree)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
