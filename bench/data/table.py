"""A table of text as its users save it: separators, a byte order mark, capitals, blanks, Windows paths."""

import csv
import io
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from bench.data import dicom, nifti
from bench.data.images import SUFFIXES
from bench.data.task import folded
from bench.errors import DataError
from bench.files import readable
from bench.strict import nearest

SEPARATORS = ",;\t|"
UTF_16 = (b"\xff\xfe", b"\xfe\xff")
ENDINGS = (*sorted(SUFFIXES), *nifti.SUFFIXES, *dicom.SUFFIXES)
SAID = re.compile(r"sep=(.)\n")
MAX_BYTES = 1 << 28


@dataclass(frozen=True)
class Table:
    """Rows of a table, each with its line; cells are without blanks around them."""

    path: Path
    columns: list[str]
    rows: list[tuple[int, list[str]]]

    def column(self, name: str, option: str | None = None) -> int:
        """Place of a column; case, blanks, "_" and "-" do not count. Raises DataError with the nearest one.

        option: what `columns` of the card calls it.
        """
        if (place := self.find(name)) is not None:
            return place
        near = nearest(name, self.columns)
        have = f"it has: {', '.join(self.columns)[:200] or 'nothing'}"
        named = near or "..."
        fix = f'{have}; name it, e.g. columns = {{ {option} = "{named}" }} in [source]' if option else have
        raise DataError(f"has no column {name!r}", where=self.path, fix=fix)

    def find(self, name: str) -> int | None:
        """Place of a column, or None. Raises DataError when two columns have its name."""
        places = [i for i, column in enumerate(self.columns) if folded(column) == folded(name)]
        if len(places) > 1:
            raise DataError(f"has two columns {name!r}", where=self.path)
        return places[0] if places else None

    def where(self, line: int) -> str:
        """How a message calls a line."""
        return f"{self.path}, line {line}"


def read_table(path: Path, key: str) -> Table:
    """A table in UTF-8, or UTF-16 with its mark, whose header names the column `key`.

    The separator is the one under which it does.

    Raises DataError when it is unreadable, or a line has too many or too few cells.
    """
    text = _text(path)
    if (said := SAID.match(text)) is not None:  # as Excel says it
        separator, text = said[1], text[said.end() :]
    else:
        separator = _separator(text.split("\n", 1)[0], key)
    rows = []
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        header = [cell.strip() for cell in next(reader, [])]
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise DataError(f"is not a readable CSV table: {str(error)[:150]}", where=path) from None
    for line, cells in rows:
        if len(cells) != len(header):
            what = f"has {len(cells)} cells, the header {len(header)}"
            fix = f"the header reads {separator.join(header)[:60]!r}, the separator is {separator!r}"
            raise DataError(what, where=f"{path}, line {line}", fix=fix)
    return Table(path, header, rows)


def path_of(text: str, root: Path, where: object) -> tuple[str, Path]:
    r"""Name and file of a path in a table: "img\a.png" is "img/a.png", and "a" is "a.png" where that is the only image.

    Raises DataError for a path on a drive of Windows that is not here, and for a name that several files could have.
    """
    path = root / text
    if PureWindowsPath(text).drive and not path.exists():
        fix = "make the paths relative to the table, or to 'root' in [source]"
        raise DataError(f"{text!r} is a path of a Windows machine", where=where, fix=fix)
    if "\\" in text and not path.exists():
        text = text.replace("\\", "/")
        path = root / text
    if not path.exists() and re.match(r"[a-z][a-z0-9+]+://", text, re.IGNORECASE):
        fix = "copy the files here, and write their paths"
        raise DataError(f"{text[:80]!r} is an address, no file", where=where, fix=fix)
    for ending in {path.suffix.lower(), path.suffix.upper()} - {""}:  # systems that tell no case let tables say either
        if not path.exists() and (other := path.with_suffix(ending)).exists():
            text, path = text.removesuffix(path.suffix) + ending, other
    for form in ("NFC", "NFD"):  # macOS writes an accent as a letter of its own
        if not path.exists() and (other := root / unicodedata.normalize(form, text)).exists():
            path = other
    if path.suffix.lower() not in ENDINGS and not path.exists() and path.parent.is_dir():
        found = sorted(p for s in ENDINGS for ending in (s, s.upper()) if (p := Path(f"{path}{ending}")).is_file())
        if len(found) > 1:
            raise DataError(f"{text!r} can be {found[0].name} or {found[1].name}", where=where)
        if found:
            return text + found[0].name.removeprefix(path.name), found[0]
    return text, path


def _text(path: Path) -> str:
    with readable(path, "CSV"):
        if path.stat().st_size > MAX_BYTES:
            raise DataError(f"is larger than {MAX_BYTES:,} bytes", where=path)
        content = path.read_bytes()
        if content.startswith((b"PK", b"\xd0\xcf")) or (b"\0" in content and not content.startswith(UTF_16)):
            raise DataError("is no text, as a table is", where=path, fix="save an Excel workbook as CSV UTF-8")
        name, encoding = ("UTF-16", "utf-16") if content.startswith(UTF_16) else ("UTF-8", "utf-8-sig")
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError as error:
            raise DataError(f"is not {name} text (byte {error.start})", where=path, fix="save it as UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _separator(header: str, key: str) -> str:
    """The one under which the header names the column `key`, or else has most cells."""
    named = (s for s in SEPARATORS if folded(key) in map(folded, _cells(header, s)))
    return next(named, None) or max(SEPARATORS, key=lambda s: len(_cells(header, s)))


def _cells(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])
