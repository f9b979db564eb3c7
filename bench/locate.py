"""Where things live: the definitions shipped with the package, and the user's cache."""

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def shipped(name: str) -> Path:
    """Folder `name` ("tasks", "site", "submissions") of the checkout, or its copy inside the installed wheel."""
    inside = _PACKAGE / "_shipped" / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def home() -> Path:
    """The cache folder: `MEDSSL_HOME`, else `$XDG_CACHE_HOME/medssl`, else `~/.cache/medssl`."""
    if chosen := os.environ.get("MEDSSL_HOME"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "medssl"
