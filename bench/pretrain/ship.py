"""From a finished run to an encoder folder: encoder.toml, weights.safetensors (fp16), training.json."""

import hashlib
import platform
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save

from bench.encoders.card import read_card
from bench.files import canonical_json, write_atomic
from bench.pretrain.backbone import MEAN, STD, Backbone
from bench.pretrain.compute import compute_of
from bench.pretrain.corpus import PHANTOM, Corpus
from bench.pretrain.diagnostics import collapsed
from bench.pretrain.job import Job
from bench.pretrain.trainer import Trained
from bench.toml import to_toml
from bench.version import __version__

PHANTOM_CORPUS = "phantom-v1-pretraining"
CONTROL = (
    "One of a controlled comparison: same network, images, image views and optimiser, only the objective differs. "
    "See docs/controlled-track.md."
)
POINTS = 120
"""At most this many points of the loss curve are kept; the full log stays in the run's folder."""


def ship(
    job: Job,
    corpus: Corpus,
    trained: Trained,
    folder: Path,
    *,
    command: str,
    track: str | None = None,
    device: str = "cpu",
) -> Path:
    """Write the encoder folder of a finished run and return the card's path; `device` is where it was trained.

    The folder is complete or absent: the card, which is what makes it an encoder, comes last. Raises RunError.
    """
    weights = weights_of(trained.backbone)
    write_atomic(folder / "weights.safetensors", weights)
    story = training_of(job, corpus, trained, command, sha256=_sha256(weights), device=device)
    write_atomic(folder / "training.json", canonical_json(story) + "\n")
    card = folder / "encoder.toml"
    write_atomic(
        card, to_toml(card_of(job, corpus, trained.backbone, _sha256(weights), collapsed(story["final"]), track))
    )
    read_card(card)
    return card


def encoder_name(job: Job, corpus: Corpus) -> str:
    """The card's name: the job's, with the corpus before it unless it is that of the recipe's own comparison."""
    if corpus.name == (PHANTOM_CORPUS if job.recipe.corpus == PHANTOM else job.recipe.corpus):
        return job.name
    return f"{re.sub(r'[^a-z0-9]+', '-', corpus.name.lower()).strip('-')[:24] or 'own'}-{job.name}"[:64]


def weights_of(backbone: Backbone) -> bytes:
    """The network's weights as fp16 safetensors (integers stay as they are): same weights, same bytes."""
    state = backbone.network.state_dict()
    return save({n: (t.half() if t.is_floating_point() else t).cpu().contiguous() for n, t in state.items()})


def card_of(
    job: Job, corpus: Corpus, backbone: Backbone, sha256: str, has_collapsed: bool, track: str | None
) -> dict[str, Any]:
    """The card as a mapping, in the order of its keys."""
    kind, recipe = job.kind, job.recipe
    title = f"{kind.method}, {job.backbone.upper()}, {recipe.name}" + (f", seed {job.seed}" if job.seed else "")
    warning = "Collapsed: its features hardly vary between images (see training.json). " if has_collapsed else ""
    seen = [] if not kind.trains else [{"corpus": corpus.name, "images": len(corpus.trained), "in_domain": True}]
    card: dict[str, Any] = {
        "schema": 1,
        "name": encoder_name(job, corpus),
        "version": "1",
        "title": title,
        "authors": ["The medssl-bench maintainers" if track else "Unnamed"],
        "licence": "Apache-2.0",
        "paradigm": kind.paradigm,
        "objective": kind.kind,
        "method": kind.method,
        "description": warning + (CONTROL if track else "Made by medssl pretrain."),
        "citation": kind.citation,
        "architecture": job.backbone,
    }
    if track:
        card["controlled_track"] = track
    if job.seed:
        card["repeat_of"] = encoder_name(replace(job, seed=0), corpus)
    return card | {
        "pretraining": seen,
        "source": {
            "adapter": "timm",
            "model": backbone.model,
            "weights": "weights.safetensors",
            "sha256": sha256,
            "options": backbone.model_args,
        },
        "preprocessing": {
            "size": recipe.corpus_size, "channels": 3,
            "mean": [MEAN] * 3, "std": [STD] * 3, "grey": "repeat", "interpolation": "bilinear",
        },
        "features": {"pooling": "mean", "layer": -1},
    }  # fmt: skip


def training_of(
    job: Job, corpus: Corpus, trained: Trained, command: str, *, sha256: str, device: str = "cpu"
) -> dict[str, Any]:
    """How the encoder came to be: command, compute, loss curve, diagnostics on the way, and whether it collapsed."""
    checks = [row for row in trained.rows if "rankme" in row or "finite" in row]
    names = ("rankme", "centred_rank", "feature_std", "finite", "knn", "linear")
    diagnostics = [{k: v for k, v in row.items() if k == "step" or k.startswith(names)} for row in checks]
    final = {k: v for k, v in diagnostics[-1].items() if k != "step"}
    losses = [row for row in trained.rows if "loss" in row]
    every = max(1, -(-len(losses) // POINTS))
    return {
        "schema": 1,
        "run": job.identity(corpus.sha256),
        "command": command,
        "objective": job.objective,
        "backbone": job.backbone,
        "seed": job.seed,
        "recipe": job.recipe.name,
        "learning_rate": job.recipe.rate(job.objective),
        "corpus": {"name": corpus.name, "images": len(corpus.trained), "sha256": corpus.sha256},
        "compute": {
            **compute_of(job, corpus, device),
            "parameters": sum(p.numel() for p in trained.backbone.network.parameters()),
            "seconds": sum(row["seconds"] for row in losses),
        },
        "loss": [{k: v for k, v in row.items() if k == "step" or k.startswith("loss")} for row in losses[::every]],
        "diagnostics": diagnostics,
        "final": final,
        "collapsed": collapsed(final),
        "weights_sha256": sha256,
        "made_by": {
            "medssl": __version__, "torch": torch.__version__, "timm": timm.__version__,
            "python": platform.python_version(), "machine": platform.machine(),
            **({} if device == "cpu" else {"device": torch.cuda.get_device_name(device)}),
        },
    }  # fmt: skip


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
