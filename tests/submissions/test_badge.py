"""Verdicts of verifications that end at the same time are all kept."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import RunError, UserError
from bench.submissions.badge import FILE, read_verdicts, write_verdicts

AT_ONCE, EACH = 3, 8
WRITER = """
import sys
from pathlib import Path
from bench.submissions.badge import Coverage, Verification, write_verdicts

print("ready", flush=True)
sys.stdin.readline()
for number in range(int(sys.argv[3])):
    mine = Verification(
        schema=2, encoder=sys.argv[2], suite=f"suite-{number}", contents_sha256="0" * 64, badge="declared",
        covers=Coverage(units=1), verified="2026-01-01T00:00:00+00:00", medssl="1",
    )
    write_verdicts(Path(sys.argv[1]), lambda: [mine])
"""


def test_verifications_at_once_lose_no_verdict(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), f"encoder-{i}", str(EACH)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for i in range(AT_ONCE)
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("\n")
        writer.stdin.flush()
    for writer in writers:
        writer.communicate(timeout=200)
    assert [writer.returncode for writer in writers] == [0] * AT_ONCE
    expected = {(f"encoder-{i}", f"suite-{number}") for i in range(AT_ONCE) for number in range(EACH)}
    assert set(read_verdicts(tmp_path)) == expected


def test_a_folder_that_takes_no_lock_is_one_message(tmp_path: Path) -> None:
    (tmp_path / f".{FILE}.lock").mkdir()
    with pytest.raises(RunError, match="cannot be written"):
        write_verdicts(tmp_path, list)


def verdict(**more: object) -> str:
    covers = {"units": 40, "rescored": 40, "whole": True}
    values = {"schema": 2, "encoder": "a", "suite": "s", "contents_sha256": "0" * 64, "badge": "rescored"}
    return json.dumps(values | {"covers": covers, "verified": "2026-01-01", "medssl": "1"} | more) + "\n"


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (verdict(badge="reproduced"), "is reproduced, and what it covers makes rescored"),
        (verdict(covers={"units": 40}), "is rescored, and what it covers makes declared"),
        (verdict() + verdict(verified="2026-02-01"), "holds two verdicts on a and s"),
        (verdict(seal="0" * 16), "badges.jsonl:1: was changed after it was written"),
    ],
    ids=["more than it covers", "nothing covered", "an older line replayed", "a broken seal"],
)
def test_lines_that_nothing_writes_are_refused(tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / FILE).write_text(lines)
    with pytest.raises(UserError, match=message):
        read_verdicts(tmp_path)
