"""Bytes of a submission, part by part, and of so many encoders: docs/decisions/6-weights-in-a-store.md.

python benchmarks/storage.py [--suite open-v1] [--submissions FOLDER]
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import mean, median

from bench.encoders.catalogue import cards
from bench.markers import refresh, table
from bench.submissions.folder import encoder_folders
from bench.submissions.intake import is_weights

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "decisions" / "6-weights-in-a-store.md"
PARTS = {"records": "records.jsonl.bz2", "scores of cases": "cases", "condensed predictions": "condensed",
         "predictions": "predictions", "features of probe images": "probes"}  # fmt: skip
FLOAT32 = 4


def size(path: Path) -> int:
    """Bytes of a file, or of all below a folder; 0 where there is none."""
    files = [path] if path.is_file() else path.rglob("*")
    return sum(p.stat().st_size for p in files if p.is_file())


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="open-v1")
    parser.add_argument("--submissions", type=Path, default=ROOT / "submissions")
    options = parser.parse_args()
    folders = [f for f in encoder_folders(options.submissions) if (f / options.suite).is_dir()]
    parts = {part: mean(size(f / options.suite / name) for f in folders) for part, name in PARTS.items()}
    weights = [sum(size(p) for p in f.rglob("*") if is_weights(p.relative_to(f).as_posix())) for f in folders]
    public = median(FLOAT32 * card.parameters for card in cards().values() if card.parameters)
    rows = [(f"{part}, {options.suite}", *_many(value)) for part, value in parts.items()]
    rows += [("all of these: the repository", *_many(sum(parts.values())))]
    rows += [("weights, networks of the track", *_many(mean(w for w in weights if w)))]
    rows += [("weights, median of the catalogue in float32: a store", *_many(public))]
    head = ("part", "an encoder, MB", "1,000 encoders, GB", "10,000 encoders, GB")
    refresh(PAGE, {"storage": table(head, rows, right=[1, 2, 3])})
    print(f"{len(folders)} encoders\n{table(head, rows, right=[1, 2, 3])}")


def _many(one: float) -> tuple[str, str, str]:
    return f"{one / 1e6:.2f}", f"{one / 1e6:,.2f}", f"{one / 1e5:,.1f}"


if __name__ == "__main__":
    main()
