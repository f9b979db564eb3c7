"""What stands where an image should is called by its name, with the cure."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from bench.data.foreign import unread_files
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
