"""Which submissions a pull request brings: `python -m bench.submissions.changed submissions incoming/submissions`.

Prints one folder name a line, for `medssl verify`. Anything else a pull request may not do to the folder of
submissions is an error: a new file beside the folders, a name that is none of an encoder's, a badge of its author.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bench.errors import SubmissionError, UserError
from bench.strict import NAME
from bench.submissions.badge import contents_sha256
from bench.submissions.intake import inspect


def changed(base: Path, incoming: Path) -> list[str]:
    """Names of the folders of `incoming` that are new or differ from those of `base`.

    Raises SubmissionError for a name, a file, or a badge that may not arrive. Folders that are gone are left to
    the person who merges.
    """
    names = []
    for folder in sorted(incoming.iterdir()) if incoming.is_dir() else []:
        if (base / folder.name).is_file() and folder.is_file() and not folder.is_symlink():
            continue  # the maintainers' own; the comment names a pull request that changes it
        if not re.fullmatch(NAME, folder.name) or folder.is_symlink() or not folder.is_dir():
            shown = ascii(folder.name)[1:-1][:100]
            raise SubmissionError(f"{shown!r} is not a folder named like an encoder", where="submissions")
        inspect(folder)
        before = base / folder.name
        if _bytes(folder / "badge.json") not in (None, _bytes(before / "badge.json")):
            what = "brings a badge of its own; only the maintainer's 'medssl verify' writes one"
            raise SubmissionError(what, where=folder.name, fix="remove badge.json")
        if not before.is_dir() or contents_sha256(before) != contents_sha256(folder):
            names.append(folder.name)
    return names


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def main() -> None:
    """Print the names; exit code 2 with one message when something may not arrive."""
    try:
        print("\n".join(changed(Path(sys.argv[1]), Path(sys.argv[2]))))
    except UserError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
