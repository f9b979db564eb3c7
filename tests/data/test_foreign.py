"""What stands where an image should is called by its name, with the cure."""

from __future__ import annotations

import os
import re
from collections import Counter

import pytest

from bench.data.foreign import files_below, unread_files
from bench.data.images import read_image
from bench.errors import DataError

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
WRONG = [
    (LFS, r"pointer of Git LFS, not the file itself.*git lfs pull"),
    (b"\n<!DocType HTML><html>404</html>", r"a web page.*login"),
    (b"<?xml version='1.0'?><Error/>", r"an XML file.*download it again"),
    (b"", r"an empty file.*fetch the file again"),
    (b"\0" * 128 + b"DICM", r"DICOM"),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_a_message_names_it_and_the_cure(content, message, tmp_path):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_image(tmp_path / "a.png", None, Counter())


@pytest.mark.parametrize(("content", "message"), WRONG[:3])
def test_a_survey_names_it_and_the_cure(content, message, tmp_path):
    (tmp_path / "a.img0").write_bytes(content)
    assert re.search(message, unread_files(tmp_path, lambda path: False))


def test_links_to_folders_are_followed_once(tmp_path):
    """A class kept on another disk counts, a link into the folder itself or back up does not."""
    here, away = tmp_path / "set", tmp_path / "disk"
    for folder in (here / "a", away / "deep", tmp_path / "other"):
        folder.mkdir(parents=True)
        (folder / "1.png").touch()
    (here / "b").symlink_to(away)
    (here / "0-latest").symlink_to(here / "a")
    (here / "up").symlink_to(tmp_path)
    (away / "again").symlink_to(here)
    (away / "deep" / "round").symlink_to(away)
    assert [p.relative_to(here).as_posix() for p in files_below(here)] == ["a/1.png", "b/deep/1.png"]


def test_a_folder_that_cannot_be_read_is_no_empty_one(tmp_path, monkeypatch):
    for name in ("a", "b", "lost+found"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").touch()
    scan = os.scandir

    def closed(path):
        if os.path.basename(path) in ("b", "lost+found"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", closed)
    with pytest.raises(DataError, match=r"b: cannot be read: Permission denied"):
        files_below(tmp_path)
