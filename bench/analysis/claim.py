"""A claim is data: one TOML file of `bench/analysis/ledger`. What was known when it was written: `about.toml` there."""

from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from bench.errors import CardError
from bench.files import canonical_json, sha256_text
from bench.strict import Line, Name, Prose, Strict, read_toml

LEDGER = Path(__file__).parent / "ledger"


class Minimum(Strict):
    """The evidence below which a claim is not measured, whatever the numbers say. Encoders count within strata."""

    encoders: Annotated[int, Field(ge=1)] = 8
    """Encoders in all."""
    per_group: Annotated[int, Field(ge=1)] = 4
    """Encoders of each group that is compared."""
    tasks: Annotated[int, Field(ge=1)] = 8
    """Source data sets (tasks sharing an origin count once)."""
    modalities: Annotated[int, Field(ge=1)] = 1


class Claim(Strict):
    """The whole of a ledger file. `settings` is checked by the estimand that `test` names."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    id: Annotated[str, StringConstraints(pattern=r"^H\d{1,2}[a-z]?$")]
    title: Line
    statement: Prose
    """What is claimed, in our words."""
    citation: Annotated[list[Line], Field(min_length=1, max_length=20)]
    family: Literal["confirmatory", "exploratory"]
    estimand: Prose
    """The quantity that is estimated."""
    measured_in: Literal["score points", "score points per tenfold labels", "score points per standard deviation"]
    test: Line
    """Name of the module of `bench/analysis/estimands` that measures it."""
    direction: Literal["positive", "negative"]
    """Sign of the effect when the claim holds."""
    margin: Annotated[float, Field(gt=0)]
    """Smallest effect that would matter, in `measured_in`."""
    minimum: Minimum = Minimum()
    contradicted_by: Prose
    settings: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {}
    """What is claimed -> settings beside the shared ones, where a claim says several things; all of them must hold."""

    @property
    def asked(self) -> dict[str, dict[str, Any]]:
        """Settings of each part; a claim of one piece is the part ""."""
        return {name: {**self.settings, **own} for name, own in self.parts.items()} or {"": self.settings}

    @property
    def sha256(self) -> str:
        """Hash of the claim's meaning: a verdict names the very claim it judged."""
        return sha256_text(canonical_json(self.model_dump(mode="json", by_alias=True)))


class LedgerNote(Strict):
    """When a version of the ledger was written, and what its author knew."""

    version: Annotated[int, Field(ge=1)]
    written: date
    known: Prose
    retired: dict[str, Prose] = {}
    """Claim of an earlier version -> why it is no longer asked."""
    succeeded: dict[Name, Name] = {}
    """Controlled track -> the one that takes its place where both have results: their objectives are the same."""


def read_note(folder: Path = LEDGER) -> LedgerNote:
    """The note that comes with the claims of a folder. Raises CardError."""
    return LedgerNote.parse(read_toml(folder / "about.toml"), where=folder / "about.toml")


def read_ledger(folder: Path = LEDGER) -> list[Claim]:
    """Every claim of a folder, confirmatory first, then by id. Raises CardError, also on a shared id or on none."""
    claims: dict[str, Claim] = {}
    for path in sorted(folder.glob("h*.toml")):
        claim = Claim.parse(read_toml(path), where=path)
        if claim.id in claims:
            raise CardError(f"the id {claim.id!r} is taken by another claim", where=path)
        claims[claim.id] = claim
    if not claims:
        raise CardError("holds no claim", where=folder, fix="one file a claim, h1.toml and so on: docs/extending.md")
    return sorted(claims.values(), key=lambda c: (c.family != "confirmatory", int(c.id[1:].rstrip("abcdefgh")), c.id))
