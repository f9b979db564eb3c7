"""Files that are not read, called by their names."""

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from bench.errors import DataError
from bench.files import MISTAKEN, first_bytes, mistaken

KINDS = {
    ".mha": "MetaImage", ".mhd": "MetaImage", ".hdr": "Analyze", ".img": "Analyze",
    ".nrrd": "NRRD", ".npy": "NumPy", ".npz": "NumPy", ".svs": "whole-slide", ".ndpi": "whole-slide",
    ".mrxs": "whole-slide", ".jp2": "JPEG 2000", ".heic": "HEIC", ".mat": "MATLAB", ".h5": "HDF5", ".zip": "zip",
}  # fmt: skip
PASSED_OVER = frozenset({"__MACOSX", "DICOMDIR", "lost+found"})
SIDECARS = frozenset({".csv", ".tsv", ".txt", ".md", ".json", ".xml", ".toml", ".xlsx", ".db", ".ini", ".pdf", ".py"})
CONVERT = (
    "convert them to PNG: to 8 bits through the window your question needs, or to 16 bits with 'window' in [source]"
)
EMPTY = "an empty file"
CURES = {
    EMPTY: "fetch the file again",
    "a DICOM file": "give it the ending .dcm, or none: it stands under that of another kind",
    **{what: cure for _, what, cure in MISTAKEN},
}
"""What to do about a kind that stands where an image should; CONVERT for any other."""


def is_hidden(relative: Path) -> bool:
    """Whether a file or a folder on its way is hidden, left by macOS or a disk, or the index of a DICOM export."""
    return any(part.startswith(".") or part in PASSED_OVER for part in relative.parts)


def files_below(folder: Path, ending: str = "") -> list[Path]:
    """Files below a folder, by path, hidden ones aside; links to what is not there are files that are missing.

    A link to a folder is followed, unless its files are found without it. Raises DataError for a folder that cannot be
    read: what lies in it would be left out. ending: of the names of these files alone.
    """
    roots, seen, found = [folder], set[str](), list[Path]()
    for root in roots:  # links are put at its end
        if os.path.realpath(root) in seen:
            continue
        for name, folders, files in os.walk(root, onerror=_refuse):
            here = Path(name)
            seen.add(os.path.realpath(here))
            below = [here / f for f in folders if not is_hidden(Path(f))]
            roots += [p for p in below if p.is_symlink() and not folder.resolve().is_relative_to(p.resolve())]
            folders[:] = [p.name for p in below if not p.is_symlink() and os.path.realpath(p) not in seen]
            found += [here / f for f in files if f.endswith(ending) and not is_hidden(Path(f))]
    return sorted(p for p in found if p.is_file() or (p.is_symlink() and not p.exists()))


def _refuse(error: OSError) -> NoReturn:
    raise DataError(f"cannot be read: {error.strerror}", where=error.filename) from None


def kind_of(source: Path | bytes) -> str | None:
    """The kind of a file by its first bytes and name ("a DICOM file"), or None when it is nothing known."""
    head = first_bytes(source, 132)
    if found := mistaken(head or b""):
        return found[0]
    if head == b"":
        return EMPTY
    name = "" if isinstance(source, bytes) else _suffix(source)
    kind = KINDS.get(name) or KINDS.get(name.removesuffix(".gz"))
    if kind is None and (head or b"")[128:132] == b"DICM":
        kind = "DICOM"
    return f"a {kind} file" if kind else None


def unread_files(folder: Path, is_read: Callable[[Path], bool]) -> str:
    """Which files below `folder` are neither images nor tables: ".mha: 18 files (MetaImage)"; "" for none."""
    found: Counter[tuple[str, str]] = Counter()
    for path in files_below(folder):
        if path.suffix.lower() in SIDECARS or is_read(path):
            continue
        kind = kind_of(path) or ""
        kind = f"{kind}: {CURES[kind]}" if kind in CURES else kind.removeprefix("a ").removesuffix(" file")
        found[_suffix(path) or "no ending", kind] += 1
    common = sorted(found.items(), key=lambda item: (-item[1], item[0]))[:5]
    parts = [f"{name}: {n:,} files{f' ({kind})' if kind else ''}" for (name, kind), n in common]
    return ", ".join(parts)


def _suffix(path: Path) -> str:
    name = path.name.lower()
    return ".nii.gz" if name.endswith(".nii.gz") else path.suffix.lower()
