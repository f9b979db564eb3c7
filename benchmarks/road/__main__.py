"""The author's and the maintainer's road, walked with the command on real images, written to docs/road.md.

    MEDSSL_REAL_DATA=... python -m benchmarks.road

One network, EfficientNet-Lite0, is carried by three adapters (timm, ONNX, embeddings) through every frozen protocol;
every score of every record is compared. Needs the four files of the tests' real data and the extras `onnx`, `test`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
from pathlib import Path

from benchmarks.road.agreement import agreement, page_of
from benchmarks.road.carry import cards, export_network, write_embedding_files, write_suites, write_tasks
from benchmarks.road.shell import Shell

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("lite0", "lite0-onnx", "lite0-embeddings")
SUITES = ("road", "road-slow")


def main() -> None:
    """Walk the road in a temporary folder; write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, help="Only this many images a split: to try the script.")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "road.md")
    parser.add_argument("--work", type=Path, help="Folder to work in, kept [default: a temporary one].")
    chosen = parser.parse_args()
    data = Path(os.environ.get("MEDSSL_REAL_DATA", ROOT.parent / "shared/data/real"))
    with tempfile.TemporaryDirectory() as temporary:
        work = chosen.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        shell = Shell(work)
        author(shell, data, chosen.rows)
        rows = agreement(work / "runs", NAMES, SUITES)
        maintainer(shell)
        chosen.out.write_text(page_of(shell.lines, rows, chosen.rows), encoding="utf-8")


def author(shell: Shell, data: Path, rows: int | None) -> None:
    """Three cards from `medssl new`, checked, run, submitted."""
    write_tasks(shell.work / "tasks", data, rows)
    write_suites(shell.work)
    shell.says("### The tasks", "Four cards of ten lines over four `.npz` files. One of them:")
    shell.shows("tasks/breastus.toml")
    shell.runs("data check tasks", keep=12, codes=(0, 1))
    shell.says("Two suites over them: the protocols that need one pass over the images, and the two that need many.")
    shell.shows("road.toml", "road-slow.toml")
    for name in NAMES:
        _card(shell, name)
        shell.runs(f"check {name} --images {40 if name == 'lite0' else 0}", keep=30)
    for name in NAMES:
        shell.says(f"### Running `{name}`")
        shell.runs(f"run {name} --suite road.toml --tasks tasks", keep=40)
        shell.runs(f"run {name} --suite road-slow.toml --tasks tasks", keep=12)
    shell.says("### Submitting")
    shell.runs(
        "submit lite0 --suite road --suite road-slow --out sent --with-weights",
        "submit lite0-onnx --suite road --suite road-slow --out sent --with-weights",
        "submit lite0-embeddings --suite road --suite road-slow --out sent",
    )


def _card(shell: Shell, name: str) -> None:
    """`medssl new`, what it leaves to the author, and the file the card names."""
    shell.says(f"### The card of `{name}`")
    if name == "lite0-onnx":
        shell.says("The network is exported with two outputs: mean of the last map, and the map at stride 16.")
        export_network(shell.work)
    if name == "lite0-embeddings":
        shell.says("Features of every image, written by `export_embeddings`, one file a task.")
        write_embedding_files(shell.work)
    command, edits = cards(shell.work)[name]
    shell.runs(command)
    shell.edits(f"{name}/encoder.toml", edits)


def maintainer(shell: Shell) -> None:
    """Every verification, and the comparison."""
    options = "--suite road.toml --suite road-slow.toml --tasks tasks"
    shell.says("## The maintainer's road", "The three folders arrive in `sent/`.")
    for name in NAMES:
        shell.runs(f"verify sent/{name} --rescore {options}")
    shell.says("Random units, drawn by the system, rerun from the ONNX file that came with its submission:")
    shell.runs(f"verify sent/lite0-onnx --sample 6 {options}")
    shell.says("Features alone cannot be rerun by anybody else:")
    shell.runs(f"verify sent/lite0-embeddings --sample 6 {options}", codes=(2,))
    shell.says("Every unit, rerun from the weights:")
    shell.runs(f"verify sent/lite0 --rerun {options}")
    shell.says(
        "Once `lite0` is accepted, the same predictions under another name are refused; "
        "those of the ONNX file differ in their last digits:"
    )
    shutil.copytree(shell.work / "sent/lite0", shell.work / "submissions/lite0")
    shell.runs(f"verify sent/lite0-embeddings {options}", codes=(2,))
    shell.runs("compare lite0 lite0-onnx --records sent --tasks tasks", keep=40)


if __name__ == "__main__":
    main()
