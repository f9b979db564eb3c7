"""A made-up site of any size, for load tests and screenshots; every page of it says that its numbers are made up."""

from __future__ import annotations

import numpy as np
import pandas as pd

from bench.data.task import Task
from bench.encoders.card import EncoderCard
from bench.leaderboard.board import BoardRow, Cell
from bench.metrics.interval import Interval
from bench.publish.anchors import Anchor
from bench.publish.model import (
    BoardView,
    EncoderView,
    Estimate,
    Pairs,
    ProtocolView,
    RunDetails,
    SiteView,
    SuiteView,
    TaskView,
)

MODALITIES = ("xray", "ct", "mri", "ultrasound", "histology", "fundus", "oct", "dermoscopy")
KINDS = (
    ("contrastive", "instance-contrastive"),
    ("predictive", "self-distillation"),
    ("generative", "masked-image-modelling"),
    ("hybrid", "self-distillation+masked-tokens"),
)
DATE = "2026-01-01T00:00:00Z"
LICENCES = ("Apache-2.0", "MIT", "CC-BY-NC-4.0", "CC-BY-4.0")


def synthetic_site(encoders: int = 24, tasks: int = 24, replicates: int = 200, seed: int = 0) -> SiteView:
    """A site of `encoders` x `tasks` random numbers with planted encoder and task effects."""
    rng = np.random.default_rng(seed)
    views = {v.name: v for v in (_encoder(i, rng) for i in range(encoders))}
    cards = {t.name: t for t in (_task(i) for i in range(tasks))}
    ability = rng.normal(0, 0.08, encoders)[:, None] + rng.normal(0, 0.05, (encoders, tasks))
    truth = np.clip(0.6 + ability + rng.normal(0, 0.1, tasks), 0.02, 0.98)
    noise = rng.normal(0, 0.05, (replicates, 1, tasks)) + rng.normal(0, 0.05, (replicates, encoders, tasks))
    draws = np.clip(truth + noise, 0, 1).astype(np.float32)
    names = tuple(views)
    boards = tuple(_board(n, names, views, cards, truth, draws) for n in ("overall", "global", "dense", "low-label"))
    suite = SuiteView(
        name="synthetic-v0",
        title="Synthetic",
        description="Made-up numbers.",
        synthetic=True,
        fingerprint="0" * 64,
        tasks={n: TaskView(t, {"train": 400, "val": 100, "test": 200}, _anchors(t)) for n, t in cards.items()},
        boards=boards,
        results=_results(names, cards, truth, draws),
        main={"global": "linear-v1", "dense": "dense-linear-v1"},
        pairs=Pairs(names, tuple(cards), truth, draws.transpose(1, 2, 0)),
    )
    protocols = [
        ProtocolView("linear-v1", "Linear probe", "global", "frozen", {"tolerance": 1e-6}, "1" * 64),
        ProtocolView("dense-linear-v1", "Dense linear probe", "dense", "frozen", {"tolerance": 1e-6}, "2" * 64),
    ]
    return SiteView("0", "f" * 64, DATE, (suite,), views, protocols, demo=True)


def _anchors(task: Task) -> tuple[Anchor, ...]:
    found = [Anchor(kind="chance", title="Chance", value=task.chance, score=0.0)]
    if task.kind == "dense":
        found += [
            Anchor(kind="floor", title="Floor: all foreground", value=0.08, score=0.08),
            Anchor(kind="ceiling", title="Ceiling: 16 × 16 patches", value=0.97, score=0.97),
        ]
    return tuple(found)


def _encoder(i: int, rng: np.random.Generator) -> EncoderView:
    reference = i < 3
    paradigm, objective = ("reference", ("random-init", "raw-pixels", "supervised")[i]) if reference else KINDS[i % 4]
    card = EncoderCard.parse(
        {
            "schema": 1,
            "name": f"encoder-{i:04d}",
            "version": "1",
            "title": f"Synthetic encoder {i}",
            "authors": ["Nobody"],
            "licence": LICENCES[i % 4],
            "paradigm": paradigm,
            "objective": objective,
            "method": objective,
            "architecture": ("vit", "cnn")[i % 2],
            "pretraining": None
            if i % 7 == 6
            else [{"corpus": f"corpus-{i % 9}", "images": 1000 * (i + 1), "in_domain": i % 3 == 0}],
            "source": {"reader": "none"},
            "preprocessing": {"size": 224, "mean": [0.5], "std": [0.5]},
        },
        where=f"synthetic encoder {i}",
    )
    evidence = RunDetails(
        "synthetic-v0", (f"medssl run encoder-{i:04d} --suite synthetic-v0",), DATE, DATE, "0", "3", "cpu", "synthetic",
        "fp32", "0" * 64, "3" * 64,
    )  # fmt: skip
    return EncoderView(
        card,
        ("declared", "rescored", "reproduced")[i % 3],
        parameters=int(10 ** rng.uniform(6.5, 9)),
        flops=int(10 ** rng.uniform(9, 11.5)),
        seconds=float(rng.uniform(5, 500)),
        evidence=(evidence,),
    )


def _task(i: int) -> Task:
    dense = i % 3 == 2
    modality = MODALITIES[(i // 3) % len(MODALITIES)]
    return Task.parse(
        {
            "schema": 1,
            "name": f"task-{i:03d}-{modality}",
            "title": f"Synthetic task {i}",
            "kind": "dense" if dense else "global",
            "modality": modality,
            "target": "mask" if dense else "binary",
            "classes": ["background", "finding"],
            "metric": "dice" if dense else "auroc",
            "licence": "CC0-1.0",
            "corpus": f"corpus-{i % 11}",
            "synthetic": True,
            "source": {"reader": "none"},
        },
        where=f"synthetic task {i}",
    )


def _states(encoder: EncoderView, tasks: list[str]) -> dict[str, str]:
    """Task -> whether its images were seen in pretraining."""
    corpora = encoder.card.pretraining
    seen = corpora and any(c.corpus == "corpus-0" for c in corpora)
    return {t: "unknown" if corpora is None else "yes" if seen and i == 0 else "no" for i, t in enumerate(tasks)}


def _board(
    name: str, names: tuple[str, ...], views: dict, cards: dict, truth: np.ndarray, draws: np.ndarray
) -> BoardView:
    kinds = {"global": ("global",), "dense": ("dense",)}.get(name, ("global", "dense"))
    columns = [
        Cell(
            key=f"{m}/{k}",
            modality=m,
            kind=k,
            tasks=tuple(t.name for t in cards.values() if (t.modality, t.kind) == (m, k)),
        )
        for k in kinds
        for m in MODALITIES
    ]
    columns = [c for c in columns if c.tasks]
    index = {t: j for j, t in enumerate(cards)}
    pick = [[index[t] for t in c.tasks] for c in columns]
    cells = np.stack([truth[:, p].mean(1) for p in pick], 1)
    reps = np.stack([draws[:, :, p].mean(2) for p in pick], 2)
    weight = np.array([1 / sum(d.kind == c.kind for d in columns) for c in columns]) / len({c.kind for c in columns})
    total, spread = cells @ weight, reps @ weight
    order = np.argsort(-total, kind="stable")
    low, high = np.quantile(spread, [0.025, 0.975], axis=0)
    ranked = [i for i in order if not views[names[i]].reference]
    place = np.argsort(np.argsort(-spread[:, ranked], axis=1, kind="stable"), axis=1) + 1
    bounds = np.quantile(place, [0.025, 0.975], axis=0, method="nearest").astype(int)
    at = {e: k for k, e in enumerate(ranked)}
    rows, curves, tier, head = [], {}, 0, None
    for i in order:
        rank = None
        if i in at:
            if head is None or np.quantile(spread[:, head] - spread[:, i], 0.025) > 0:
                tier, head = tier + 1, i
            rank = at[i]
        half = (total[i] - low[i], high[i] - total[i])
        curves[names[i]] = tuple(
            (f, Estimate(s := float(total[i] - 0.12 * (1 - f) ** 2), s - half[0], s + half[1]))
            for f in (0.01, 0.05, 0.1, 0.25, 1.0)
        )
        standing = {} if rank is None else {
            "rank": rank + 1, "rank_low": int(bounds[0, rank]), "rank_high": int(bounds[1, rank]), "tier": tier,
            "weight_low": max(1, rank - 1), "weight_high": rank + 3,
        }  # fmt: skip
        e, used = views[names[i]], [t for c in columns for t in c.tasks]
        rows.append(
            BoardRow(
                encoder=e.name, paradigm=e.card.paradigm, badge=e.badge, reference=e.reference,
                score=float(total[i]), low=float(low[i]), high=float(high[i]),
                cells={c.key: Interval(value=float(v)) for c, v in zip(columns, cells[i], strict=True)},
                weight_first=0.0, iqm=float(total[i]), win_rate=0.5, contamination=_states(e, used), **standing,
            )
        )  # fmt: skip
    spread = reps[:, order].astype(np.float32)
    return BoardView("synthetic-v0", name, tuple(columns), tuple(rows), spread, curves=curves)


def _results(names: tuple[str, ...], cards: dict, truth: np.ndarray, draws: np.ndarray) -> pd.DataFrame:
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    tasks = list(cards.values())
    chance = np.array([t.chance for t in tasks])
    size = len(names) * len(tasks)
    raw = {k: (chance + v * (1 - chance)).ravel() for k, v in (("value", truth), ("low", low), ("high", high))}
    repeat = {
        "task": [t.name for t in tasks],
        "metric": [t.metric for t in tasks],
        "protocol": ["dense-linear-v1" if t.kind == "dense" else "linear-v1" for t in tasks],
    }
    return pd.DataFrame(
        {
            "encoder": np.repeat(names, len(tasks)),
            **{k: np.tile(v, len(names)) for k, v in repeat.items()},
            "budget": "100%",
            "split": "test",
            "primary": True,
            "seeds": 1,
            "n_labels": 400,
            **raw,
            "score": truth.ravel(),
            "score_low": low.ravel(),
            "score_high": high.ravel(),
            "contaminated": np.tile(np.array(["no"]), size),
        }
    )
