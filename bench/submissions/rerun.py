"""Recompute units of a submission from its weights."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from bench.checks.cost import flops_per_image
from bench.data.dataset import TaskData
from bench.data.load import load_task
from bench.encoders.base import Encoder
from bench.encoders.load import load_encoder
from bench.errors import EncoderError, UserError
from bench.features.device import place
from bench.identity import Measure
from bench.runs.fingerprint import fingerprint_of
from bench.runs.journal import kept_probe
from bench.runs.plan import Plan
from bench.runs.records import Record
from bench.runs.score_task import Setting, score_task
from bench.submissions.compare import compare
from bench.submissions.folder import Results
from bench.submissions.fresh import missing_on_fresh
from bench.submissions.memoriser import looks
from bench.submissions.nudged import Differences, qualities
from bench.submissions.report import VerificationReport

TOLERANCE = 5e-3
"""A score rerun from the same weights on another machine may differ by this much."""
SAME_FLOPS = 0.02
"""Share by which a count of FLOPs may differ: versions of torch count some operations differently."""
OFF = 1.5
"""Factor by which a temperature may differ: near 1, where it hardly matters, the last digits decide if it is used."""
SITES = 0.02
"""By which what features know of sites may differ: some images have other neighbours on another machine."""
LOOKED_AT = 2
"""Tasks whose images are shown to the encoder mirrored and changed."""
ONLY_RESCORED = "verify it with --rescore: nobody else can tell what its features hold"


def check_rerun(
    folder: Path,
    result: Results,
    plan: Plan,
    report: VerificationReport,
    *,
    keys: set[str],
    lot: str,
    trust_code: bool = False,
) -> None:
    """Rerun the units `keys`: what the encoder is and costs, scores, and predictions case by case.

    lot: drawn after the submission was fixed, as the units were (`bench.submissions.sampling`).
    """
    wanted = {r.unit.key: r for r in result.records if r.status == "done" and r.unit.key in keys}
    try:
        encoder = place(load_encoder(folder, trust_code=trust_code), precision="fp32")
        if encoder.precomputed:
            raise EncoderError("holds features, not the network that made them", fix=ONLY_RESCORED)
        check_encoder(result, encoder, report)
        setting = Setting("medssl verify", result.suite, fingerprint_of(plan), scoring=plan.suite.scoring)
        check_identity(result, Measure(encoder, lambda found: kept_probe(result.folder, found) or found), plan, report)
        differences = Differences()
        for name, task in plan.tasks.items():
            units = [unit for unit in plan.units(task) if unit.key in wanted]
            if not units:
                continue
            data = load_task(task, folder=plan.folders[name])
            sent = qualities(result.folder, data, [wanted[unit.key] for unit in units])
            for fresh, outputs in score_task(
                encoder, task, plan.folders[name], units, dict(plan.protocols), (), setting
            ):
                record = wanted[fresh.unit.key]
                compare(record, fresh.metrics, TOLERANCE, report, primary_only=True)
                differences.add(record, fresh, sent.get(record.unit.key), outputs.get("test"), data)
                report.problems += [*_otherwise_scaled(record, fresh), *_otherwise_told(record, fresh)]
                report.rerun += 1
        report.problems += differences.problems()
        for look in looks(encoder, _looked_at(plan, wanted.values()), [lot]):
            report.problems += look.problems()
            report.alarms += look.alarms()
        report.problems += missing_on_fresh(encoder, plan, wanted.values(), setting, lot)
    except UserError as error:
        report.problems.append(f"cannot be rerun: {error}")
    report.checked.append(f"{result.suite}: {report.rerun} units rerun from the weights, predictions compared")


def _otherwise_scaled(sent: Record, fresh: Record) -> list[str]:
    """A problem where probabilities were scaled otherwise than validation chooses: their calibration rests on it."""
    before, now = (record.chosen.get("temperature", 1.0) for record in (sent, fresh))
    if isinstance(before, str) or isinstance(now, str) or now / OFF <= before <= OFF * now:
        return []
    return [f"{sent.unit.key}: states a temperature of {before:.3g}, {now:.3g} was chosen here"]


def _otherwise_told(sent: Record, fresh: Record) -> Iterator[str]:
    """A problem where a record states other settings than were chosen, or knows sites otherwise than its features do.

    The values of settings may differ: where two do about as well, the last digits decide.
    """
    before, now = ({n: isinstance(v, str) for n, v in r.chosen.items() if n != "temperature"} for r in (sent, fresh))
    if before != now:
        names = (", ".join(sorted(found))[:80] or "nothing" for found in (before, now))
        yield "{}: states a choice of {}, chosen here was {}".format(sent.unit.key, *names)
    if sent.leakage.keys() != fresh.leakage.keys():
        yield f"{sent.unit.key}: states other measures of its sites than were measured here"
    for name in sent.leakage.keys() & fresh.leakage.keys():
        if abs((stated := sent.leakage[name].value) - (found := fresh.leakage[name].value)) > SITES:
            yield f"{sent.unit.key}: {name} is {stated:.3f} as sent, {found:.3f} rerun"


def _looked_at(plan: Plan, records: Iterable[Record]) -> list[TaskData]:
    """Data of the tasks with one class an image on which the best scores were rerun, LOOKED_AT at most."""
    found = {r.unit.task: r.primary.value for r in records if r.primary and plan.tasks[r.unit.task].kind == "global"}
    best = sorted((name for name in found if plan.tasks[name].target != "multi-label"), key=lambda n: -found[n])
    return [load_task(plan.tasks[name], folder=plan.folders[name]) for name in best[:LOOKED_AT]]


def check_encoder(result: Results, encoder: Encoder, report: VerificationReport) -> None:
    """A problem for each way in which weights, parameters or FLOPs in the records are not the encoder's."""
    flops, found = flops_per_image(encoder), Counter[str]()
    hidden = [r for r in result.records if r.status == "done" and r.cost.flops_per_image is None]
    if hidden and flops is not None:
        report.alarms.append(f"{len(hidden)} records state no FLOPs an image, counted are {flops:,}")
    for record in result.records:
        if record.weights_sha256 != encoder.weights_sha256:
            found[f"weights {_short(record.weights_sha256)}, loaded are {_short(encoder.weights_sha256)}"] += 1
        if record.status == "done" and record.cost.parameters != encoder.parameters:
            found[f"{record.cost.parameters:,} parameters, the encoder has {encoder.parameters:,}"] += 1
        if record.status == "done" and not _same(record.cost.flops_per_image, flops):
            found[f"{record.cost.flops_per_image} FLOPs an image, counted are {flops}"] += 1
    report.problems += [
        f"{'1 record states' if n == 1 else f'{n} records state'} {what}" for what, n in sorted(found.items())
    ]


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"


def _same(sent: int | None, here: int | None) -> bool:
    """Whether two counts of FLOPs agree; what is not countable on one side (other versions) says nothing."""
    return sent is None or here is None or abs(sent - here) <= SAME_FLOPS * here


def check_identity(result: Results, measure: Measure, plan: Plan, report: VerificationReport) -> None:
    """A problem for each way in which the encoder that is loaded is not the one the records were made with."""
    found = Counter[str]()
    for record in result.records:
        if record.identity is not None:
            dense = plan.protocols[record.unit.protocol].reads_grid
            found.update(record.identity.encoder_changes(measure, record.unit.task, dense, executed=False))
    report.problems += [
        f"{'1 unit was' if n == 1 else f'{n} units were'} made with another encoder than is loaded: {why}"
        for why, n in found.items()
    ]
