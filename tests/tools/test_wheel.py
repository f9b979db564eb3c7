"""The wheel carries cards, records and badges of the board, and neither predictions nor weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

ROOT = Path(__file__).parents[2]
MAX_MB = 40


def test_the_wheel_answers_for_the_board(tmp_path):
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(tmp_path)]
    subprocess.run([*command, str(ROOT)], check=True, timeout=280)
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < MAX_MB * 1e6
    carried = {n.removeprefix("bench/_shipped/") for n in ZipFile(wheel).namelist() if "/_shipped/submissions/" in n}
    there = {str(p.relative_to(ROOT)) for p in (ROOT / "submissions").glob("*/*/records.jsonl*")}
    assert there <= carried
    assert "submissions/badges.jsonl" in carried
    assert not [n for n in carried if n.endswith((".npz", ".safetensors"))]
