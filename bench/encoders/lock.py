"""The lock: which commit and which bytes an encoder's open name stood for when it was first used here.

<home>/encoders.lock.json                    written at first use
bench/encoders/catalogue/encoders.lock.json  shipped by a maintainer; it wins
"""

import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from bench.encoders.hub import Revision
from bench.errors import CardError, EncoderError
from bench.files import write_atomic
from bench.locate import home
from bench.strict import Line, Sha256, Strict

NAME = "encoders.lock.json"
SHIPPED = Path(__file__).parent / "catalogue" / NAME
MAX_BYTES = 4 << 20

Origin = Annotated[str, StringConstraints(min_length=1, max_length=500)]
"""The repository, or the address of a file, that a pin is of."""


class Pin(Strict):
    """What one origin stands for."""

    revision: Revision | None = None
    weights: Line
    """Name of the weights file."""
    sha256: Sha256
    licence: Line | None = None
    """As the hub stated it then."""


class _Lock(Strict):
    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    pins: dict[Origin, Pin] = {}


def find(origin: str) -> Pin | None:
    """The pin of an origin: the shipped one, else this machine's. Raises CardError for a lock that is not readable."""
    return _read(SHIPPED).pins.get(origin) or _read(own()).pins.get(origin)


def keep(origin: str, pin: Pin) -> Pin:
    """Write a first pin to this machine's lock. Returns the one that counts.

    Raises EncoderError when another process has pinned something else meanwhile, RunError when it cannot be written.
    """
    from filelock import FileLock

    path = own()
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{NAME}.lock")):
        held = _read(path)
        known = held.pins.get(origin)
        if known is not None and known != pin:
            what = f"another process pinned {known.sha256[:12]} meanwhile, this one has {pin.sha256[:12]}"
            raise EncoderError(what, where=origin, fix="run the same command again")
        pins = {**held.pins, origin: pin}
        write_atomic(path, _Lock(pins=dict(sorted(pins.items()))).model_dump_json(by_alias=True, indent=1))
    return pin


def own() -> Path:
    """This machine's lock."""
    return home() / NAME


def _read(path: Path) -> _Lock:
    if not path.is_file():
        return _Lock()
    if path.stat().st_size > MAX_BYTES:
        raise CardError(f"is over the limit of {MAX_BYTES:,} bytes", where=path)
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise CardError(f"is not valid JSON: {str(error)[:200]}", where=path, fix="remove it to pin anew") from None
    return _Lock.parse(values, where=path)
