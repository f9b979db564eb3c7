"""What the rows of a board can be filtered by: only what differs between them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bench.leaderboard.board import BoardRow
from bench.publish.model import ARCHITECTURE_TITLES, EncoderView
from bench.publish.svg import state
from bench.publish.text import count, words
from bench.words import PARADIGM_TITLES, SIZES, size_class

SEEN = {"no": "Clean", "yes": "Contaminated", "unknown": "Not disclosed"}
BADGES = {"declared": "Declared", "rescored": "Rescored", "reproduced": "Reproduced"}


class Facet(NamedTuple):
    """A property with the values it takes. key: in the address and in the rows. options: (value, its words)."""

    key: str
    legend: str
    options: list[tuple[str, str]]


def facets(encoders: Sequence[EncoderView], rows: Sequence[BoardRow]) -> list[Facet]:
    """Every property of which the rows show two values or more."""
    cards = [e.card for e in encoders]
    found = [
        Facet("p", "Paradigm", _those(PARADIGM_TITLES, (c.paradigm for c in cards))),
        Facet("o", "Objective", [(v, words(v)) for v in sorted({c.objective for c in cards})]),
        Facet("a", "Network", _those(ARCHITECTURE_TITLES, (c.architecture for c in cards))),
        Facet("z", "Parameters", _those(_sizes(), (size_class(e.parameters) for e in encoders))),
        Facet("b", "Trust", _those(BADGES, (e.badge for e in encoders))),
        Facet("k", "Test images seen in pretraining", _those(SEEN, (state(r.contamination) for r in rows))),
        Facet("l", "Licence", [(v, v) for v in sorted({c.licence for c in cards})]),
    ]
    return [f for f in found if len(f.options) > 1]


def corpora(encoders: Iterable[EncoderView]) -> list[str]:
    """Every pretraining corpus that is named."""
    return sorted({c.corpus for e in encoders for c in e.card.pretraining or []})


def findable(e: EncoderView) -> str:
    """Words an encoder is found by that its row does not show."""
    c = e.card
    said = [c.method, c.paradigm, PARADIGM_TITLES[c.paradigm], c.objective, c.architecture, c.licence, c.family or ""]
    said += [corpus.corpus for corpus in c.pretraining or []]
    said += [SPOKEN.get(word, "") for word in c.method.replace(",", " ").split()]
    return " ".join(dict.fromkeys(filter(None, said)))


SPOKEN = {
    "MAE": "masked autoencoder", "SimMIM": "masked image modelling", "BYOL": "bootstrap your own latent",
    "DINO": "self-distillation with no labels", "DINOv2": "self-distillation with no labels",
    "iBOT": "image bert online tokenizer", "MoCo": "momentum contrast", "SimCLR": "contrastive learning",
    "SwAV": "swapping assignments between views", "I-JEPA": "joint embedding predictive architecture",
}  # fmt: skip
"""Methods known by their initials, spelt out."""


def _those(titles: dict[str, str], there: Iterable[str]) -> list[tuple[str, str]]:
    """The values that are there, in the order of their titles; those without one last, as they are."""
    values = {v for v in there if v}
    return [(v, t) for v, t in titles.items() if v in values] + [(v, v) for v in sorted(values - set(titles))]


def _sizes() -> dict[str, str]:
    return {v: v if most == float("inf") else f"{v}, under {count(most)}" for v, most in SIZES.items()}
