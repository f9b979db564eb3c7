"""The Python interface: everything `medssl run` does, for any torch module.

>>> import torch, bench
>>> network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten())
>>> encoder = bench.wrap(network, name="tiny", size=32)
>>> results = bench.run(encoder, suite="phantom-mini", out="runs")  # doctest: +SKIP
>>> results.frame[["task", "protocol", "budget", "value"]]          # doctest: +SKIP
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from torch import nn

from bench.encoders.base import Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.wrapped import Read, WrappedEncoder
from bench.errors import RunError
from bench.leaderboard.frame import to_frame
from bench.runs.options import SUITE, RunSpec, Trust, What, Where
from bench.runs.plan import Plan
from bench.runs.records import Record
from bench.runs.run import Report, Say, aloud, run_folder, run_plan, session
from bench.words import Pooling

HERE, NOTHING = Where(), Trust()
"""Where a run takes place and what it trusts, where nobody says it."""


@dataclass(frozen=True)
class RunResults:
    """Records of a finished run, the folder they lie in, and the same as a long table."""

    encoder: Encoder
    plan: Plan
    folder: Path
    records: list[Record]

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each unit x test split x metric (columns: `bench.leaderboard.frame.COLUMNS`)."""
        card = self.encoder.card
        return to_frame(self.records, {card.name: card}, self.plan.tasks, self.plan.protocols)

    def to_dataset(self) -> Any:
        """The same as a Hugging Face `datasets.Dataset`."""
        from datasets import Dataset

        return Dataset.from_pandas(self.frame, preserve_index=False)


def run(
    encoder: Encoder | str | Path,
    suite: str | Path | None = SUITE,
    *,
    tasks: str | Path | None = None,
    only: tuple[str, ...] = (),
    out: str | Path = "runs",
    where: Where = HERE,
    trust: Trust = NOTHING,
    report: Report = lambda message, record: None,
    say: Say = aloud,
    **options: Any,
) -> RunResults:
    """Score an encoder on a suite, or on a folder of task cards (`suite=None, tasks=...`).

    encoder: what `wrap` returns, a folder or path of a card, or the name of a reference encoder. Units that
    `out` already holds are not run again while they hold (docs/faq.md); `say` is told which are, and why.
    where, trust: as `bench.runs.options`; their fields may also be given one by one (`device="cuda"`).
    Raises UserError as `medssl run` would print it, TypeError for an option there is not.
    """
    held = encoder if isinstance(encoder, Encoder) else None
    name = held.card.name if held else str(encoder)
    what = What(name, str(suite) if suite else None, str(tasks) if tasks else None, tuple(only), out=str(out))
    spec = RunSpec(what, where, trust).but(**options)
    if held and spec.where.executor != "serial":
        raise RunError("an encoder in memory cannot be sent to other processes", fix="give its folder or its name")
    if isinstance(held, WrappedEncoder):
        held.measure_weights()  # it may have been trained on since it was wrapped
    loaded, plan = session(spec, held)
    spec = spec.but(command=f"bench.run({loaded.card.name!r}, suite={str(suite)!r})")
    records = run_plan(loaded, plan, spec, report, say)
    return RunResults(loaded, plan, run_folder(spec.what.out, loaded, plan), records)


def wrap(
    module: nn.Module,
    *,
    name: str,
    size: int,
    mean: tuple[float, ...] = (0.0, 0.0, 0.0),
    std: tuple[float, ...] = (1.0, 1.0, 1.0),
    features: Read | Pooling | None = None,
    depth: int | None = None,
    spacing: tuple[float, float, float] | None = None,
    window: tuple[float, float] | None = None,
    **card: Any,
) -> Encoder:
    """An encoder around any torch module.

    module(x) with x float32 (n, channels, size, size) returns a global vector (n, d), a feature map (n, c, gh, gw)
    whose mean is then the global vector, a pair (vector, map), or an object as transformers returns it, of which
    `pooler_output` is the global vector. `features(module, x)` replaces the plain call; features="cls", "mean",
    "cls+mean" or "max" pools the tokens or the map. The module stays in the mode it is in: features are computed in
    evaluation mode, after which each part is as it was.
    depth: the module takes volumes, x (n, channels, depth, size, size), and its map has a depth too; spacing: mm
    between planes, rows and columns they are brought to, instead of being resized.
    mean, std: for images scaled to [0, 1]; their length is the number of channels. window: the module takes Hounsfield
    units, cut to this; mean and std are then in these units. card: further keys of
    `encoder.toml` ("paradigm", "objective", "method", "authors", ...). Raises CardError for a wrong one.
    """
    values: dict[str, Any] = {
        "schema": 1,
        "name": name,
        "version": "1",
        "title": name,
        "authors": ["unknown"],
        "licence": "unknown",
        "paradigm": "reference",
        "objective": "other",
        "method": type(module).__name__,
        "architecture": "other",
        "source": {"adapter": "module", "class": f"{type(module).__module__}.{type(module).__qualname__}"},
        "preprocessing": {"size": size, "channels": len(mean), "mean": [*map(float, mean)], "std": [*map(float, std)]},
    }
    if depth is not None:
        values["preprocessing"] |= {"depth": depth} | ({} if spacing is None else {"spacing": [*map(float, spacing)]})
    if window is not None:
        values["preprocessing"] |= {"input": "hu", "window": [*map(float, window)]}
    if isinstance(features, str):
        values["features"] = {"pooling": features}
    read = features if callable(features) else lambda network, x: network(x)
    return WrappedEncoder(EncoderCard.parse(values | card, where="wrap()"), module, read)
