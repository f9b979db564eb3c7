"""From what is on disk (collections of records, cards, boards) to what the pages show."""

import hashlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pandas as pd

from bench.files import canonical_json, sha256_text
from bench.leaderboard.collect import SuiteResults
from bench.protocols.base import Protocol
from bench.publish.beside import beside
from bench.publish.model import EncoderView, ProtocolView, RunDetails, SiteView
from bench.publish.snapshots import History
from bench.publish.told import Told, silent
from bench.recipes import AGGREGATION
from bench.runs.journal import records_file
from bench.runs.records import Record
from bench.submissions.badge import RANK
from bench.submissions.contamination import contamination
from bench.submissions.folder import Results
from bench.submissions.withdrawn import Withdrawal
from bench.version import __version__


@dataclass
class SiteFiles:
    """Files beside the pages: address within the site -> bytes."""

    bytes: dict[str, bytes] = field(default_factory=dict)


def site_view(
    collections: Mapping[str, SuiteResults],
    files: SiteFiles,
    *,
    history: History | None = None,
    base: str = "",
    repository: str = "",
    withdrawn: Sequence[Withdrawal] = (),
    jobs: int = 1,
    told: Told = silent,
) -> SiteView:
    """The whole site from collections of results; what goes beside the pages is added to `files`.

    jobs: processes at work; with more than one, claims and advice are found while boards and pictures are made.
    """
    from bench.publish.suites import diagnostics, judged, suite_view

    records = [r for c in collections.values() for result in c.results.values() for r in result.records]
    ordered = _clinical_first(collections)
    tables = [table for c in ordered if (table := diagnostics(c)) is not None]
    for c in ordered:
        told(f"{c.suite}: {len(c.frame):,} numbers")
    with beside(lambda: ([judged(c, ordered[0]) for c in ordered], fingerprint(records, tables)), jobs) as derived:
        suites = [suite_view(c, files, told) for c in ordered]
        told("claims and advice")
        found, mark = derived()
    return SiteView(
        version=__version__,
        fingerprint=mark,
        date=newest(records),
        suites=tuple(replace(suite, fares=j.fares, between=j.between) for suite, j in zip(suites, found, strict=True)),
        encoders=encoder_views(collections, files, repository),
        protocols=[protocol_view(p) for p in _protocols(collections)],
        claims={suite.name: j.claims for suite, j in zip(suites, found, strict=True)},
        advice={suite.name: j.advice for suite, j in zip(suites, found, strict=True)},
        history=history or History(),
        base=base,
        repository=repository,
        withdrawn=withdrawn,
    )


def newest(records: Sequence[Record]) -> str:
    """When the newest record was made, UTC, ISO 8601, but not after now: a clock that is ahead dates no site."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return max((r.made_by.created for r in records if r.made_by.created <= now), default="1970-01-01T00:00:00Z")


def fingerprint(records: Sequence[Record], diagnostics: Sequence[pd.DataFrame] = ()) -> str:
    """SHA-256 over every record and diagnostic, whatever the order of folders, and the way they become boards; seconds
    and dates do not enter."""
    numbers = [canonical_json(r.without_times()) for r in records]
    about = [f"aggregation {AGGREGATION}", *(table.to_csv() for table in diagnostics)]
    return sha256_text("\n".join(sorted(numbers + about)))


def _clinical_first(collections: Mapping[str, SuiteResults]) -> list[SuiteResults]:
    """Suites of clinical images before phantoms, larger ones before smaller."""

    def key(c: SuiteResults) -> tuple:
        return (c.synthetic, -len(c.tasks) * len(c.results), c.suite)

    return sorted(collections.values(), key=key)


def _protocols(collections: Mapping[str, SuiteResults]) -> list[Protocol]:
    found = {p.name: p for c in collections.values() for p in c.protocols.values()}
    return [found[name] for name in sorted(found)]


def protocol_view(protocol: Protocol) -> ProtocolView:
    """A protocol with its numbers and the prose of its module."""
    about = (sys.modules[type(protocol).__module__].__doc__ or "").strip().removeprefix(f"{protocol.name}: ")
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in about.split("\n\n"))
    return ProtocolView(
        protocol.name,
        protocol.title,
        protocol.kind,
        protocol.board,
        dict(protocol.params),
        protocol.sha256,
        text[:1].upper() + text[1:],
    )


def encoder_views(
    collections: Mapping[str, SuiteResults], files: SiteFiles, repository: str = ""
) -> dict[str, EncoderView]:
    """Every encoder with results, by name. Records are copied into `files`, those of the repository are linked."""
    found: dict[str, list[tuple[SuiteResults, Results]]] = {}
    for collection in collections.values():
        for name, result in collection.results.items():
            found.setdefault(name, []).append((collection, result))
    return {name: _encoder(name, results, files, repository) for name, results in sorted(found.items())}


def _encoder(name: str, results: list[tuple[SuiteResults, Results]], files: SiteFiles, repository: str) -> EncoderView:
    records = [r for _, result in results for r in result.records]
    card = results[0][1].card
    flops = [r.cost.flops_per_image for r in records if r.cost.flops_per_image is not None]
    extraction: dict[str, float] = {}
    for r in records:
        extraction[r.unit.task] = max(extraction.get(r.unit.task, 0.0), r.cost.seconds.get("extract", 0.0))
    return EncoderView(
        card=card,
        badge=min((c.badges[name] for c, _ in results), key=RANK.index),
        verdicts=tuple(c.verdicts[name] for c, _ in results if name in c.verdicts),
        local=name in results[0][0].local,
        parameters=max((r.cost.parameters for r in records), default=0),
        flops=max(flops, default=None),
        seconds=sum(extraction.values()) or None,
        peak_memory_mb=max((r.cost.peak_memory_mb for r in records if r.cost.peak_memory_mb), default=None),
        evidence=tuple(_evidence(name, c, result, files, repository) for c, result in results),
        contamination={
            task.name: (found.state, found.reason)
            for c, _ in results for task in c.tasks.values() for found in [contamination(card, task)]
        },
    )  # fmt: skip


def _evidence(name: str, collection: SuiteResults, result: Results, files: SiteFiles, repository: str) -> RunDetails:
    source = records_file(result.folder)
    assert source is not None, "results have records"
    data, (root, *inside) = source.read_bytes(), source.parts[-4:]
    if repository and root == "submissions" and name not in collection.local:
        address = f"{repository}/raw/main/{'/'.join((root, *inside))}"
    else:
        address = f"records/{collection.suite}/{name}{source.name.removeprefix('records')}"
        files.bytes[address] = data
    made = result.records[0].made_by
    return RunDetails(
        suite=collection.suite, commands=tuple(sorted({r.made_by.command for r in result.records})),
        created=min(r.made_by.created for r in result.records), finished=max(r.made_by.created for r in result.records),
        medssl=made.medssl, python=made.python, device=made.device, platform=made.platform, precision=made.precision,
        suite_fingerprint=collection.fingerprint, packages=made.packages, records=len(result.records),
        records_file=address, records_sha256=hashlib.sha256(data).hexdigest(),
        weights_sha256=result.records[0].weights_sha256, card_sha256=result.card.sha256,
        override=any(r.made_by.checksum_override for r in result.records),
        refused=tuple(sorted({
            f"{r.unit.task}, {r.unit.protocol}: {r.status}, {r.reason}" for r in result.records if r.status != "done"
        })),
        warnings=tuple(sorted({w for r in result.records for w in r.warnings})),
    )  # fmt: skip
