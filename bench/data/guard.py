"""Files by name: what a message calls them, their stems, and one message for whatever a decoder raises."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.errors import DataError


@contextmanager
def guarded(source: Path | bytes) -> Iterator[None]:
    """Raises DataError in place of what a decoder raises in here."""
    try:
        yield
    except FileNotFoundError:
        raise DataError("no such file", where=name_of(source)) from None
    except DataError as error:
        raise error if error.where else DataError(error.what, where=name_of(source), fix=error.fix) from None
    except Exception as error:  # Decoders raise many kinds; each means that the file cannot be read.
        message = f"{type(error).__name__}: {error}".replace("\n", " ")[:150]
        raise DataError(f"cannot be read: {message}", where=name_of(source)) from None


def name_of(source: Path | bytes) -> str:
    """How a message calls a file."""
    return "an image" if isinstance(source, bytes) else str(source)


def stem_of(path: Path, suffixes: Iterable[str]) -> str:
    """A name without its ending, where that is one of `suffixes`: "1.2.840.7" and folders keep theirs."""
    name = path.name
    found = max((s for s in suffixes if name.lower().endswith(s)), key=len, default="")
    return name[: len(name) - len(found)] or name
