"""Tables of results with planted effects: the ground truth the machinery is tested on.

Scores are built in points from named parts, so that every claim's true effect is known before it is measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.leaderboard.frame import COLUMNS
from bench.words import SSL_PARADIGMS

MODALITIES = ["xray", "ct", "mri", "ultrasound", "histology", "fundus", "oct", "dermoscopy"]
OBJECTIVES = {
    "contrastive": "instance-contrastive",
    "predictive": "self-distillation",
    "generative": "masked-image-modelling",
    "hybrid": "self-distillation+masked-tokens",
    "reference": "supervised",
}
STRATA = {
    "lesion_recall[<0.5%]": 0.0,
    "lesion_recall[0.5-2%]": 1 / 3,
    "lesion_recall[2-10%]": 2 / 3,
    "lesion_recall[>10%]": 1.0,
    "dice[contrast=low]": 0.0,
    "dice[contrast=middle]": 0.5,
    "dice[contrast=high]": 1.0,
}
"""Stratified metric -> ease of its stratum, 0 (small, faint) to 1."""


@dataclass(frozen=True)
class SimulationDesign:
    """What to plant. Effects and spreads are in score points (0-100); 0 is the null of a claim.

    The parts of one score: task level + encoder + encoder x kind + encoder x task + seed noise + planted effects.
    """

    encoders: int = 16
    """Self-supervised encoders, dealt out evenly to the four paradigms; references come on top."""
    references: int = 2
    modalities: int = 8
    per_modality: tuple[int, int] = (2, 1)
    """Global and dense tasks of each modality."""
    fractions: tuple[float, ...] = (0.01, 0.1, 1.0)
    seeds: int = 3
    protocols: tuple[str, ...] = ("linear-v1", "dense-linear-v1")
    kind: float = 0.0
    """H1: lead of contrastive over generative on global tasks, and of generative over contrastive on dense ones."""
    slope: float = 0.0
    """H2: change of the gain over the references per tenfold labels."""
    subtle: float = 0.0
    """H3: extra loss of contrastive over generative encoders from the easiest to the hardest lesions."""
    modality: float = 0.0
    """H4: standard deviation of the paradigm x modality interaction."""
    hybrid: float = 0.0
    """Lead of hybrid encoders on every task."""
    encoder_sd: float = 4.0
    encoder_kind_sd: float = 2.0
    encoder_task_sd: float = 3.0
    paradigm_task_sd: float = 0.0
    """Spread of a paradigm's lead from task to task: what other data sets would show. A third of it in label slopes."""
    network: float = 0.0
    """Lead of the second architecture over the first, and twice as much on dense tasks: nobody's paradigm."""
    encoder_slope_sd: float = 0.5
    task_slope_sd: float = 1.0
    """Spread over tasks of the change of the gain per tenfold labels."""
    encoder_loss_sd: float = 2.0
    """Spread over encoders of the loss from easy to hard lesions."""
    seed_sd: float = 1.0
    architectures: tuple[str, ...] = ("vit", "cnn")
    sizes: tuple[float, ...] = (22e6,)
    """Parameters of the encoders, dealt out after the architectures."""
    synthetic: bool = True


def plant(plan: SimulationDesign, seed: int = 0) -> pd.DataFrame:
    """A long table (bench.leaderboard.frame.COLUMNS) of one draw of a plan; equal seed, equal table."""
    encoders, tasks = _encoders(plan), _tasks(plan)
    return _finished(_rows(plan, encoders, tasks, seed), encoders, tasks, plan)


def _rows(plan: SimulationDesign, encoders: pd.DataFrame, tasks: pd.DataFrame, seed: int) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    at_full = _full(plan, encoders, tasks, rng)
    scores = _at_fractions(plan, encoders, tasks, at_full, rng)
    rows = [_primary_rows(plan, scores, encoders, tasks, p, rng) for p in plan.protocols]
    if any(p.startswith("dense") for p in plan.protocols) and plan.per_modality[1]:
        rows.append(_strata_rows(plan, at_full, encoders, tasks, rng))
    return pd.concat(rows, ignore_index=True)


def _encoders(plan: SimulationDesign) -> pd.DataFrame:
    paradigm = [SSL_PARADIGMS[i % 4] for i in range(plan.encoders)] + ["reference"] * plan.references
    n = len(paradigm)
    # Whole rounds of four paradigms alternate between architectures, so that each stratum holds all of them.
    rounds = [i // 4 for i in range(plan.encoders)] + list(range(plan.references))
    architecture = [plan.architectures[r % len(plan.architectures)] for r in rounds]
    parameters = [int(plan.sizes[(r // len(plan.architectures)) % len(plan.sizes)]) for r in rounds]
    return pd.DataFrame(
        {
            "encoder": [f"{p}-{i:02d}" for i, p in enumerate(paradigm)],
            "paradigm": paradigm,
            "objective": [OBJECTIVES[p] for p in paradigm],
            "method": [OBJECTIVES[p] for p in paradigm],
            "architecture": architecture,
            "parameters": parameters,
            "flops": [int(1e9 * 2 ** (i % 5)) for i in range(n)],
            "pretrain_images": 100_000,
            "in_domain": [i % 3 == 0 for i in range(n)],
            "licence": "Apache-2.0",
            "access": "open",
            "size": 224,
            "pooling": "mean",
            "badge": "reproduced",
        }
    )


def _tasks(plan: SimulationDesign) -> pd.DataFrame:
    rows = [
        {
            "task": f"{m}-{kind}-{j}",
            "kind": kind,
            "modality": m,
            "extent": ("diffuse", "focal")[j % 2] if kind == "global" else "unknown",
        }
        for m in MODALITIES[: plan.modalities]
        for kind, n in zip(("global", "dense"), plan.per_modality, strict=True)
        for j in range(n)
    ]
    return pd.DataFrame(rows)


def _full(plan: SimulationDesign, encoders: pd.DataFrame, tasks: pd.DataFrame, rng: np.random.Generator) -> np.ndarray:
    """Scores with all labels, (E, T), in points."""
    e, t = len(encoders), len(tasks)
    is_global = (tasks["kind"] == "global").to_numpy()
    by_kind = rng.normal(0, plan.encoder_kind_sd, (e, 2))
    score = 60 + rng.normal(0, 8, t) + rng.normal(0, plan.encoder_sd, (e, 1))
    score = score + np.where(is_global, by_kind[:, :1], by_kind[:, 1:]) + rng.normal(0, plan.encoder_task_sd, (e, t))
    side = (encoders["paradigm"] == "contrastive").to_numpy(float) - (encoders["paradigm"] == "generative").to_numpy(
        float
    )
    score += plan.kind / 2 * side[:, None] * np.where(is_global, 1.0, -1.0)
    other = (encoders["architecture"] != plan.architectures[0]).to_numpy(float)
    score += plan.network * other[:, None] * np.where(is_global, 1.0, 2.0)
    score += plan.hybrid * (encoders["paradigm"] == "hybrid").to_numpy(float)[:, None]
    score += rng.normal(0, plan.paradigm_task_sd, (len(SSL_PARADIGMS) + 1, t))[_paradigm_number(encoders)]
    return score + _interaction(plan, encoders, tasks, rng)


def _paradigm_number(encoders: pd.DataFrame) -> np.ndarray:
    return encoders["paradigm"].map({p: i for i, p in enumerate([*SSL_PARADIGMS, "reference"])}).to_numpy()


def _interaction(
    plan: SimulationDesign, encoders: pd.DataFrame, tasks: pd.DataFrame, rng: np.random.Generator
) -> np.ndarray:
    """A doubly centred paradigm x modality table; its mean square is `plan.modality` squared."""
    names = list(dict.fromkeys(tasks["modality"]))
    effect = rng.normal(0, 1, (len(SSL_PARADIGMS), len(names)))
    effect -= effect.mean(0)
    effect -= effect.mean(1, keepdims=True)
    effect *= plan.modality / max(1e-9, np.sqrt((effect**2).sum() / (len(SSL_PARADIGMS) - 1) / max(1, len(names) - 1)))
    effect = np.vstack([effect, np.zeros(len(names))])
    return effect[_paradigm_number(encoders)][:, [names.index(m) for m in tasks["modality"]]]


def _at_fractions(plan, encoders, tasks, full, rng):
    """Scores at every fraction and seed, (E, T, F, S)."""
    x = np.log10(plan.fractions)
    ssl = (encoders["paradigm"] != "reference").to_numpy(float)
    shape = (*full.shape, len(x), plan.seeds)
    common = 6 + rng.normal(0, 1, len(tasks))
    gain = plan.slope + rng.normal(0, plan.task_slope_sd, len(tasks))
    slope = common + ssl[:, None] * gain + rng.normal(0, plan.encoder_slope_sd, (len(full), 1))
    slope += rng.normal(0, plan.paradigm_task_sd / 3, (len(SSL_PARADIGMS) + 1, len(tasks)))[_paradigm_number(encoders)]
    return full[:, :, None, None] + slope[:, :, None, None] * x[:, None] + rng.normal(0, plan.seed_sd, shape)


def _primary_rows(plan, scores, encoders, tasks, protocol, rng):
    kind = "dense" if protocol.startswith("dense") else "global"
    chosen = np.flatnonzero(tasks["kind"] == kind)
    e, t, f, s = np.meshgrid(
        np.arange(len(encoders)), chosen, np.arange(len(plan.fractions)), np.arange(plan.seeds), indexing="ij"
    )
    keep = (np.array(plan.fractions)[f] < 1) | (s == 0)
    e, t, f, s = (i[keep] for i in (e, t, f, s))
    value = scores[e, t, f, s] / 100
    if protocol not in ("linear-v1", "dense-linear-v1"):
        value = value - 0.02 + rng.normal(0, 0.01, len(value))
    fraction = np.array(plan.fractions)[f]
    chance = 0.0 if kind == "dense" else 0.5
    score = _possible(value, chance)
    return pd.DataFrame(
        {
            "e": e,
            "t": t,
            "protocol": protocol,
            "fraction": fraction,
            "seed": s,
            "metric": "dice" if kind == "dense" else "auroc",
            "primary": True,
            "value": chance + (1 - chance) * score,
            "chance": chance,
            "score": score,
        }
    )


def _possible(score, chance):
    """Scores that a metric between 0 and 1 can give, negative ones below its chance level among them."""
    return np.clip(score, -chance / (1 - chance), 1.0)


def _strata_rows(plan, full, encoders, tasks, rng):
    chosen = np.flatnonzero(tasks["kind"] == "dense")
    side = (encoders["paradigm"] == "contrastive").to_numpy(float) - (encoders["paradigm"] == "generative").to_numpy(
        float
    )
    loss = 20 + plan.subtle / 2 * side + rng.normal(0, plan.encoder_loss_sd, len(encoders))
    moved = rng.normal(0, plan.paradigm_task_sd, (len(SSL_PARADIGMS) + 1, len(chosen)))[_paradigm_number(encoders)]
    ease = np.array(list(STRATA.values()))
    value = full[:, chosen, None] + 10 - (loss[:, None] + moved)[:, :, None] * (1 - ease)
    value = value + rng.normal(0, 1.5, value.shape)
    e, t, m = np.meshgrid(np.arange(len(encoders)), chosen, np.arange(len(ease)), indexing="ij")
    return pd.DataFrame(
        {
            "e": e.ravel(),
            "t": t.ravel(),
            "protocol": "dense-linear-v1",
            "fraction": 1.0,
            "seed": 0,
            "metric": np.array(list(STRATA))[m.ravel()],
            "primary": False,
            "value": np.clip(value.ravel() / 100, 0, 1),
            "chance": 0.0,
            "score": np.nan,
        }
    )


def _finished(rows: pd.DataFrame, encoders: pd.DataFrame, tasks: pd.DataFrame, plan: SimulationDesign) -> pd.DataFrame:
    e, t = rows.pop("e").to_numpy(), rows.pop("t").to_numpy()
    for name in encoders:
        rows[name] = encoders[name].to_numpy()[e]
    for name in tasks:
        rows[name] = tasks[name].to_numpy()[t]
    labels = np.maximum(1, (rows["fraction"] * 500).round()).astype(int)
    return rows.assign(
        controlled_track=None,
        comparable=None,
        repeat_of=None,
        takes="image",
        volume_seconds=None,
        volume_memory_mb=None,
        target=np.where(rows["kind"] == "dense", "mask", "binary"),
        origin=rows["task"],
        corpus=rows["modality"],
        synthetic=plan.synthetic,
        scoring=1,
        left_out=None,
        contaminated="no",
        board="frozen",
        budget=(rows["fraction"] * 100).round().astype(int).astype(str) + "%",
        n_labels=labels,
        labels_per_class=labels / 2,
        split="test",
        low=rows["value"] - 0.02,
        high=rows["value"] + 0.02,
    )[list(COLUMNS)]


def with_shift(frame: pd.DataFrame, loss: dict[str, float] | None = None, seed: int = 0) -> pd.DataFrame:
    """The table with a "test-shift" copy of its primary rows; loss: paradigm -> points lost at the second site."""
    rng = np.random.default_rng(seed)
    moved = frame[frame["primary"]].assign(split="test-shift")
    drop = (8 + moved["paradigm"].map(loss or {}).fillna(0.0).to_numpy(float) + rng.normal(0, 1, len(moved))) / 100
    score = _possible(moved["score"].to_numpy() - drop, moved["chance"].to_numpy())
    moved = moved.assign(score=score, value=moved["chance"] + (1 - moved["chance"]) * score)
    return pd.concat([frame, moved], ignore_index=True)
