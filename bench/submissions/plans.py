"""The plan a submission is checked against: of a shipped suite, of a suite file, or of cards at hand."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from bench.data.task import suite_names
from bench.errors import CardError
from bench.runs.kept import kept_plan
from bench.runs.plan import Plan, make_plan, plan_of
from bench.submissions.folder import Results


def plan_for(result: Results, tasks: Path | None, suites: Mapping[str, Path]) -> Plan:
    """The plan of a submission's suite.

    tasks: one's own cards. suites: name -> suite file of one's own. The cards of one's own runs in `runs/` stand in
    where neither is given. Raises CardError for a suite that none of these tells of.
    """
    name = result.suite
    if name in suites:
        return make_plan(suites[name], tasks)
    if name in suite_names():
        beside = make_plan(name, tasks)  # of own copies of its cards where `tasks` holds them
        return beside if beside.suite.name == name else make_plan(name)
    plan = _of_cards(name, tasks) if tasks else _of_runs(name)
    if plan is None or not {r.unit.key for r in result.records} & plan.keys:
        fix = "pass the folder of its cards with --tasks, and its file, where it has one, with --suite"
        raise CardError(f"unknown suite {name!r}", where=result.folder, fix=fix)
    return plan


def _of_cards(name: str, tasks: Path) -> Plan:
    """One's own cards as the suite `name`: under the usual protocols, or those of the suite its name ends with."""
    base = next((known for known in suite_names() if name.endswith(f"-{known}")), None)
    plan = make_plan(base, tasks)
    return replace(plan, suite=plan.suite.model_copy(update={"name": name}))


def _of_runs(name: str) -> Plan | None:
    kept = (kept_plan(path.parent) for path in sorted(Path("runs").glob(f"*/{name}/plan.json")))
    return next((plan_of(plan) for plan in kept if plan), None)
