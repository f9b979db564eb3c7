"""Does a submission hold exactly the units of its suite, made with the frozen protocols, on the right images?"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.data.budgets import subsets, why_invalid
from bench.data.dataset import TaskData
from bench.errors import UserError
from bench.files import npz_names
from bench.runs.fingerprint import fingerprint_of
from bench.runs.leakage import LEAKAGE
from bench.runs.plan import Plan
from bench.runs.records import Record
from bench.submissions.consistent import contradictions, impossible
from bench.submissions.folder import Results
from bench.submissions.report import VerificationReport


def check_structure(result: Results, plan: Plan, report: VerificationReport) -> None:
    """Suite fingerprint, protocol versions, and no unit missing, foreign or failed."""
    fingerprint = fingerprint_of(plan)
    planned = plan.keys
    found = {record.unit.key for record in result.records}
    other = [r for r in result.records if r.made_by.suite_fingerprint != fingerprint]
    if other:
        report.problems.append(f"{len(other)} records were made with another version of the suite (fingerprint)")
    for record in result.records:
        if reason := _of_record(record, plan, planned):
            report.problems.append(f"{record.unit.key}: {reason}")
    if missing := sorted(planned - found):
        report.problems.append(f"{len(missing)} units of {result.suite} are missing, e.g. {missing[0]}")
    report.problems.extend(strange_files(result, plan))
    report.problems.extend(contradictions(result))
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    if ahead := [r.unit.key for r in result.records if r.made_by.created > tomorrow]:
        report.problems.append(f"{len(ahead)} records are dated in the future, e.g. {ahead[0]}")
    report.checked.append(f"{result.suite}: schema and fingerprint of {len(result.records)} records, none missing")


def _of_record(record: Record, plan: Plan, planned: set[str]) -> str | None:
    if record.unit.key not in planned:
        return f"is not a unit of {plan.suite.name}"
    if record.protocol_sha256 != plan.protocols[record.unit.protocol].sha256_on(plan.tasks[record.unit.task]):
        return f"was made with another version of {record.unit.protocol}"
    if record.scoring != plan.suite.scoring:
        return f"was scored with version {record.scoring} of the metrics, {plan.suite.name} states {plan.suite.scoring}"
    if record.status == "failed":
        return f"failed ({record.reason[:80]!r}); run it again"
    if reason := impossible(record, plan.tasks[record.unit.task]):
        return reason
    if record.status == "done" and record.predictions_sha256 is None:
        return "is done but holds no predictions"
    if record.made_by.checksum_override:
        return "was made on data with another checksum than the card's"
    return None


def check_task(records: list[Record], data: TaskData, plan: Plan) -> Iterator[str]:
    """Problems of one task's records against its data: other images, other label counts, unfounded refusals."""
    task = data.task
    refused_dense = [r for r in records if r.status == "refused" and "no patch grid" in r.reason]
    without_grid = bool(refused_dense) and not any(
        r.status == "done" and plan.protocols[r.unit.protocol].kind == "dense" for r in records
    )
    # Boards of their own (robustness, fine-tuning, zero-shot) need a network, or a text tower, that is at hand; without
    # any result there is no gain.
    done = {r.unit.protocol for r in records if r.status == "done"}
    apart = {name for name, p in plan.protocols.items() if p.board in ("robustness", "fine-tune", "zero-shot")} - done
    for record in records:
        if record.data_sha256 != data.sha256:
            yield f"{record.unit.key}: was made on other images or labels"
            continue
        if strange := sorted(record.leakage.keys() - (LEAKAGE if "site" in data.train.strata else ())):
            yield f"{record.unit.key}: states {strange[0][:40]!r}, which nothing measures of {task.name}"
        why = _refusal(record, data, plan)
        excused = (record in refused_dense and without_grid) or record.unit.protocol in apart
        if record.status == "refused" and why is None and not excused:
            yield f"{record.unit.key}: is refused ({record.reason[:60]!r}), but applies to {task.name}"
        elif record.status == "done" and isinstance(why, str):
            yield f"{record.unit.key}: is done, but does not apply: {why}"
        elif record.status == "done" and record.n_labels != (n := _n_labels(record, data)):
            yield f"{record.unit.key}: states {record.n_labels} labelled images, its budget has {n}"


def strange_arrays(path: Path, records: list[Record], plan: Plan, data: TaskData) -> Iterator[str]:
    """A problem where a file of predictions holds an array that is of no done unit of the task."""
    splits = list(data.tests)
    expected = {
        f"{r.unit.key}/{name}"
        for r in records
        if r.status == "done" and r.unit.protocol in plan.protocols
        for name in plan.protocols[r.unit.protocol].outputs(splits)
    }
    if strange := sorted({name.partition("@bits")[0] for name in npz_names(path)} - expected):
        yield f"{data.task.name}: holds {len(strange)} arrays of no unit, e.g. {ascii(strange[0])[:100]}"


def strange_files(result: Results, plan: Plan) -> Iterator[str]:
    """A problem where files of predictions are of no task of the suite."""
    found = {path for kind in ("predictions", "cases", "condensed") for path in result.folder.glob(f"{kind}/*.npz")}
    if strange := sorted(str(path.relative_to(result.folder)) for path in found if path.stem not in plan.tasks):
        yield f"{result.suite}: holds {len(strange)} files of no task, e.g. {strange[0][:100]!r}"


def _refusal(record: Record, data: TaskData, plan: Plan) -> str | None:
    protocol = plan.protocols[record.unit.protocol]
    if reason := protocol.refuses(data.task) or protocol.refuses_budget(record.unit.budget):
        return reason
    train = data.train
    try:
        drawn = subsets(data.task, train.labels, train.groups, record.unit.budget, [record.unit.seed])[0]
    except UserError as error:
        return error.what
    return why_invalid(data.task, train.labels, drawn)


def _n_labels(record: Record, data: TaskData) -> int:
    train, unit = data.train, record.unit
    return len(subsets(data.task, train.labels, train.groups, unit.budget, [unit.seed])[0].rows)


def check_copies(results: list[Results], others: list[Results], report: VerificationReport) -> None:
    """Predictions that are byte for byte those of an encoder that is already here."""
    known = {r.predictions_sha256: o.card.name for o in others for r in o.records if r.predictions_sha256}
    report.problems += copies([r for result in results for r in result.records], known)


def copies(records: Iterable[Record], known: Mapping[str, str]) -> list[str]:
    """Whose predictions these are, in words. known: hash of predictions -> the encoder that has them."""
    mine = [r.predictions_sha256 for r in records if r.predictions_sha256]
    found = Counter(known[sha256] for sha256 in mine if sha256 in known)
    # A task on which everything is predicted to be background can coincide; a tenth of all units cannot.
    least = max(1, len(mine) // 10)
    return [f"{n} of {len(mine)} predictions are exactly those of {name}" for name, n in found.items() if n > least]
