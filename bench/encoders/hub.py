"""One file of a model hub at a pinned revision."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import StringConstraints

from bench.errors import EncoderError

Repository = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?$")]
"""owner/name on the Hugging Face hub."""
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
"""A commit, not a branch or tag: what it names can never change."""


def fetch(repository: str, filename: str, revision: str | None, *, where: str) -> Path:
    """The file in the local hub cache, downloaded when it is not there yet.

    Raises EncoderError without a revision, and when the file cannot be had.
    """
    if revision is None:
        raise EncoderError(
            f"no revision for {repository}", where=where, fix='pin one: revision = "<the 40 digits of a commit>"'
        )
    try:
        from huggingface_hub import hf_hub_download
    except ImportError:
        raise EncoderError("needs huggingface_hub", where=where, fix="pip install 'medssl-bench[hf]'") from None
    try:
        return Path(hf_hub_download(repository, filename, revision=revision))
    except Exception as error:  # the hub's, the network's and the disk's errors have no common base
        raise EncoderError(
            f"cannot get {filename} of {repository}@{revision[:8]}: {str(error).splitlines()[0][:200]}",
            where=where,
            fix="check the name and the network, or give a local folder",
        ) from None
