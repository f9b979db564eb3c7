"""Coverage-guided fuzzing of what reads a stranger's bytes: cards, records, predictions, badges.

    pip install atheris
    python benchmarks/fuzz.py all --seconds 120

A finding is any exception that is not a UserError, or an input that takes more than two seconds. Each reader runs in
a process of its own; its line says how many inputs were tried, how many edges of the code they reached, and findings.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

UNITS, EDGES = r"number_of_executed_units: (\d+)", r"cov: (\d+)"
READERS = ("card", "task", "record", "npz", "badge")


def fuzz(reader: str, seconds: int, corpus: Path) -> None:
    """Fuzz one reader in this process; libFuzzer ends the process."""
    import atheris

    with atheris.instrument_imports(include=["bench", "tomllib", "zipfile"], enable_loader_override=False):
        from bench.data.task import Task
        from bench.encoders.card import EncoderCard
        from bench.errors import UserError
        from bench.runs.records import Record
        from bench.strict import parse_toml
        from bench.submissions.badge import BadgeFile
        from bench.submissions.intake import inspect_npz

    scratch = corpus / "input.npz"

    def npz(data: bytes) -> None:
        from bench.runs.predictions import read_predictions

        scratch.write_bytes(data)
        inspect_npz(scratch)
        read_predictions(scratch)

    def badge(data: bytes) -> None:
        from pydantic import ValidationError

        try:
            BadgeFile.model_validate_json(data)
        except ValidationError:
            raise UserError("no badge") from None

    def text(data: bytes) -> str:
        return data.decode("utf-8", "replace")

    read = {
        "card": lambda data: EncoderCard.parse(parse_toml(text(data), where="fuzz"), where="fuzz").sha256,
        "task": lambda data: Task.parse(parse_toml(text(data), where="fuzz"), where="fuzz").sha256,
        "record": lambda data: Record.from_json(text(data)).to_json(),
        "npz": npz,
        "badge": badge,
    }[reader]

    def one(data: bytes) -> None:
        try:
            read(data)
        except UserError as error:
            str(error)

    seeds = corpus / reader
    seeds.mkdir(parents=True, exist_ok=True)
    for n, seed in enumerate(_seeds(reader)):
        (seeds / str(n)).write_bytes(seed)
    options = [
        f"-max_total_time={seconds}",
        "-timeout=2",
        "-max_len=8192",
        "-print_final_stats=1",
        f"-artifact_prefix={corpus}/",
    ]
    atheris.Setup([sys.argv[0], *options, "-print_final_stats=1", str(seeds)], one)
    atheris.Fuzz()


def _seeds(reader: str) -> list[bytes]:
    """Valid inputs to start from."""
    import numpy as np

    from bench.files import npz_bytes

    if reader == "card":
        return [p.read_bytes() for p in sorted((ROOT / "bench/encoders/reference").glob("*.toml"))]
    if reader == "task":
        return [p.read_bytes() for p in sorted((ROOT / "tasks/phantom").glob("*.toml"))[:4]]
    if reader == "npz":
        return [npz_bytes({"a/test": np.ones((3, 2), np.float32)}), npz_bytes({"b": np.zeros((2, 4, 4), np.uint8)})]
    if reader == "badge":
        return [
            b'{"schema_version":1,"badge":"rescored","contents_sha256":"0","verified":"x","medssl":"0","units":1,'
            b'"tolerance":0.0,"largest_difference":0.0}'
        ]
    return [_record().encode()]


def _record() -> str:
    from bench.runs.records import Interval, Provenance, Record, Unit

    made = Provenance(
        command="c",
        created="d",
        medssl="0",
        python="3",
        packages={},
        platform="p",
        device="cpu",
        precision="fp32",
        threads=1,
        suite="s",
        suite_fingerprint="0" * 64,
    )
    return Record(
        status="done",
        encoder="e",
        encoder_version="1",
        card_sha256="1" * 64,
        data_sha256="2" * 64,
        protocol_sha256="3" * 64,
        n_labels=3,
        metric="auroc",
        made_by=made,
        unit=Unit(task="t", protocol="knn-v1", budget="100%", seed=0),
        metrics={"test": {"auroc": Interval(value=0.5, low=0.4, high=0.6)}},
    ).to_json()


def main() -> None:
    """Fuzz one reader, or all of them one after the other."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reader", choices=[*READERS, "all"])
    parser.add_argument("--seconds", type=int, default=60)
    chosen = parser.parse_args()
    if chosen.reader != "all":
        fuzz(chosen.reader, chosen.seconds, Path(tempfile.mkdtemp(prefix="medssl-fuzz-")))
        return
    print("| reader | inputs | edges | findings |\n|---|---|---|---|")
    for reader in READERS:
        command = [sys.executable, __file__, reader, "--seconds", str(chosen.seconds)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=chosen.seconds + 120)
        inputs, edges = _last(UNITS, done.stderr), _last(EDGES, done.stderr)
        print(f"| {reader} | {inputs} | {edges} | {_findings(done)} |", flush=True)


def _last(pattern: str, text: str) -> str:
    return (re.findall(pattern, text) or ["?"])[-1]


def _findings(done: subprocess.CompletedProcess) -> str:
    if done.returncode == 0:
        return "none"
    lines = [line for line in done.stderr.splitlines() if "Error" in line or "timeout" in line or "Exception" in line]
    return (lines or [f"exit code {done.returncode}"])[-1][:160]


if __name__ == "__main__":
    main()
