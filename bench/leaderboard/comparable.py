"""Which results of a suite stand side by side: same suite, same task, same protocol, same data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bench.data.task import Task, shipped_tasks, suite_names
from bench.discover import members
from bench.leaderboard import against
from bench.leaderboard.at_hand import AtHand
from bench.runs.fingerprint import fingerprint_of
from bench.runs.kept import KeptPlan
from bench.runs.plan import Plan, make_plan, plan_of
from bench.submissions.folder import Results

Cards = Mapping[str, tuple[Task, Path]]
"""Task name -> its card, and the folder where the card's relative paths start."""


@dataclass(frozen=True)
class Comparable:
    """Results that stand side by side, under which plan and fingerprint, and why others do not.

    tasks: every card known here, those of the plan first. at_hand: their data.
    """

    results: dict[str, Results]
    left_out: dict[str, str]
    fingerprint: str
    plan: Plan | None
    tasks: Mapping[str, Task]
    at_hand: AtHand


def of_suite(suite: str, results: Mapping[str, Results], verified: set[str], cards: Cards) -> Comparable:
    """The comparable results of a suite, by encoder.

    Of a shipped suite, those with its fingerprint count. Of one's own, what fits the plan that the newest run kept; on
    each task the newest data. Of any other, the most common fingerprint, as the `verified` have it where there are any.
    """
    plans = {name: result.plan for name, result in results.items() if result.plan}
    if suite in suite_names() or not plans:
        plan = make_plan(suite) if suite in suite_names() else None
        fingerprint = fingerprint_of(plan) if plan else _most_common_print(results, verified)
        left_out = _other_prints(results, fingerprint, official=plan is not None)
    else:
        newest = plans[max(plans, key=lambda name: against.age(results[name]))]
        plan, fingerprint = plan_of(newest), fingerprint_of(plan_of(newest))
        left_out = _other_places(results, plans, newest, fingerprint)
    own_tasks = {name: task for name, (task, _) in cards.items()}
    tasks = {**shipped_tasks(), **own_tasks, **(plan.tasks if plan else {})}
    at_hand = AtHand(tasks, _folders(tasks, results, cards))
    found = Comparable(_without(results, left_out), left_out, fingerprint, plan, tasks, at_hand)
    found = _sifted(found, against.unknown(tasks, members("bench.protocols", "PROTOCOL")))
    found = _sifted(found, against.itself(found.results, at_hand))
    if plan:
        found = _sifted(found, against.other_plan(plan, found.results))
    own = plan is not None and suite not in suite_names()
    data = against.older_data(found.results) if own else against.minority_data(found.results, verified)
    found = _sifted(found, data)
    return _sifted(found, against.minority_labels(found.results, verified))


def _sifted(found: Comparable, why: against.Why) -> Comparable:
    """What is left without the records there is a reason against; an encoder without any left goes altogether."""
    kept, left_out = {}, dict(found.left_out)
    for name, result in found.results.items():
        concerned: dict[str, set[str]] = defaultdict(set)
        good = []
        for record in result.records:
            if reason := why(result, record):
                concerned[reason].add(record.unit.task)
            else:
                good.append(record)
        if good or not concerned:
            kept[name] = replace(result, records=good)
        if concerned:
            told = "; ".join(f"{_few(tasks)}: {reason}" for reason, tasks in sorted(concerned.items()))
            left_out[name] = f"{left_out[name]}; {told}" if name in left_out else told
    return replace(found, results=kept, left_out=left_out)


def _few(tasks: set[str]) -> str:
    return ", ".join(sorted(tasks)[:3]) + (f" and {len(tasks) - 3} more" if len(tasks) > 3 else "")


def _without(results: Mapping[str, Results], left_out: Mapping[str, str]) -> dict[str, Results]:
    return {name: result for name, result in results.items() if name not in left_out}


def _other_places(
    results: Mapping[str, Results], plans: Mapping[str, KeptPlan], newest: KeptPlan, fingerprint: str
) -> dict[str, str]:
    """Results on tasks of another place under the same name, and those that kept no plan and have another print."""
    origin = Path(newest.origin)
    strange = {
        name: f"is of other tasks of this name, in {plan.origin or 'the package'}"
        for name, plan in plans.items()
        if plan.origin != newest.origin and not plan.is_of(origin, newest.base, newest.tasks)
    }
    older = {name: result for name, result in results.items() if name not in plans}
    return strange | _other_prints(older, fingerprint, official=True)


def _most_common_print(results: Mapping[str, Results], verified: set[str]) -> str:
    deciding = [name for name in results if name in verified] or list(results)
    return against.most_common([p for name in deciding for p in _prints(results[name])] or [""])


def _other_prints(results: Mapping[str, Results], fingerprint: str, *, official: bool) -> dict[str, str]:
    why = f"not {fingerprint[:12]}" + (", that of the suite as it is now; run it again" if official else "")
    prints = {name: _prints(result) for name, result in results.items()}
    return {
        name: f"suite fingerprint {', '.join(p[:12] for p in sorted(found))}, {why}"
        for name, found in prints.items()
        if found - {fingerprint}
    }


def _prints(result: Results) -> set[str]:
    return {record.made_by.suite_fingerprint for record in result.records}


def _folders(tasks: Mapping[str, Task], results: Mapping[str, Results], cards: Cards) -> dict[str, Path | None]:
    """Where the data of tasks lie: beside the cards that were given, else where the runs found them."""
    found: dict[str, Path | None] = {}
    same = {name: task.sha256 for name, task in tasks.items()}
    for plan in filter(None, (result.plan for result in results.values())):
        found |= {name: Path(f) for name, f in plan.folders.items() if same.get(name) == plan.tasks[name].sha256}
    return found | {name: folder for name, (task, folder) in cards.items() if same.get(name) == task.sha256}
