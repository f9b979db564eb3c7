"""Fine-tuning and the attentive probe at their frozen numbers, beside the frozen protocols of the same encoders.

    python benchmarks/fine_tune.py [--task phantom-ct-diffuse] [--encoders tiny-vit-simclr ...] [--out runs]
                                   [--page docs/protocols.md]

Shipped encoders see one phantom task at 48 pixels, the size of their pretraining views, with every label. Interrupted,
it goes on where it stopped. Prints the board and Kendall's tau of fine-tuning with the other protocols; --page puts
both between the markers "fine-tune" of that page.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

from scipy.stats import kendalltau

from bench.cli._print import interval_text
from bench.encoders.card import read_card
from bench.files import write_atomic
from bench.leaderboard import boards
from bench.leaderboard.collect import collect
from bench.markers import refresh, table
from bench.metrics.interval import Interval
from bench.runs.options import RunSpec
from bench.runs.records import Record
from bench.runs.run import run

ROOT = Path(__file__).resolve().parents[1]
SIZE = 48
PROTOCOLS = {"knn-v1": "kNN", "linear-v2": "linear", "attentive-v1": "attentive", "fine-tune-v1": "fine-tuned"}
ENCODERS = ("random-init", "simclr", "mae", "contrastive-mim", "anomaly-contrast", "supervised")
SUITE = """schema = 1
name = "fine-tune-{task}"
title = "Fine-tuning beside frozen protocols"
synthetic = true
tasks = ["{task}"]
protocols = [{protocols}]
"""
Scores = dict[str, Record]
"""Protocol -> record of one encoder."""


def main() -> None:
    """Run, print, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", default="phantom-ct-diffuse")
    parser.add_argument("--encoders", nargs="+", default=[f"tiny-vit-{name}" for name in ENCODERS])
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of cards and records")
    parser.add_argument("--page", type=Path, help="page whose table is written anew")
    options = parser.parse_args()
    uses = ", ".join(f'{{ name = "{name}", budgets = ["100%"], seeds = 1 }}' for name in PROTOCOLS)
    suite = options.out / f"fine-tune-{options.task}.toml"
    options.out.mkdir(parents=True, exist_ok=True)
    write_atomic(suite, SUITE.format(task=options.task, protocols=uses))
    found = {}
    for name in options.encoders:
        folder = small(ROOT / "submissions" / name, options.out / "cards" / f"{name}-{SIZE}px")
        spec = RunSpec.of(str(folder), str(suite), device="cpu", threads=1, out=str(options.out / "records"))
        found[name] = {record.unit.protocol: record for record in run(spec, lambda line, _: print(line, flush=True))}
    text = f"{scores(found, tiers(options.out / 'records', suite.stem))}\n\n{agreement(found)}"
    print(text)
    if options.page:
        refresh(options.page, {"fine-tune": text})


def small(shipped: Path, folder: Path) -> Path:
    """A copy of a shipped encoder that sees images at 48 pixels, under a name of its own."""
    card = read_card(shipped)
    seen = card.preprocessing.model_copy(update={"size": SIZE})
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(shipped / "weights.safetensors", folder / "weights.safetensors")
    write_atomic(
        folder / "encoder.toml", card.model_copy(update={"name": folder.name, "preprocessing": seen}).to_toml()
    )
    return folder


def tiers(records: Path, suite: str) -> dict[str, tuple[str, str]]:
    """Encoder -> rank with its interval and tier, on the Fine-tune board."""
    board = boards(collect([], local=[records])[suite])["Fine-tune"]
    return {row.encoder.removesuffix(f"-{SIZE}px"): (row.rank_text, str(row.tier or "")) for row in board.rows}


def scores(found: dict[str, Scores], standing: dict[str, tuple[str, str]]) -> str:
    """The table: primary metric with its interval under each protocol, and the place under fine-tuning."""
    head = ["encoder", *PROTOCOLS.values(), "rate", "rank", "tier"]
    best_first = sorted(found, key=lambda name: -primary(found[name]["fine-tune-v1"]).value)
    rows = [
        [
            name,
            *(told(primary(found[name][protocol])) for protocol in PROTOCOLS),
            f"{found[name]['fine-tune-v1'].chosen['lr']:g}",
            *standing[name],
        ]
        for name in best_first
    ]
    return table(head, rows)


def told(metric: Interval) -> str:
    """As the commands print it."""
    return interval_text(metric.value, metric.low, metric.high)


def agreement(found: dict[str, Scores]) -> str:
    """Kendall's tau between each two protocols over the encoders."""
    pairs = [
        f"{PROTOCOLS[a]} and {PROTOCOLS[b]} {tau(found.values(), a, b):.2f}" for a, b in combinations(PROTOCOLS, 2)
    ]
    return f"Kendall's tau over the {len(found)} encoders: {', '.join(pairs)}."


def tau(found: Iterable[Scores], a: str, b: str) -> float:
    """Rank correlation of two protocols."""
    values: Sequence[tuple[float, float]] = [(primary(s[a]).value, primary(s[b]).value) for s in found]
    return float(kendalltau(*zip(*values, strict=True)).statistic)


def primary(record: Record) -> Interval:
    """The primary metric of a unit that succeeded, with its 95 % interval."""
    assert record.primary is not None, record.reason
    return record.primary


if __name__ == "__main__":
    main()
