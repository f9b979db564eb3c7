"""Whether an encoder was pretrained on images of a task's corpus: yes, no, or not disclosed."""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from bench.data.task import Task, read_suite
from bench.encoders.card import EncoderCard


@dataclass(frozen=True)
class Contamination:
    """State of one encoder x task cell, with the reason in one sentence."""

    state: Literal["yes", "no", "unknown"]
    reason: str


@dataclass(frozen=True)
class KnownCorpus:
    """One entry of the vocabulary.

    contains: corpora whose images it holds. gathers: modalities of which it also holds public sets that are not listed.
    apart_from: a shipped suite whose images of validation and test, and their patients, it leaves out.
    """

    contains: frozenset[str]
    gathers: frozenset[str]
    apart_from: str | None = None

    def is_apart_from(self, task: Task) -> bool:
        """Whether it holds training images of this very task alone."""
        return self.apart_from is not None and task.name in read_suite(self.apart_from).tasks

    def may_hold(self, modality: str) -> bool:
        """Whether it gathers public sets of this modality without listing them all."""
        return bool({modality, "any"} & self.gathers)


@cache
def _vocabulary() -> tuple[dict[str, str], dict[str, KnownCorpus]]:
    """(alias -> corpus name, corpus name -> entry), from corpora.toml."""
    table = tomllib.loads(Path(__file__).with_name("corpora.toml").read_text(encoding="utf-8"))["corpus"]
    aliases = {alias: name for name, entry in table.items() for alias in [name, *entry.get("aliases", [])]}
    entries = {
        name: KnownCorpus(
            frozenset(entry.get("contains", [])), frozenset(entry.get("gathers", [])), entry.get("apart_from")
        )
        for name, entry in table.items()
    }
    return {_plain(a): n for a, n in aliases.items()}, entries


def _plain(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def known_corpus(name: str) -> str | None:
    """The vocabulary's name of a corpus, whatever its spelling or alias; None when it is not in the vocabulary."""
    return _vocabulary()[0].get(_plain(name))


def sources_of(name: str) -> frozenset[str]:
    """The corpus and, transitively, every corpus whose images it contains."""
    entries = _vocabulary()[1]
    found, waiting = set(), [known_corpus(name) or name]
    while waiting:
        corpus = waiting.pop()
        if corpus not in found:
            found.add(corpus)
            waiting.extend(entries[corpus].contains if corpus in entries else ())
    return frozenset(found)


def contamination(card: EncoderCard, task: Task) -> Contamination:
    """`yes` when a pretraining corpus shares images with the task's corpus; `unknown` when that cannot be told."""
    if card.pretraining is None:
        return Contamination("unknown", "pretraining corpora are not disclosed")
    target = sources_of(task.corpus)
    unnamed = [c.corpus for c in card.pretraining if known_corpus(c.corpus) is None]
    training = ""
    for corpus in card.pretraining:
        shared = sources_of(corpus.corpus) & target
        entry = _vocabulary()[1].get(known_corpus(corpus.corpus) or "")
        if shared and entry and entry.is_apart_from(task):
            training = f"{corpus.corpus} holds training images of it, and none of its validation or test patients"
        elif shared:
            return Contamination("yes", f"{corpus.corpus} holds images of {', '.join(sorted(shared))}")
    if unnamed:
        return Contamination("unknown", f"{unnamed[0]} is not in the corpora vocabulary")
    gathering = [c.corpus for c in card.pretraining if _may_hold(c.corpus, task.modality)]
    if gathering and not task.synthetic:
        return Contamination("unknown", f"{gathering[0]} gathers public {task.modality} sets that are not all listed")
    return Contamination("no", training or "no pretraining corpus shares images with it")


def _may_hold(corpus: str, modality: str) -> bool:
    entries = _vocabulary()[1]
    return any(entries[name].may_hold(modality) for name in sources_of(corpus) if name in entries)
