"""What a maintainer checks before a submission's numbers go on a board. Nothing that arrives is executed."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.data.task import read_suite
from bench.encoders.card import read_card
from bench.errors import SubmissionError, UserError
from bench.runs.journal import records_file
from bench.runs.plan import Plan
from bench.submissions import rerun as rerunning
from bench.submissions.alike import claims, near_predictions, near_weights, same_title, withdrawn_before
from bench.submissions.badge import RANK, Coverage, Verification, contents_sha256, verdict_of, write_verdicts
from bench.submissions.compare import TOLERANCE, check_absent_metrics
from bench.submissions.encoder import NO_WEIGHTS, check_contract, why_not_run
from bench.submissions.folder import Results, encoder_folders, read_result, read_results
from bench.submissions.intake import inspect
from bench.submissions.plans import plan_for
from bench.submissions.report import VerificationReport
from bench.submissions.rescore import check_predictions
from bench.submissions.sampling import draw, enough, lot
from bench.submissions.stored import read_stored, whole
from bench.submissions.structure import check_copies, check_structure
from bench.version import __version__

SHOWN = 40
"""Problems that are kept and printed: a spoilt submission can have thousands."""


@dataclass(frozen=True)
class Asked:
    """What a verification is to do.

    rescore: recompute every metric and interval from what was sent; a rerun implies it. rerun: recompute from the
    weights, all units or `sample` of them (0: as many as the badge takes), drawn by the submission's bytes and `nonce`.
    """

    rescore: bool = False
    rerun: bool = False
    sample: int | None = None
    nonce: str = ""
    trust_code: bool = False

    @property
    def reruns(self) -> bool:
        """Whether any unit is to be run again."""
        return self.rerun or self.sample is not None


def verify(
    folder: Path,
    *,
    rescore: bool = False,
    rerun: bool = False,
    sample: int | None = None,
    nonce: str = "",
    tasks: Path | None = None,
    suites: Sequence[Path] = (),
    against: Sequence[Path] = (),
    trust_code: bool = False,
    store: str | None = None,
) -> VerificationReport:
    """Check a submission; write what was found into `badges.jsonl` beside it.

    rescore, rerun, sample, nonce, trust_code: as in `Asked`; the nonce is drawn here by default, which an author cannot
    know. tasks, suites: the maintainer's own task cards and suite files, for results on what is not shipped.
    against: folders of accepted submissions, whose predictions must not come back under another name.
    store: folder or web address that holds the weights which the submission left out (bench.submissions.stored).
    Problems are gathered in the report; only a folder that cannot be read at all raises SubmissionError, CardError.
    """
    asked = Asked(rescore or rerun or sample is not None, rerun, sample, nonce or secrets.token_hex(16), trust_code)
    inspect(folder)
    if asked.reruns and store is None and (stored := read_stored(folder)):
        fix = f"--store names the folder or address that holds them (its author says: {stored.address or 'nothing'})"
        raise SubmissionError("its weights lie in a store", where=folder, fix=fix)
    if asked.reruns and store is None and why_not_run(folder, read_card(folder), fetch=True) == NO_WEIGHTS:
        fix = "--rescore checks what was sent; 'medssl submit --with-weights' or '--store' sends them"
        raise SubmissionError("came without weights, so nothing of it can be run again", where=folder, fix=fix)
    with nullcontext(folder) if store is None else whole(folder, store) as place:
        report, verdicts = _verified(place, asked, tasks, suites, against)
    report.folder = folder
    if asked.rescore or not report.accepted:
        write_verdicts(folder.parent, lambda: [_standing(v, folder, report) for v in verdicts])
    return report


def _verified(
    folder: Path, asked: Asked, tasks: Path | None, suites: Sequence[Path], against: Sequence[Path]
) -> tuple[VerificationReport, list[Verification]]:
    """What is found in a submission, and what of each suite was established."""
    report = VerificationReport(folder)
    inspect(folder)
    results = list(read_results(folder))
    if not results:
        raise SubmissionError("holds no results (<suite>/records.jsonl)", where=folder)
    if results[0].card.name != folder.name:
        report.problems.append(f"the folder must be called like the encoder, {results[0].card.name!r}")
    others = _others(results[0].card.name, against, {result.suite for result in results})
    check_copies(results, others, report)
    report.alarms += [*claims(results[0].card, results), *same_title(results[0].card, others)]
    report.alarms += [alarm for result in results for alarm in near_predictions(result, others)]
    report.alarms += near_weights(
        folder, [f for root in against for f in encoder_folders(root) if f.name != folder.name]
    )
    report.alarms += withdrawn_before(results[0].card, against)
    held = check_contract(folder, results[0].card, report, trust_code=asked.trust_code, fetch=asked.reruns)
    own = {read_suite(path).name: path for path in suites}
    verdicts = [_verify_suite(folder, result, plan_for(result, tasks, own), asked, held, report) for result in results]
    report.badge = min((v.badge for v in verdicts), key=RANK.index) if report.accepted else "declared"
    return report, verdicts


def _verify_suite(
    folder: Path, result: Results, plan: Plan, asked: Asked, held: str, report: VerificationReport
) -> Verification:
    """Check the results on one suite, add what was found to `report`, and say what was established.

    held: what became of the encoder's contract.
    """
    one, contents = VerificationReport(folder), contents_sha256(folder, result.suite)
    done = [record.unit.key for record in result.records if record.status == "done"]
    one.done = len(done)
    check_structure(result, plan, one)
    if one.accepted and report.accepted:
        check_predictions(result, plan, one, rescore=asked.rescore)
        check_absent_metrics(one)
    if asked.reruns and one.accepted and report.accepted:
        n = len(done) if asked.rerun else asked.sample or enough(len(done))
        drawn = lot(contents, asked.nonce)
        keys = set(draw(done, n, drawn))
        rerunning.check_rerun(folder, result, plan, one, keys=keys, lot=drawn, trust_code=asked.trust_code)
    covers = Coverage(
        units=one.done, rescored=one.units, primary=one.condensed, rerun=one.rerun, whole=asked.rescore, contract=held
    )
    if asked.rescore and one.accepted:
        one.checked.append(f"{result.suite}: {covers.text}; {_short_of(covers)}")
    report.add(one)
    return Verification(
        encoder=result.card.name,
        suite=result.suite,
        contents_sha256=contents,
        badge=covers.badge,
        covers=covers,
        nonce=asked.nonce if asked.reruns else "",
        verified=datetime.now(UTC).isoformat(timespec="seconds"),
        medssl=__version__,
        tolerance=rerunning.TOLERANCE if one.rerun else TOLERANCE,
        largest_difference=one.largest_difference,
    )


def _short_of(covers: Coverage) -> str:
    """What the next badge takes."""
    return covers.badge if covers.badge == RANK[-1] else f"{RANK[-1]} takes {enough(covers.units):,} units run again"


def _standing(fresh: Verification, folder: Path, report: VerificationReport) -> Verification:
    """What is written down: a refusal keeps the badge that stood for these bytes, a weaker check does not lower it."""
    before = verdict_of(folder, fresh.suite)
    if not report.accepted:
        return (before or fresh.model_copy(update={"badge": "declared"})).model_copy(
            update={"problems": [problem[:500] for problem in report.problems[:SHOWN]], "verified": fresh.verified}
        )
    if before and not before.problems and RANK.index(before.badge) > RANK.index(fresh.badge):
        report.alarms.append(f"{fresh.suite}: an earlier check of the same bytes stands, {before.badge}: {before.text}")
        return before
    return fresh


def _others(name: str, roots: Sequence[Path], suites: set[str]) -> list[Results]:
    """Readable results of other encoders below `roots` on the same suites: no others hold such predictions."""
    found: list[Results] = []
    for folder in (f for root in roots for f in encoder_folders(root)):
        for suite in sorted(suites):
            with suppress(UserError):
                if records_file(folder / suite) and (other := read_result(folder / suite)).card.name != name:
                    found.append(other)
    return found
