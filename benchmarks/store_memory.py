"""Peak memory while a set larger than memory is prepared and read, on a synthetic npz of 8 GB.

    python benchmarks/store_memory.py [--gigabytes 8] [--folder DIR] [--compressed]

Writes the file and its prepared copy (twice its size) below --folder, reads every image once in batches, prints the
peak of anonymous resident memory (all that is not page cache) in each stage, and removes both.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.memory import status

SIDE = 224
BLOCK = 256


def main() -> None:
    """Run the measurement and print one line a stage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=8.0)
    parser.add_argument("--folder", type=Path, help="A disk with three times as many bytes free.")
    parser.add_argument("--compressed", action="store_true", help="Deflate the npz, as official files are.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        os.environ["MEDSSL_HOME"] = str(folder / "home")
        images = int(arguments.gigabytes * 1e9 / SIDE**2 / 3)
        write_npz(folder / "big.npz", images, arguments.compressed)
        print(f"npz: {images:,} images of {SIDE} x {SIDE} x 3, {(folder / 'big.npz').stat().st_size / 1e9:.2f} GB")
        measure(folder)


def measure(folder: Path) -> None:
    """Prepare the set, open it again, and read all of it, watching memory."""
    from bench.data.load import load_task
    from bench.data.task import Task

    task = Task.parse(
        {
            "schema": 1, "name": "big", "title": "Big", "modality": "mixed", "target": "binary", "classes": ["a", "b"],
            "licence": "none", "corpus": "synthetic", "source": {"reader": "npz", "file": "big.npz"},
        },
        where="benchmark",
    )  # fmt: skip
    with watched("prepare"):
        load_task(task, folder=folder)
    with watched("open again"):
        data = load_task(task, folder=folder)
    with watched("read all, 64 at a time"):
        total = sum(
            int(split.images[start : start + 64].sum(dtype=np.int64))
            for split in data.splits.values()
            for start in range(0, len(split), 64)
        )
    print(f"checksum of all pixels {total}, data {sum(s.images.nbytes for s in data.splits.values()) / 1e9:.2f} GB")


@contextmanager
def watched(stage: str) -> Iterator[None]:
    """Print seconds, and the peak of anonymous and of file-backed resident memory, of the block."""
    peaks, stop = {"RssAnon": 0, "RssFile": 0}, threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            for key in peaks:
                peaks[key] = max(peaks[key], status(key) or 0)

    thread, start = threading.Thread(target=watch, daemon=True), time.perf_counter()
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    anon, file = peaks["RssAnon"] / 2**30, peaks["RssFile"] / 2**30
    print(
        f"{stage}: {time.perf_counter() - start:.1f} s, peak anonymous {anon:.3f} GiB, page cache mapped {file:.2f} GiB"
    )


def write_npz(path: Path, images: int, compressed: bool) -> None:
    """An npz written a block at a time: noise over a ramp, labels 0 and 1 in turn."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 32, (BLOCK, SIDE, SIDE, 3), dtype=np.uint8)
    rows = {"train": images - 2 * (images // 10), "val": images // 10, "test": images // 10}
    kind = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
    with zipfile.ZipFile(path, "w", kind, compresslevel=1) as archive:
        for split, n in rows.items():
            with archive.open(f"{split}_images.npy", "w", force_zip64=True) as member:
                header = {"descr": "|u1", "fortran_order": False, "shape": (n, SIDE, SIDE, 3)}
                np.lib.format.write_array_header_1_0(member, header)
                for start in range(0, n, BLOCK):
                    part = noise[: min(BLOCK, n - start)] + np.uint8(start // BLOCK % 200)
                    member.write(part.data)
            with archive.open(f"{split}_labels.npy", "w") as member:
                np.lib.format.write_array(member, (np.arange(n) % 2).astype(np.uint8)[:, None])


if __name__ == "__main__":
    main()
