"""Tables as their users save them."""

import unicodedata

import pytest
from PIL import Image

from bench.data.table import path_of, read_table
from bench.errors import DataError


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("image,label\na.png,1\n".encode("utf-16"), ["image", "label"]),
        (b"\xef\xbb\xbfImage;label\r\na.png;1\r\n", ["Image", "label"]),
        (b"sep=;\nimage;label\na.png;1,5\n", ["image", "label"]),
        (b"sep=\t\nimage\tlabel, in words\na.png\t1\n", ["image", "label, in words"]),
    ],
)
def test_marks_of_other_programs(tmp_path, content, columns):
    (tmp_path / "t.csv").write_bytes(content)
    table = read_table(tmp_path / "t.csv", "image")
    assert table.columns == columns
    assert [cells[0] for _, cells in table.rows] == ["a.png"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04" + bytes(60), "is no text.*Excel workbook"),
        (b"# made by us\nimage,label\n", "the header reads '# made by us'"),
        ("image,label\nä".encode("latin-1"), "not UTF-8 text"),
        ("image,label\n".encode("utf-16") + b"\n", "not UTF-16 text"),
    ],
)
def test_what_is_no_table_says_so(tmp_path, content, message):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_table(tmp_path / "t.csv", "image")


def test_paths_in_other_spellings(tmp_path):
    decomposed = tmp_path / unicodedata.normalize("NFD", "é.png")
    Image.new("L", (8, 8)).save(decomposed)
    assert path_of("é.png", tmp_path, None)[1].is_file()
    (tmp_path / "scan.nii.gz").write_bytes(b"")
    assert path_of("scan", tmp_path, None) == ("scan.nii.gz", tmp_path / "scan.nii.gz")
    (tmp_path / "scan.dcm").write_bytes(b"")
    with pytest.raises(DataError, match=r"can be scan\.dcm or scan\.nii\.gz"):
        path_of("scan", tmp_path, None)


def test_endings_in_another_case_addresses_and_workbooks(tmp_path):
    (tmp_path / "a.PNG").write_bytes(b"x")
    assert path_of("a.png", tmp_path, "x") == ("a.PNG", tmp_path / "a.PNG")
    assert path_of("b.png", tmp_path, "x") == ("b.png", tmp_path / "b.png")
    with pytest.raises(DataError, match=r"t\.csv, line 2: 'https://host/a\.png' is an address"):
        path_of("https://host/a.png", tmp_path, "t.csv, line 2")
    (tmp_path / "t.csv").write_bytes(b"PK\3\4\x14\xff")
    with pytest.raises(DataError, match=r"is no text.*Excel workbook"):
        read_table(tmp_path / "t.csv", "image")


@pytest.mark.parametrize("path", ["C:\\set\\a.png", "C:/set/a.png", "d:a.png"])
def test_paths_of_another_machine_are_called_so(tmp_path, path):
    with pytest.raises(DataError, match="is a path of a Windows machine"):
        path_of(path, tmp_path, "line 2")
