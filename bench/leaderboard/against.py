"""Reasons against a record: why it may not stand beside the others of its suite."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

from bench.data.task import Task
from bench.identity import prompts_part
from bench.leaderboard.at_hand import AtHand
from bench.leaderboard.refuted import refuted
from bench.protocols.base import Protocol
from bench.runs.fingerprint import meaning_of_task
from bench.runs.plan import Plan
from bench.runs.records import Record
from bench.submissions.folder import Results

Ordered = TypeVar("Ordered", str, int)
Why = Callable[[Results, Record], str | None]
"""The reason against a record of some results, or None."""


def unknown(tasks: Mapping[str, Task], protocols: Mapping[str, Protocol]) -> Why:
    """Its task or protocol is not known here."""

    def why(result: Results, record: Record) -> str | None:
        if record.unit.protocol not in protocols:
            return f"protocol {record.unit.protocol!r} is not installed here"
        if record.unit.task not in tasks:
            return "an unknown task; pass the folder of its card with --tasks"
        return None

    return why


def itself(results: Mapping[str, Results], at_hand: AtHand) -> Why:
    """It contradicts itself (`bench.leaderboard.refuted`)."""
    found = refuted({result.folder: result.records for result in results.values()}, at_hand)
    return lambda result, record: found.get((result.folder, record.unit.key))


def other_plan(plan: Plan, results: Mapping[str, Results]) -> Why:
    """It is not of a unit of the plan, or its task, protocol or metrics have come to mean something else."""
    planned, now = plan.keys, _meanings(plan.tasks)
    uses = {(unit.protocol, unit.budget) for task in plan.tasks.values() for unit in plan.units(task)}
    sha256 = cache(lambda protocol, task: plan.protocols[protocol].sha256_on(plan.tasks[task]))
    then = {r.folder: _meanings(r.plan.tasks) if r.plan else now for r in results.values()}

    def why(result: Results, record: Record) -> str | None:
        unit = record.unit
        if unit.key not in planned:
            seed = f", seed {unit.seed}," if (unit.protocol, unit.budget) in uses else ""
            return f"{unit.protocol} at {unit.budget}{seed} is no longer part of the suite"
        if record.protocol_sha256 != sha256(unit.protocol, unit.task):
            return f"another version of {unit.protocol}, {again(record)}"
        if record.scoring != plan.suite.scoring:
            return f"metrics of version {record.scoring}, not {plan.suite.scoring}, {again(record)}"
        if then[result.folder].get(unit.task) != now[unit.task]:
            return f"another card, {again(record)}"
        text = record.identity and record.identity.text
        other = text and text.prompts != prompts_part(plan.tasks[unit.task])
        return f"other prompts, {again(record)}" if other else None

    return why


def _meanings(tasks: Mapping[str, Task]) -> dict[str, object]:
    return {name: meaning_of_task(task) for name, task in tasks.items()}


def older_data(results: Mapping[str, Results]) -> Why:
    """It was scored on other images or labels than the newest record of its task."""
    stamped = [(record, age(result)) for result in results.values() for record in result.records]
    newest = {r.unit.task: r for r, (_, sealed) in sorted(stamped, key=lambda s: (s[0].made_by.created, s[1][1]))}

    def why(result: Results, record: Record) -> str | None:
        last = newest[record.unit.task]
        if record.data_sha256 == last.data_sha256:
            return None
        then, now = (f"{r.data_sha256[:8]} of {r.made_by.created[:10]}" for r in (record, last))
        return f"an older version of the data ({then}; {last.encoder} has {now}), {again(record)}"

    return why


def minority_data(results: Mapping[str, Results], verified: set[str]) -> Why:
    """Its images or labels differ from those most encoders were scored on; the `verified` ones decide."""
    return _minority(results, verified, lambda r: (r.unit.task, r.data_sha256), "scored on other data")


def minority_labels(results: Mapping[str, Results], verified: set[str]) -> Why:
    """It states more or fewer labelled images than most at this budget, seed and data; the `verified` ones decide."""

    def stated(record: Record) -> tuple[object, int]:
        unit = record.unit
        place = (unit.task, unit.budget, unit.seed, record.data_sha256, record.status)
        return place, record.n_labels

    return _minority(results, verified, stated, "states another number of labelled images than its budget has")


def _minority(
    results: Mapping[str, Results], verified: set[str], of: Callable[[Record], tuple[object, Any]], told: str
) -> Why:
    """What it states differs from what most encoders do at the same place. of: record -> (place, what it states)."""
    seen: dict[object, list[tuple[bool, Any]]] = defaultdict(list)
    for name, result in results.items():
        for place, stated in {of(record) for record in result.records}:
            seen[place].append((name in verified, stated))
    common = {
        place: most_common([s for sure, s in found if sure] or [s for _, s in found]) for place, found in seen.items()
    }

    def why(result: Results, record: Record) -> str | None:
        place, stated = of(record)
        return None if stated == common[place] else told

    return why


def again(record: Record) -> str:
    """What to do about it: the command that made the record."""
    return f"run it again: {record.made_by.command}"


def age(result: Results) -> tuple[str, int]:
    """When results were made, to sort by: date of the newest record, and for equal dates the time of the file."""
    created = max((record.made_by.created for record in result.records), default="")
    return created, max((path.stat().st_mtime_ns for path in result.folder.glob("records.jsonl*")), default=0)


def most_common(values: list[Ordered]) -> Ordered:
    """The most frequent value; the first in their order of those that are equally frequent."""
    return max(sorted(set(values)), key=values.count)
