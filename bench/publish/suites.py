"""One suite: its tasks, boards, results, pictures, verdicts and advice."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bench.analysis.advisor import Answer
from bench.analysis.between import Between, between
from bench.analysis.claim import read_ledger
from bench.analysis.evaluate import evaluate
from bench.analysis.measurement import NotEnough
from bench.analysis.regret import regret_table, said
from bench.analysis.source import shipped_diagnostics
from bench.analysis.table import versions
from bench.leaderboard import known_replicates
from bench.leaderboard.collect import SuiteResults
from bench.leaderboard.volumes import volume_costs
from bench.metrics import SCORING
from bench.publish.answers import answers
from bench.publish.boards import board_views, pairs
from bench.publish.cases import may_show
from bench.publish.from_records import SiteFiles
from bench.publish.model import ClaimView, SuiteView, TaskView
from bench.publish.pictures import pictures
from bench.publish.results import mean_over_seeds
from bench.publish.told import Told, silent
from bench.recipes import FROZEN
from bench.words import Kind


@dataclass(frozen=True, slots=True)
class Judged:
    """What is derived from the results of a suite. fares: how the advice does on tasks it has not seen. between: of
    a suite of synthetic images, whether it orders encoders as real ones do."""

    claims: Sequence[ClaimView]
    advice: Sequence[Answer]
    fares: str
    between: Between | None


def judged(collection: SuiteResults, first: SuiteResults) -> Judged:
    """Verdicts and advice on the results of one collection. first: that of the front page."""
    frame, ledger = collection.frame, {claim.id: claim for claim in read_ledger()}
    verdicts = evaluate(frame, diagnostics=diagnostics(collection)) if len(frame) else []
    main = frame[frame["primary"] & (frame["split"] == "test")]
    told = None
    if collection.synthetic and not first.synthetic:
        told = between(frame, first.frame, first.suite)
    return Judged([ClaimView(ledger[v.id], v) for v in verdicts], answers(main), _fares(main), told)


def diagnostics(collection: SuiteResults) -> pd.DataFrame | None:
    """The label-free diagnostics that are shipped of its encoders, if any."""
    return shipped_diagnostics(collection.suite, collection.cards)


def suite_view(collection: SuiteResults, files: SiteFiles, told: Told = silent) -> SuiteView:
    """What the site shows of one collection but for `judged`; pictures are added to `files`. told: hears of steps."""
    frame = collection.frame
    main = _main(frame)
    card = collection.plan.suite if collection.plan else None
    known = known_replicates(collection, told=told)
    told(f"{collection.suite}: boards and pictures")
    tasks = {name: _task(collection, name, main, files) for name in collection.tasks}
    bare = sum(may_show(view.task) and not view.samples for view in tasks.values())
    if bare:
        told(f"{collection.suite}: no pictures of {bare} tasks, whose images are not here (medssl data prepare)")
    return SuiteView(
        name=collection.suite,
        # Suites of one's own all have the same title; their names are those of their folders.
        title=card.title if card and not collection.origin else collection.suite,
        description=card.description if card else "",
        synthetic=collection.synthetic,
        fingerprint=collection.fingerprint,
        tasks=tasks,
        boards=board_views(collection, known),
        results=mean_over_seeds(frame),
        scoring=int(frame["scoring"].max()) if len(frame) else SCORING,
        main=main,
        pairs=pairs(collection, known.draws),
        left_out=dict(collection.left_out),
        diagnostics=diagnostics(collection),
    )


def _fares(frame: pd.DataFrame) -> str:
    try:
        return said(regret_table(frame))
    except NotEnough as lack:
        return f"How such advice fares on tasks it has not seen cannot be told here: {lack}."


def _main(frame: pd.DataFrame) -> dict[Kind, str]:
    """Kind of task -> the protocol whose results stand for it, in the version that was run."""
    return {kind: name for kind, group in FROZEN.items() for name in versions(frame, [group])}


def _task(collection: SuiteResults, name: str, main: dict[Kind, str], files: SiteFiles) -> TaskView:
    task = collection.tasks[name]
    shown = pictures(collection, task, main.get(task.kind))
    files.bytes |= shown.files
    costs = volume_costs(collection.results, {name})
    return TaskView(task, shown.sizes, shown.anchors, shown.samples, shown.cases, costs)
