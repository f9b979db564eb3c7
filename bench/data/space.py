"""Free disk, asked for before bytes are written."""

import shutil
from pathlib import Path

from bench.errors import RunError

SPARE_BYTES = 256 << 20
"""Left free for everybody else."""


def require_space(folder: Path, needed: int, setting: str = "MEDSSL_HOME") -> None:
    """Raise RunError when `needed` bytes, and some to spare, are not free on the disk of `folder`.

    setting: the environment variable that moves the folder.
    """
    place = folder
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if needed + SPARE_BYTES > free:
        raise RunError(
            f"needs {needed / 1e9:.2f} GB more, {free / 1e9:.2f} GB are free",
            where=folder,
            fix=f"free some space, or set {setting} to a larger disk",
        )
