"""Names that are not ASCII, on a machine whose locale is C, as in many containers and cron jobs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MEDSSL = (sys.executable, "-c", "from bench.cli import main; main()")


def images(folder: Path) -> None:
    rng = np.random.default_rng(0)
    for split, n in (("train", 12), ("val", 6), ("test", 6)):
        for name, light in (("gesund", 0), ("müde", 100)):
            (folder / split / name).mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(light, light + 100, (16, 16, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"bild-{i}é.png")


@pytest.mark.timeout(300)
def test_from_images_to_the_site(tmp_path):
    work = tmp_path / "é ü"
    images(work / "bilder-ü")
    without = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG", "PYTHONUTF8"))}
    environment = {**without, "LC_ALL": "C", "MEDSSL_HOME": str(tmp_path / "héim")}

    def medssl(*typed: str) -> str:
        done = subprocess.run([*MEDSSL, *typed], cwd=work, env=environment, capture_output=True, encoding="utf-8")
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "müde" in medssl("data", "new", "bilder-ü")
    assert "12 records in runs/raw-pixels" in medssl("run", "raw-pixels", "--tasks", "bilder-ü")
    assert "raw-pixels" in medssl("leaderboard", "--suite", "bilder-u")
    medssl("site", "build", "--records", "runs", "--submissions", "runs", "--out", "seite-ü")
    assert (work / "seite-ü" / "index.html").is_file()
