"""Coverage-guided fuzzing of one reader with atheris, in a process of its own: libFuzzer ends it."""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

INSTRUMENTED = ["bench", "tomllib", "zipfile", "numpy.lib.format", "numpy.lib._format_impl"]


def main() -> None:
    """Arguments: reader, seconds, folder for inputs and artefacts."""
    reader, seconds, corpus = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    with atheris.instrument_imports(include=INSTRUMENTED, enable_loader_override=False):
        from benchmarks.fuzz.readers import read, seeds

    for n, seed in enumerate(seeds(reader)):
        (corpus / f"seed{n}").write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        "-timeout=20",
        "-rss_limit_mb=3000",
        "-max_len=8192",
        "-print_final_stats=1",
    ]
    atheris.Setup(
        [sys.argv[0], *options, f"-artifact_prefix={corpus}/finding-", str(corpus)], lambda d: read(reader, d)
    )
    atheris.Fuzz()


if __name__ == "__main__":
    main()
