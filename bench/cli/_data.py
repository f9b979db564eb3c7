"""How `medssl data` prints."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from bench.cli._print import err, now_and_then, out, print_table, progress_bar
from bench.data.check import DataReport
from bench.data.fetch import Coming, Fetched
from bench.data.prepare import Prepared
from bench.data.propose import Proposal
from bench.data.status import Status
from bench.data.survey import Survey


@contextmanager
def transfer_bar(quiet: bool = False) -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar for each file that is under way, on standard error."""
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=err, disable=quiet) as bars:
        known: dict[str, TaskID] = {}

        def step(name: str, here: int, whole: int | None) -> None:
            if name not in known:
                known[name] = bars.add_task(escape(name))
            bars.update(known[name], completed=here, total=whole)

        yield step


@contextmanager
def counting_bar(what: str, total: int) -> Iterator[Callable[[str, int | None], None]]:
    """A bar that moves on with each task that is done, on standard error; a line now and then when that is no terminal.

    It is called with a task and the images of it that are done, None for all.
    """

    if not err.is_terminal:
        told = now_and_then()

        def said(name: str, images: int | None = None) -> None:
            told(f"{what}: {_state(name, images)}")

        yield said
        return
    with progress_bar() as bars:
        bar = bars.add_task(what, total=total)

        def moved(name: str, images: int | None = None) -> None:
            bars.update(bar, advance=images is None, description=f"{what}: {escape(_state(name, images))}")

        yield moved


def _state(name: str, images: int | None) -> str:
    return f"{name} {'done' if images is None else f'{images:,} images'}"


def show_coming(coming: Sequence[Coming]) -> None:
    """A table of what is to be downloaded, and a sum."""
    rows = [{"file or repository": c.name, "to download": _megabytes(c.bytes), "": c.note} for c in coming]
    print_table("To fetch", rows, right=["to download"])
    known, unknown = [c.bytes for c in coming if c.bytes], sum(c.bytes is None for c in coming)
    told = f"{sum(known) / 1e9:.2f} GB to download in {len(known)} files; {sum(c.bytes == 0 for c in coming)} are here"
    out.print(told + (f"; of {unknown} the size is not known beforehand" if unknown else ""))


def _megabytes(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 1e6:,.1f} MB"


def show_fetched(done: Sequence[Fetched]) -> None:
    """One line a file, and a sum."""
    for d in done:
        text = d.problem if d.status == "failed" else f"{d.name}: {d.status}"
        marked = " (another checksum than the card's, accepted)" if d.override else ""
        (err if d.status == "failed" else out).print(escape(text + marked), soft_wrap=True)
    failed = sum(d.status == "failed" for d in done)
    out.print(f"{len(done) - failed} of {len(done)} files are here")


def show_prepared(outcomes: Sequence[Prepared]) -> int:
    """One line a task; returns the number that failed."""
    for outcome in outcomes:
        if outcome.problem:
            err.print(escape(outcome.problem), soft_wrap=True)
            continue
        counts = ", ".join(f"{split} {n:,}" for split, n in outcome.images.items())
        out.print(escape(f"{outcome.task}: {counts}"))
        for note in outcome.notes:
            out.print(escape(f"  {note}"), soft_wrap=True)
    return sum(bool(outcome.problem) for outcome in outcomes)


def show_status(rows: Sequence[Status]) -> None:
    """One table."""
    shown = [
        {
            "name": row.task,
            "file": row.file,
            "prepared": f"{row.bytes / 1e9:.2f} GB" if row.prepared else "no",
            "problem": row.problem,
        }
        for row in rows
    ]
    print_table(f"{sum(row.prepared for row in rows)} of {len(rows)} tasks are prepared", shown, right=("prepared",))


def show_report(report: DataReport) -> None:
    """Counts, then problems, then notes, each with examples."""
    counts = ", ".join(f"{split} {n:,}" for split, n in report.images.items())
    verdict = "no problem found" if report.ok else "has problems"
    out.print(escape(f"{report.task}: {verdict}" + (f" ({counts})" if counts else "")), soft_wrap=True)
    for finding in sorted(report.findings, key=lambda f: f.severity != "problem"):
        out.print(escape(f"  {finding.severity}: {finding.message}"), soft_wrap=True)
        for example in finding.examples:
            out.print(escape(f"    {example}"), soft_wrap=True)


def show_survey(seen: Survey, made: Proposal, card: Path) -> None:
    """What lies in a folder, what was chosen for it, and how to go on."""
    seen, depth = made.seen, made.depth or made.seen.depth
    pixels = ""
    if seen.sizes:
        (w, h), _ = seen.sizes.most_common(1)[0]
        pixels = f"{w} x {h}" + (f" and {len(seen.sizes) - 1} other sizes" if len(seen.sizes) > 1 else "")
        pixels += f", {'colour' if seen.colour else 'grey'}, "
    lines = {
        "files": ", ".join(f"{n:,} {kind}" for kind, n in seen.kinds.most_common()) or f"{len(seen.arrays)} NPZ",
        "pixels": f"{pixels}values {depth.low:g} to {depth.high:g}{' (Hounsfield units)' if depth.hounsfield else ''}",
        "slices": "" if max(seen.frames, default=1) == 1 else f"{min(seen.frames)} to {max(seen.frames)} a file",
        "patients": "" if seen.patients is None else f"{seen.patients:,}, by PatientID",
        "classes": ", ".join(made.card["classes"]),
        "images": ", ".join(f"{name} {n:,}" for name, n in made.splits.items()),
        "not read": seen.unread,
    }
    for name, line in lines.items():
        if line:
            out.print(f"{name:9} {line}", markup=False, highlight=False, soft_wrap=True)
    for line in (*made.chosen, *seen.skipped[:5]):
        out.print(f"- {line}", markup=False, highlight=False, soft_wrap=True)
    where = quote(str(card.parent))
    out.print(f"Wrote {card}", markup=False, highlight=False, soft_wrap=True)
    for line in (f"medssl data check {quote(str(card))}", f"medssl run raw-pixels --tasks {where}"):
        out.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
