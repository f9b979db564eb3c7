"""The other choices one could have made, under which each claim is measured again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.analysis.claim import Claim
from bench.budget import FULL, Budget
from bench.words import PARADIGMS, family

Change = tuple[str, pd.DataFrame, dict[str, Any]]
PLACEMENTS = {
    "self-distillation (DINO-like) counted as contrastive": {"self-distillation": "contrastive"},
    "self-distillation with masked tokens (DINOv2-like) counted as predictive": {
        "self-distillation+masked-tokens": "predictive"
    },
    "self-distillation counted as hybrid": {"self-distillation": "hybrid"},
}


def variants(everything: pd.DataFrame, main: pd.DataFrame) -> Iterator[Change]:
    """(the choice in words, the table under it, no settings) for every choice of results that changes something here.

    everything: the table with clinical and phantom results; main: the one the verdict is judged on.
    """
    for words, moves in PLACEMENTS.items():
        if main["objective"].isin(list(moves)).any():
            yield words, _placed(main, moves), {}
    yield from _subsets(main)
    if len(everything) > len(main):
        yield "phantom tasks instead of clinical ones", everything[everything["synthetic"].astype(bool)], {}


def _placed(frame: pd.DataFrame, moves: dict[str, str]) -> pd.DataFrame:
    paradigm = frame["paradigm"].astype(str)
    for objective, target in moves.items():
        paradigm = paradigm.where(frame["objective"] != objective, target)
    return frame.assign(paradigm=pd.Categorical(paradigm, categories=list(PARADIGMS)))


def _subsets(main: pd.DataFrame) -> Iterator[Change]:
    if (main["contaminated"] == "yes").any():
        yield "contaminated cells left out", main[main["contaminated"] != "yes"], {}
    if (main["contaminated"] == "unknown").any() and (main["contaminated"] == "no").any():
        clean = (main["contaminated"] == "no") | (main["paradigm"] == "reference")
        yield "only cells known to be clean", main[clean], {}
    tracked, reference = main["controlled_track"].notna(), main["paradigm"] == "reference"
    if tracked.any() and not tracked.all():
        yield "controlled track only", main[tracked | reference], {}
        yield "without the controlled track", main[~tracked | reference], {}
    public = main["comparable"].notna()
    if public.any() and not public.all():
        yield "public sets that differ in the objective alone", main[public | reference], {}
    networks = ("vit", "cnn")
    no_network = (main["paradigm"] == "reference") & ~main["architecture"].isin(networks)
    for name in networks:
        here = main["architecture"] == name
        if here.any() and not (here | no_network).all():
            yield f"{name} encoders only", main[here | no_network], {}
    if "pooling" in main:
        for name in sorted(main["pooling"].dropna().unique()):
            here = main["pooling"] == name
            if not here.all():
                yield f"encoders with {name} pooling only", main[here | (main["paradigm"] == "reference")], {}


def settings(claim: Claim, main: pd.DataFrame) -> Iterator[Change]:
    """As `variants`, for the choices of one claim: other settings on the same results."""
    said, there = next(iter(claim.asked.values())), {family(name) for name in main["protocol"].unique()}
    asked = [family(name) for name in said.get("protocols", [])]
    swap = {"linear": "knn", "dense-linear": "dense-retrieval"}
    other = [swap.get(name, name) for name in asked]
    by_protocol = str(said.get("more", "")).startswith("protocol=")
    if not by_protocol and set(other) <= there and other != asked:
        yield "nearest neighbours instead of linear probes", main, {"protocols": other}
    attentive = ["attentive" if name == "linear" else name for name in asked]
    if not by_protocol and "attentive" in attentive and set(attentive) <= there:
        yield "attentive instead of linear probe", main, {"protocols": attentive}
    if said.get("budget") == FULL and (main["budget"] == (few := Budget("10%"))).any():
        yield few.words, main, {"budget": few}
