"""`--watch wandb:offline` (or `online`): one Weights & Biases run an encoder and suite."""

from collections.abc import Sequence
from typing import Any

from bench.budget import FULL
from bench.encoders.card import EncoderCard
from bench.errors import RunError
from bench.runs.records import Record
from bench.runs.watch import Watch, Watcher

MODES = ("offline", "online")


class _Board(Watcher):
    def __init__(self, run: Any) -> None:
        self._run = run

    def record(self, record: Record) -> None:
        if record.primary:
            u = record.unit
            self._run.log({f"{u.task}/{u.protocol}/{u.budget}/{record.metric}": record.primary.value})

    def finish(self, records: Sequence[Record]) -> None:
        import wandb

        columns = ["task", "protocol", "budget", "seed", "n_labels", "metric", "value", "low", "high", "status"]
        rows = [
            [
                r.unit.task,
                r.unit.protocol,
                r.unit.budget,
                r.unit.seed,
                r.n_labels,
                r.metric,
                *((p.value, p.low, p.high) if (p := r.primary) else (None, None, None)),
                r.status,
            ]
            for r in records
        ]
        self._run.log({"records": wandb.Table(columns=[*columns], data=rows)})
        for key, points in _label_curves(records).items():
            table = wandb.Table(columns=["labels", "value"], data=points)
            self._run.log({f"label curve/{key}": wandb.plot.line(table, "labels", "value", title=key)})
        for r in records:
            if r.primary and r.unit.budget == FULL:
                self._run.summary[f"{r.unit.task}/{r.unit.protocol}"] = r.primary.value
        self._run.finish()


def _label_curves(records: Sequence[Record]) -> dict[str, list[list[float]]]:
    """ "task/protocol" -> points (labelled images, mean metric over seeds)."""
    cells: dict[tuple[str, int], list[float]] = {}
    for r in records:
        if r.primary:
            cells.setdefault((f"{r.unit.task}/{r.unit.protocol}", r.n_labels), []).append(r.primary.value)
    curves: dict[str, list[list[float]]] = {}
    for (key, labels), values in sorted(cells.items()):
        curves.setdefault(key, []).append([labels, sum(values) / len(values)])
    return {key: points for key, points in curves.items() if len(points) > 1}


class WeightsAndBiases(Watch):
    """Offline needs no account; send the folder later with `wandb sync`."""

    name = "wandb"

    def open(self, target: str, card: EncoderCard, suite: str, fingerprint: str) -> Watcher:
        if (target or "offline") not in MODES:
            raise RunError(f"unknown mode {target!r}", where="--watch wandb", fix=f"one of: {', '.join(MODES)}")
        import wandb

        config = card.model_dump(mode="json", by_alias=True) | {
            "card_sha256": card.sha256,
            "suite": suite,
            "suite_fingerprint": fingerprint,
        }
        run = wandb.init(
            project="medssl-bench",
            name=f"{card.name} {suite}",
            group=suite,
            config=config,
            mode="online" if target == "online" else "offline",
            settings=wandb.Settings(silent=True, console="off"),
        )
        return _Board(run)


WATCH = WeightsAndBiases()
