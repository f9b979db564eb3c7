"""Fuzz everything that reads a stranger's bytes; print a table.

    pip install -e '.[fuzz,test]'
    python -m benchmarks.fuzz --seconds 120 --examples 5000

Twice each: guided by coverage (atheris), and property-based (hypothesis, which spoils valid inputs value by value). A
finding is any exception but a UserError whose message is printable and short, an input that takes more than 20
seconds, or more than 3 GB of memory.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import traceback

from hypothesis import HealthCheck, given, settings

from benchmarks.fuzz.readers import READERS, read
from benchmarks.fuzz.spoilt import inputs

EXECUTED, EDGES = r"number_of_executed_units: (\d+)", r"cov: (\d+)"


def main() -> None:
    """One row a reader."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("readers", nargs="*", metavar="reader", help="[default: all]")
    parser.add_argument("--seconds", type=int, default=120, help="Of coverage-guided fuzzing, a reader.")
    parser.add_argument("--examples", type=int, default=5000, help="Of property-based fuzzing, a reader.")
    chosen = parser.parse_args()
    print("| reader | guided: executions | edges | findings | spoilt: executions | accepted | findings |")
    print("|---|--:|--:|---|--:|--:|---|", flush=True)
    for reader in chosen.readers or READERS:
        print(
            "|",
            " | ".join([reader, *guided(reader, chosen.seconds), *spoilt(reader, chosen.examples)]),
            "|",
            flush=True,
        )


def guided(reader: str, seconds: int) -> tuple[str, str, str]:
    """(executions, edges of the code reached, findings)."""
    with tempfile.TemporaryDirectory() as corpus:
        command = [sys.executable, "-m", "benchmarks.fuzz.guided", reader, str(seconds), corpus]
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds + 600)
    found = "none"
    if done.returncode:
        # atheris prints the exception to standard output, libFuzzer its own errors to the other
        told = (done.stdout + done.stderr).splitlines()
        lines = [line for line in told if re.match(r"[\w.]*(Error|Exception|ERROR)", line)]
        found = (lines or [f"exit code {done.returncode}"])[0][:200]
    return _last(EXECUTED, done.stderr), _last(EDGES, done.stderr), found


def spoilt(reader: str, examples: int) -> tuple[str, str, str]:
    """(executions, inputs the reader took all the same, findings)."""
    tried = accepted = 0

    @settings(max_examples=examples, deadline=20_000, database=None, suppress_health_check=list(HealthCheck))
    @given(inputs(reader))
    def law(data: bytes) -> None:
        nonlocal tried, accepted
        tried += 1
        accepted += read(reader, data)

    try:
        law()
    except Exception as error:
        return str(tried), str(accepted), traceback.format_exception_only(error)[0].strip()[:200]
    return str(tried), str(accepted), "none"


def _last(pattern: str, text: str) -> str:
    return (re.findall(pattern, text) or ["?"])[-1]


if __name__ == "__main__":
    main()
