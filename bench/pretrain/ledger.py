"""The ledger of a run over a controlled comparison: what is settled and finished, and how two of them become one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationError

from bench.errors import RunError
from bench.files import canonical_json, sha256_text
from bench.pretrain.corpus import Corpus
from bench.pretrain.recipe import Recipe
from bench.strict import Line, Name, Sha256, Strict

FILE = r"^(encoders-[1-7]\.zip)?$"


class Finished(Strict):
    """An encoder: its run (`Job.identity`), the hash of its weights, and the file it is in; "" for one of an earlier
    run that is elsewhere."""

    run: Sha256
    weights: Sha256
    file: Annotated[str, StringConstraints(pattern=FILE)] = ""


class Ledger(Strict):
    """ledger.json. recipe: hash of all that decides weights and trials. failed: encoder -> why it has no weights."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    track: Name
    recipe: Sha256
    corpus: Sha256
    trials: dict[Name, dict[str, dict[str, float]]] = {}
    """Objective -> learning rate -> seed -> score of the probe."""
    encoders: dict[Name, Finished] = {}
    failed: dict[Name, Line] = {}

    @classmethod
    def of(cls, recipe: Recipe, corpus: Corpus) -> Ledger:
        """An empty one."""
        return cls(track=recipe.comparison, recipe=_hash(recipe), corpus=corpus.sha256)

    def join(self, other: Ledger, *, where: object) -> None:
        """Take over what `other` holds. Raises RunError when it is of another comparison or contradicts this one."""
        for what in ("track", "recipe", "corpus"):
            if getattr(self, what) != getattr(other, what):
                fix = "runs merge only when comparison, recipe and corpus are the same"
                raise RunError(f"is of another {what}: {getattr(other, what)[:40]!r}", where=where, fix=fix)
        for name, new in other.encoders.items():
            old = self.encoders.get(name)
            if old and (old.run, old.weights) != (new.run, new.weights):
                what = f"has other weights for {name!r} than a run before it"
                raise RunError(what, where=where, fix="keep one of the two runs; on another GPU bits may differ")
            self.encoders[name] = new if old is None or new.file else old
        for objective, rates in other.trials.items():
            for rate, seeds in rates.items():
                for seed, score in seeds.items():
                    known = self.trials.setdefault(objective, {}).setdefault(rate, {}).setdefault(seed, score)
                    if known != score:
                        what = f"has another outcome of the trial of {objective!r} at {rate}, seed {seed}"
                        raise RunError(what, where=where, fix="keep the run whose trials chose the rates")
        self.failed.update(other.failed)

    def text(self) -> str:
        """As it is written to ledger.json."""
        return canonical_json(self.model_dump(mode="json", by_alias=True)) + "\n"


def read_ledger(path: Path) -> Ledger:
    """The ledger of a run: its folder, or the file itself. Raises RunError."""
    path = path / "ledger.json" if path.is_dir() else path
    try:
        return Ledger.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error).splitlines()[-2].strip()
        raise RunError(f"is no ledger of a pretraining run: {why}", where=path) from None


def _hash(recipe: Recipe) -> str:
    tuning = recipe.tuning.model_dump(mode="json")
    return sha256_text(canonical_json([recipe.deciding(), tuning, recipe.learning_rates]))
