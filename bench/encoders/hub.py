"""Files of a model hub at a pinned revision: looked up once, checked, and one message when they cannot be had."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, NoReturn

from pydantic import StringConstraints

from bench.errors import EncoderError
from bench.files import sha256_file

Repository = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][\w.-]{0,95}(/[A-Za-z0-9][\w.-]{0,95})?$")]
"""owner/name on the Hugging Face hub."""
Revision = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
"""A commit, not a branch or tag: what it names can never change."""

NOT_FROM_HERE = "cannot get "
SECONDS = 10.0
"""How long the hub may take to answer a question before it counts as out of reach."""


class OutOfReachError(EncoderError):
    """The hub does not answer from here: no use in asking it about the next one."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A file as the hub lists it. `sha256` is None for small files, which the hub keeps as text."""

    size: int | None
    sha256: str | None


@dataclass(frozen=True)
class RepositorySnapshot:
    """A repository at one commit."""

    repository: str
    revision: str
    files: Mapping[str, Listed]
    licence: str | None = None


@lru_cache(maxsize=256)
def snapshot(repository: str, revision: str | None, *, where: str) -> RepositorySnapshot:
    """What the hub lists of a repository at a commit, or at the head of its main branch for None.

    One question, asked once. Raises EncoderError that tells apart: no network, not logged in, access not granted,
    no such repository, no such commit.
    """
    from huggingface_hub import HfApi

    try:
        found = HfApi().model_info(repository, revision=revision, files_metadata=True, timeout=SECONDS)
    except Exception as error:  # the hub's, the network's and the disk's errors have no common base
        _refuse(error, repository, revision, where)
    files = {s.rfilename: Listed(s.size, s.lfs.sha256 if s.lfs else None) for s in found.siblings or ()}
    licence = getattr(found.card_data, "license", None)
    return RepositorySnapshot(repository, found.sha or "", files, licence if isinstance(licence, str) else None)


def fetch(repository: str, filename: str, revision: str | None, *, where: str) -> Path:
    """The file in the local hub cache, downloaded when it is not there yet.

    What arrives is checked against the hub's own SHA-256. Raises EncoderError without a revision, when the file cannot
    be had, and when it arrives damaged; RunError when the disk has no room for it.
    """
    if revision is None:
        raise EncoderError(
            f"no revision for {repository}", where=where, fix='pin one: revision = "<the 40 digits of a commit>"'
        )
    if (path := cached(repository, filename, revision)) is not None:
        return path
    listed = snapshot(repository, revision, where=where).files.get(filename)
    if listed is None:
        raise EncoderError(f"{repository}@{revision[:8]} holds no {filename}", where=where)
    _require_room(listed.size)
    path = _download(repository, filename, revision, where)
    if listed.sha256 is not None and (found := sha256_file(path)) != listed.sha256:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise EncoderError(
            f"{filename} of {repository} arrived damaged: sha256 {found}, the hub says {listed.sha256}",
            where=where,
            fix="it was removed; run the same command again",
        )
    return path


def cached(repository: str, filename: str, revision: str) -> Path | None:
    """The file when it is on this machine already; the hub is not asked."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, filename, revision=revision)
    return Path(found) if isinstance(found, str) else None


def _download(repository: str, filename: str, revision: str, where: str) -> Path:
    """A cut connection goes on where it stopped, some times; the library's warnings about that are kept quiet."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import logging

    loud = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        return Path(hf_hub_download(repository, filename, revision=revision, etag_timeout=SECONDS))
    except Exception as error:  # as above
        _refuse(error, repository, revision, where)
    finally:
        logging.set_verbosity(loud)


def _require_room(size: int | None) -> None:
    from huggingface_hub.constants import HF_HUB_CACHE

    from bench.data.space import require_space

    require_space(Path(HF_HUB_CACHE), size or 0, setting="HF_HOME")


def _refuse(error: Exception, repository: str, revision: str | None, where: str) -> NoReturn:
    """The EncoderError that says what a failed question to the hub means."""
    what, fix = _meaning(error, repository, revision)
    kind = OutOfReachError if what.startswith(NOT_FROM_HERE) else EncoderError
    raise kind(what, where=where, fix=fix) from None


def _meaning(error: Exception, repository: str, revision: str | None) -> tuple[str, str]:
    """(what went wrong, what to do) of an error of huggingface_hub, of its network library, or of the disk."""
    from huggingface_hub import constants, errors

    page, at = f"{constants.ENDPOINT}/{repository}", f"{repository}@{(revision or 'main')[:8]}"
    status = _status(error)
    if isinstance(error, errors.RevisionNotFoundError):
        return f"the hub has no commit {revision} of {repository}", (
            "its history was rewritten: look at what changed, then remove its pin from the lock (docs/catalogue.md)"
        )
    if isinstance(error, errors.EntryNotFoundError) and not isinstance(error, errors.LocalEntryNotFoundError):
        return f"{at} lacks a file", "look at the names of its files on the hub"
    if status == 401 and _gated(error):
        return f"{repository} is gated and you are not logged in", f"accept its terms at {page}, then set HF_TOKEN"
    if status == 403:
        return f"access to {repository} is not granted to the account of your HF_TOKEN", (
            f"ask for it at {page}; it may take its owners days"
        )
    if status == 401 and _token():
        return (
            f"the hub refuses your HF_TOKEN for {repository}",
            f"make a new one at {constants.ENDPOINT}/settings/tokens",
        )
    if status in (401, 404):
        return f"the hub shows no repository {repository}", "check its name; a private one needs HF_TOKEN"
    if status is not None:
        return f"the hub answers {status} for {at}", "try again later"
    if isinstance(error, OSError) and error.errno == 28:
        return f"no room on the disk for {at}", f"free some, or set HF_HOME (now {constants.HF_HOME})"
    if isinstance(error, errors.OfflineModeIsEnabled):
        return f"{at} is not on this machine, and HF_HUB_OFFLINE is set", "seed it (docs/air-gapped.md), or unset it"
    first = (str(error).splitlines() or [type(error).__name__])[0][:160]
    return (
        f"{NOT_FROM_HERE}{at} from {constants.ENDPOINT}: {first}",
        "check the network, or seed it (docs/air-gapped.md)",
    )


def _status(error: Any) -> int | None:
    """HTTP status behind an error, also where the library wraps it."""
    seen = 0
    while error is not None and seen < 8:
        if (status := getattr(getattr(error, "response", None), "status_code", None)) is not None:
            return int(status)
        error, seen = error.__cause__ or error.__context__, seen + 1
    return None


def _gated(error: Any) -> bool:
    from huggingface_hub.errors import GatedRepoError

    while error is not None and not isinstance(error, GatedRepoError):
        error = error.__cause__ or error.__context__
    return error is not None


def _token() -> bool:
    from huggingface_hub import get_token

    return get_token() is not None
