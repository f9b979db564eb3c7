"""What a maintainer checks before a submission's numbers go on a board. Nothing that arrives is executed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from bench import __version__
from bench.data.task import read_suite
from bench.errors import SubmissionError, UserError
from bench.submissions import rerun as rerunning
from bench.submissions import rescore as rescoring
from bench.submissions.badge import (
    BadgeFile,
    RefusalFile,
    badge_of,
    contents_sha256,
    write_badge,
    write_refusal,
)
from bench.submissions.compare import TOLERANCE, check_absent_metrics
from bench.submissions.folder import Results, encoder_folders, read_results
from bench.submissions.intake import inspect
from bench.submissions.plans import plan_for
from bench.submissions.report import Report
from bench.submissions.structure import check_copies, check_structure
from bench.words import Badge

SHOWN = 40
"""Problems that are kept and printed: a spoilt submission can have thousands."""
_RANK: tuple[Badge, ...] = get_args(Badge)


def verify(
    folder: Path,
    *,
    rescore: bool = False,
    rerun: bool = False,
    sample: int | None = None,
    seed: int | None = None,
    tasks: Path | None = None,
    suites: Sequence[Path] = (),
    against: Sequence[Path] = (),
    trust_code: bool = False,
) -> Report:
    """Check a submission; write its badge when nothing is wrong, else the problems beside the one it may have.

    rescore: recompute every metric and interval from the predictions. rerun: recompute from the weights, all
    units or `sample` random ones drawn with `seed` (by default the system's, which an author cannot know).
    tasks, suites: the maintainer's own task cards and suite files, for results on what is not shipped.
    against: folders of accepted submissions, whose predictions must not come back under another name.
    Problems are gathered in the report; only a folder that cannot be read at all raises SubmissionError, CardError.
    """
    report = Report(folder)
    inspect(folder)
    came = badge_of(folder)
    results = list(read_results(folder))
    if not results:
        raise SubmissionError("holds no results (<suite>/records.jsonl)", where=folder)
    if results[0].card.name != folder.name:
        report.problems.append(f"the folder must be called like the encoder, {results[0].card.name!r}")
    check_copies(results, _others(results[0].card.name, against), report)
    own = {read_suite(path).name: path for path in suites}
    for result in results:
        plan = plan_for(result, tasks, own)
        check_structure(result, plan, report)
        if report.accepted:
            rescoring.check_predictions(result, plan, report, rescore=rescore)
        if (rerun or sample) and report.accepted:
            rerunning.check_rerun(folder, result, plan, report, sample=sample, seed=seed, trust_code=trust_code)
    check_absent_metrics(report)
    rerun_too = rerun or sample is not None
    if report.accepted and (rerun_too or (rescore and not report.unchecked)):
        report.badge = "reproduced" if rerun_too else "rescored"
        _sign(report)
    elif report.accepted and rescore:
        report.checked.append("no badge: units without predictions ask for --rerun or --sample")
    if _RANK.index(report.badge) < _RANK.index(came):
        report.alarms.append(f"came with the badge {came!r}, of which this verification shows only {report.badge!r}")
    if not report.accepted:
        _refuse(report)
    return report


def _others(name: str, roots: Sequence[Path]) -> list[Results]:
    """Readable results of other encoders below `roots`."""
    found: list[Results] = []
    for folder in (f for root in roots for f in encoder_folders(root)):
        try:
            found.extend(r for r in read_results(folder) if r.card.name != name)
        except UserError:
            continue
    return found


def _refuse(report: Report) -> None:
    contents, now = contents_sha256(report.folder), datetime.now(UTC).isoformat(timespec="seconds")
    problems = report.problems[:SHOWN]
    write_refusal(
        report.folder, RefusalFile(contents_sha256=contents, verified=now, medssl=__version__, problems=problems)
    )


def _sign(report: Report) -> None:
    reproduced = report.badge == "reproduced"
    write_badge(
        report.folder,
        BadgeFile(
            badge=report.badge,
            contents_sha256=contents_sha256(report.folder),
            verified=datetime.now(UTC).isoformat(timespec="seconds"),
            medssl=__version__,
            units=report.units,
            tolerance=rerunning.TOLERANCE if reproduced else TOLERANCE,
            largest_difference=report.largest_difference,
        ),
    )
