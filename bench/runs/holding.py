"""Which results of a run folder still hold, which run again, and why: identities compared unit by unit."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path

from bench.data.load import load_task, store_key
from bench.errors import DataError, RunError
from bench.features.probe import Probe
from bench.identity import Identity, Measure, card_changes, measured, prompts_part, task_parts
from bench.protocols.base import Protocol
from bench.runs.journal import SUPERSEDED, Journal, kept_probe
from bench.runs.plan import Plan
from bench.runs.records import Record

OUTSIDE = "not in the suite"
UNKNOWN = "made by an earlier version, which did not keep what the network computes"


class Holding:
    """What is compared with the records of one run folder."""

    def __init__(self, journal: Journal, measure: Measure, plan: Plan, fingerprint: str, accept_checksum: bool) -> None:
        self.journal, self.measure, self.plan = journal, measure, plan
        self._fingerprint, self._accept = fingerprint, accept_checksum
        self._planned = plan.keys
        self._data = lru_cache(maxsize=None)(self._read)
        self._remarks: list[str] = []

    def sort_out(self) -> list[str]:
        """Leave in the folder what holds; returns a line for each reason why units do not, and for what was damaged."""
        records = self.journal.superseded | self.journal.records()
        lost = self.journal.lost(records.values())
        self.journal.note_missing(records)
        changed = {key: reason for key, r in records.items() if (reason := self._why(r, lost.get(key, "")))}
        self.journal.sort_out(changed, self._restamped)
        older = sum(r.identity is None and r.unit.key not in changed for r in records.values())
        kept = f"{older} results of an earlier version kept: card, weights, data and protocol are as now"
        damaged = [f"damaged: {message}" for message in self.journal.damaged]
        return [*damaged, *self._remarks, *self._lines(changed, records), *([kept] if older else [])]

    def _why(self, record: Record, lost: str) -> str:
        """Why a record does not hold; "" when it does. lost: what happened to its predictions."""
        if record.unit.key not in self._planned:
            return OUTSIDE
        if lost:
            return lost
        if record.identity is None:
            return " and ".join(self._changes_of_older(record))
        return " and ".join(self._changes(record, record.identity))

    def _changes(self, record: Record, identity: Identity) -> Iterator[str]:
        dense = self.plan.protocols[record.unit.protocol].reads_grid
        yield from identity.encoder_changes(self.measure, record.unit.task, dense)
        yield from _scoring_changes(record, self.plan)
        task, held = self.plan.tasks[record.unit.task], identity.data
        if identity.text is not None and identity.text.prompts != prompts_part(task):
            yield "the prompts changed"
        if card := card_changes(held, task_parts(task)):
            yield from card
        elif (data := self._data(task.name)) is not None and not data[0].startswith(held.store):
            yield from held.changes(measured(data[1]()))

    def _changes_of_older(self, record: Record) -> Iterator[str]:
        """A record of an earlier version is compared by what it holds; unknown code cannot be."""
        encoder, task = self.measure.encoder, record.unit.task
        if encoder.card.source["adapter"] in ("module", "python"):
            yield UNKNOWN
        elif record.card_sha256 != encoder.card.sha256:
            yield "made by an earlier version with another card"
        elif record.weights_sha256 != encoder.weights_sha256:
            yield "the weights changed"
        if encoder.execution != record.made_by.precision:
            yield f"computed in {record.made_by.precision} before, {encoder.execution} now"
        yield from _scoring_changes(record, self.plan)
        if (data := self._data(task)) is not None and data[1]().sha256 != record.data_sha256:
            yield "the data changed"

    def _read(self, task: str) -> tuple[str, Callable] | None:
        """(name of the prepared copy, how to open it) of a selected task; None where its files are not here."""
        if task not in self.plan.selected:
            return None
        card, folder = self.plan.tasks[task], self.plan.folders[task]
        try:
            key = store_key(card, folder=folder, accept_checksum=self._accept)[1]
        except DataError as error:
            self._remarks.append(f"results of {task} are kept as they are, for they cannot be compared: {error}")
            return None
        return key, lru_cache(lambda: load_task(card, folder=folder, accept_checksum=self._accept))

    def _restamped(self, record: Record) -> Record:
        """A record that holds is one of the suite as it is now."""
        stamp = {"suite": self.plan.suite.name, "suite_fingerprint": self._fingerprint}
        return record.model_copy(update={"made_by": record.made_by.model_copy(update=stamp)})

    def _lines(self, changed: Mapping[str, str], records: Mapping[str, Record]) -> Iterator[str]:
        units: dict[tuple[str, bool], list[str]] = defaultdict(list)
        for key, reason in changed.items():
            task = records[key].unit.task
            units[reason, reason != OUTSIDE and task in self.plan.selected].append(task)
        for (reason, again), tasks in units.items():
            who = f"1 unit of task {tasks[0]} is" if len(tasks) == 1 else f"{len(tasks)} units of {_named(tasks)} are"
            yield f"{who} {'run again' if again else f'set aside ({SUPERSEDED})'}: {reason}"


def _named(tasks: Sequence[str]) -> str:
    different = set(tasks)
    return f"task {tasks[0]}" if len(different) == 1 else f"{len(different)} tasks"


def leave_behind(journal: Journal, measure: Measure, protocols: Mapping[str, Protocol]) -> Iterator[str]:
    """Set aside what other suites in the encoder's folder hold of another network; a line for each suite and reason.

    How it was executed does not matter there, and a suite that another run is writing to is left alone.
    """
    for path in sorted(journal.folder.parent.glob("*/records.jsonl")):
        if path.parent != journal.folder:
            with suppress(RunError), Journal(path.parent) as other:
                yield from _set_aside(other, measure.at(partial(_kept_or, path.parent)), protocols)


def _kept_or(folder: Path, probe: Probe) -> Probe:
    return kept_probe(folder, probe) or probe


def _set_aside(other: Journal, measure: Measure, protocols: Mapping[str, Protocol]) -> Iterator[str]:
    changed = {}
    for key, record in (other.superseded | other.records()).items():
        if record.identity is not None and (protocol := protocols.get(record.unit.protocol)) is not None:
            task, dense = record.unit.task, protocol.reads_grid
            if reasons := record.identity.encoder_changes(measure, task, dense, executed=False):
                changed[key] = " and ".join(reasons)
    if changed.keys() & other.records().keys():
        other.sort_out(changed.keys() | other.superseded.keys(), lambda record: record)
        for reason, n in Counter(changed.values()).items():
            yield f"{other.folder.name}: {n} results are set aside: {reason}; run that suite again too"


def _scoring_changes(record: Record, plan: Plan) -> Iterator[str]:
    if record.protocol_sha256 != plan.protocols[record.unit.protocol].sha256_on(plan.tasks[record.unit.task]):
        yield f"the protocol {record.unit.protocol} changed"
    if record.scoring != plan.suite.scoring:
        yield f"scored by version {record.scoring} of the metrics before, {plan.suite.scoring} now"
