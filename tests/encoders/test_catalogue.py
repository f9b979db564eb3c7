"""The catalogue: every card is sound, and what it loads gives the numbers of timm and transformers themselves."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from bench.encoders import catalogue
from bench.encoders.catalogue import cards, chosen, size_of
from bench.encoders.load import find_card, source_of
from bench.encoders.open_card import origin_of
from bench.errors import CardError
from bench.words import SSL_PARADIGMS
from benchmarks import catalogue as trying

SAMPLE = ("fcmae-convnextv2-atto", "supervised-resnet18", "eva02-tiny", "lunit-dino-vit-s16", "uni2-h")
"""A family each, and a large one by its skeleton and a sibling; `python benchmarks/catalogue.py` tries them all."""
MEDICAL = {"histology", "radiology", "ophthalmology", "ultrasound", "dermatology", "endoscopy", "medical"}


def test_it_is_as_large_as_it_says() -> None:
    assert len(cards()) >= 100
    assert sum(card.domain in MEDICAL for card in cards().values()) >= 40


@pytest.mark.parametrize("name", catalogue.paths())
def test_a_card_is_sound(name: str) -> None:
    card = cards()[name]
    assert card.name == name
    assert card.domain is not None
    assert card.family is not None
    assert origin_of(card.source) is not None
    assert {"revision", "sha256"}.isdisjoint(card.source)
    source_of(card, where=name) if "model" in card.source or card.source["adapter"] != "timm" else None
    assert (card.paradigm == "unknown") == (card.objective == "unknown")


def test_no_two_cards_are_of_the_same_weights() -> None:
    counts = Counter(origin_of(card.source) for card in cards().values())
    assert [origin for origin, n in counts.items() if n > 1] == []


def test_a_comparable_set_has_one_corpus_and_several_methods() -> None:
    sets = defaultdict(list)
    for card in cards().values():
        if card.comparable:
            sets[card.comparable].append(card)
    assert {"lunit-tcga", "retfound-meh", "imagenet-1k-vit-base", "imagenet-1k-resnet-50"} <= sets.keys()
    for name, members in sets.items():
        assert len({str(card.pretraining) for card in members}) == 1, name
        assert {card.paradigm for card in members} <= set(SSL_PARADIGMS), name
        assert len(members) > 1, name
    assert len({card.method for card in sets["lunit-tcga"]}) == 4


@pytest.mark.parametrize("name", SAMPLE)
def test_a_card_gives_the_numbers_of_the_library(name: str) -> None:
    outcome = trying.tried(cards()[name])
    assert (outcome.problem, outcome.pooled, outcome.grid) == ("", 0, 0)


def test_only_cards_whose_repository_says_the_network_are_not_tried() -> None:
    untried = {c.name for c in cards().values() if "model" not in c.source and c.name not in trying.CONFIGS}
    assert untried == {"digepath", "h0-mini", "omnirad-small"}
    assert trying.tried(cards()["h0-mini"]).problem == trying.UNSAID


def test_another_normalisation_would_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison can fail: images prepared otherwise than the card says give another vector."""
    right = trying.pictures

    def wrong(card):
        images, x = right(card)
        return images, x + 0.01

    monkeypatch.setattr(trying, "pictures", wrong)
    assert trying.tried(cards()["supervised-resnet18"]).pooled > 0


def test_cards_are_chosen_by_words() -> None:
    found = chosen("small+histology")
    assert found
    assert {(size_of(c), c.domain) for c in found.values()} == {("small", "histology")}
    assert len(chosen("all")) == len(cards())
    with pytest.raises(CardError, match="did you mean 'histology'"):
        chosen("small+histologi")
    with pytest.raises(CardError, match="no card of the catalogue is satellite and ultrasound"):
        chosen("satellite+ultrasound")


def test_a_name_of_the_catalogue_and_the_tag_behind_it_are_one_card(hub) -> None:
    from bench.encoders.names import named

    assert named("timm:vit_small_patch14_dinov2.lvd142m") == cards()["dinov2-small"]
    assert named("hf:microsoft/rad-dino") == cards()["rad-dino"]
    with pytest.raises(CardError, match="did you mean 'dinov2-small'"):
        find_card("dinov2-smal")
