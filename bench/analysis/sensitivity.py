"""The other choices one could have made, under which each claim is measured again."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from bench.analysis.claim import Claim
from bench.budget import FULL, Budget
from bench.words import PARADIGMS, family

Rows = tuple[str, pd.DataFrame]
"""A choice in words, and the table under it."""
Settings = dict[str, dict[str, Any]]
"""Part of a claim -> settings that differ."""
PLACEMENTS = {
    "self-distillation (DINO-like) counted as contrastive": {"self-distillation": "contrastive"},
    "self-distillation with masked tokens (DINOv2-like) counted as predictive": {
        "self-distillation+masked-tokens": "predictive"
    },
    "self-distillation counted as hybrid": {"self-distillation": "hybrid"},
}
PROBES = {
    "nearest neighbours instead of linear probes": {"linear": "knn", "dense-linear": "dense-retrieval"},
    "attentive instead of linear probe": {"linear": "attentive"},
}


def variants(everything: pd.DataFrame, main: pd.DataFrame) -> Iterator[Rows]:
    """Every choice of results that changes something here.

    everything: the table with clinical and phantom results; main: the one the verdict is judged on.
    """
    for words, moves in PLACEMENTS.items():
        if main["objective"].isin(list(moves)).any():
            yield words, _placed(main, moves)
    yield from _subsets(main)
    if len(everything) > len(main):
        yield "phantom tasks instead of clinical ones", everything[everything["synthetic"].astype(bool)]


def _placed(frame: pd.DataFrame, moves: dict[str, str]) -> pd.DataFrame:
    paradigm = frame["paradigm"].astype(str)
    for objective, target in moves.items():
        paradigm = paradigm.where(frame["objective"] != objective, target)
    return frame.assign(paradigm=pd.Categorical(paradigm, categories=list(PARADIGMS)))


def _subsets(main: pd.DataFrame) -> Iterator[Rows]:
    if (main["contaminated"] == "yes").any():
        yield "contaminated cells left out", main[main["contaminated"] != "yes"]
    if (main["contaminated"] == "unknown").any() and (main["contaminated"] == "no").any():
        clean = (main["contaminated"] == "no") | (main["paradigm"] == "reference")
        yield "only cells known to be clean", main[clean]
    tracked, reference = main["controlled_track"].notna(), main["paradigm"] == "reference"
    if tracked.any() and not tracked.all():
        yield "controlled track only", main[tracked | reference]
        yield "without the controlled track", main[~tracked | reference]
    public = main["comparable"].notna()
    if public.any() and not public.all():
        yield "public sets that differ in the objective alone", main[public | reference]
    networks = ("vit", "cnn")
    no_network = (main["paradigm"] == "reference") & ~main["architecture"].isin(networks)
    for name in networks:
        here = main["architecture"] == name
        if here.any() and not (here | no_network).all():
            yield f"{name} encoders only", main[here | no_network]
    if "pooling" in main:
        for name in sorted(main["pooling"].dropna().unique()):
            here = main["pooling"] == name
            if not here.all():
                yield f"encoders with {name} pooling only", main[here | (main["paradigm"] == "reference")]


def settings(claim: Claim, main: pd.DataFrame) -> Iterator[tuple[str, Settings]]:
    """(the choice in words, the settings under it) for every choice of one claim that changes something here.

    Parts that a choice leaves as they are, or that were not run under it, do not stand in it.
    """
    asked = {part: said for part, said in claim.asked.items() if not str(said.get("more", "")).startswith("protocol=")}
    for words, swap in PROBES.items():
        changed: Settings = {}
        for part, said in asked.items():
            names = [family(name) for name in said.get("protocols", [])]
            other = [swap.get(name, name) for name in names]
            if names != other and set(other) <= _run(main, said.get("budget")):
                changed[part] = {"protocols": other}
        if changed:
            yield words, changed
    full = [part for part, said in claim.asked.items() if said.get("budget") == FULL]
    if full and (main["budget"] == (few := Budget("10%"))).any():
        yield few.words, {part: {"budget": few} for part in full}


def _run(main: pd.DataFrame, budget: Budget | None) -> set[str]:
    """Families of the protocols with results at a budget (None: at some share of the labels)."""
    rows = main[main["fraction"].notna() if budget is None else main["budget"] == budget]
    return {family(name) for name in rows["protocol"].unique()}
