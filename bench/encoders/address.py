"""A weights file at an address of its own, outside any hub: fetched once, known by its SHA-256."""

from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from bench.errors import DataError, EncoderError
from bench.files import sha256_text

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s<>\"'?#]{1,400}$")]

ATTEMPTS = 2
"""A cut connection goes on where it stopped; where nobody answers, one attempt is enough to say so."""


def fetch_url(url: str, *, where: str) -> Path:
    """The file at `url` among the downloads, fetched when it is not there yet.

    Raises EncoderError when it cannot be had, RunError when the disk has no room for it.
    """
    from bench.data.fetch import Fetcher
    from bench.data.held import HeldFile

    try:
        Fetcher(attempts=ATTEMPTS).fetch(HeldFile(file=file_name(url), task=where, url=url))
    except DataError as error:
        raise EncoderError(error.what, where=where, fix="check the network, or seed it (docs/air-gapped.md)") from None
    return address_path(url)


def address_path(url: str) -> Path:
    """Where `fetch_url` keeps the file."""
    from bench.data.held import downloads

    return downloads() / file_name(url)


def file_name(url: str) -> str:
    """Its name in the downloads folder: different addresses may end alike.

    >>> file_name("https://example.org/a/resnet50.pth")
    '7ffd0b6ba5d2-resnet50.pth'
    """
    return f"{sha256_text(url)[:12]}-{url.rsplit('/', 1)[-1]}"
