"""Which submissions a pull request brings: `python -m bench.submissions.changed submissions incoming/submissions`.

Prints one folder name a line, for `medssl verify`. Anything else a pull request may not do to the folder of
submissions is an error: a new file beside the folders, a name that is none of an encoder's, verdicts or withdrawals of
its author. What it deletes or replaces is told on the error stream, and left to the person who merges.
"""

import re
import sys
from pathlib import Path

from bench.errors import SubmissionError, UserError
from bench.strict import NAME
from bench.submissions.badge import FILE
from bench.submissions.intake import DEVICES, bytes_sha256, inspect

KEPT = (FILE, "withdrawn.toml")
"""What maintainers keep beside the folders and no pull request may change: verdicts, and what was taken back."""


def changed(base: Path, incoming: Path) -> list[str]:
    """Names of the folders of `incoming` that are new or differ from those of `base`.

    Raises SubmissionError for a name or a file that may not arrive, and where what maintainers keep is changed.
    """
    if incoming.is_symlink() or (incoming.exists() and not incoming.is_dir()):
        raise SubmissionError("is a link or a file, expected a folder", where="submissions")
    for name in KEPT:
        if _bytes(base / name) != _bytes(incoming / name):
            fix = "only a maintainer's own commit does; bring the branch up to date where it is only behind"
            raise SubmissionError("is changed or deleted", where=f"submissions/{name}", fix=fix)
    names = []
    for folder in sorted(incoming.iterdir()) if incoming.is_dir() else []:
        if (base / folder.name).is_file() and folder.is_file() and not folder.is_symlink():
            continue  # the maintainers' own; the comment names a pull request that changes it
        if why := why_no_folder(folder):
            raise SubmissionError(f"{ascii(folder.name)[1:-1][:100]!r} {why}", where="submissions")
        inspect(folder)
        before = base / folder.name
        if not before.is_dir() or bytes_sha256(before) != bytes_sha256(folder):
            names.append(folder.name)
    return names


def deleted(base: Path, incoming: Path) -> list[str]:
    """What is below `base` and no longer below `incoming`: whole folders, and single files of those that stay."""
    gone = [path for path in sorted(base.rglob("*")) if not (incoming / path.relative_to(base)).exists()]
    whole = [path for path in gone if path.parent not in gone]
    return [path.relative_to(base).as_posix() + ("/" if path.is_dir() else "") for path in whole]


def why_no_folder(folder: Path) -> str | None:
    """Why a path cannot be an encoder's folder on every system, or None."""
    if not re.fullmatch(NAME, folder.name) or folder.is_symlink() or not folder.is_dir():
        return "is not a folder named like an encoder"
    if folder.name in KEPT:
        return "has the name of a file that maintainers keep here"
    if DEVICES.fullmatch(folder.name):
        return "cannot be the name of a folder on Windows"
    return None


def _bytes(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def main() -> None:
    """Print the names; exit code 1 with one message when something may not arrive."""
    base, incoming = Path(sys.argv[1]), Path(sys.argv[2])
    for path in deleted(base, incoming):
        print(f"Deletes {ascii(path)[1:-1][:200]}", file=sys.stderr)
    try:
        names = changed(base, incoming)
        for name in (name for name in names if (base / name).is_dir()):
            print(f"Replaces {name}, which is here already", file=sys.stderr)
        print("\n".join(names))
    except UserError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
