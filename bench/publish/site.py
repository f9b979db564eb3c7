"""Building the site from what is on disk: submissions, and runs of one's own."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from bench.errors import UserError
from bench.leaderboard.collect import SuiteResults, collect, default_roots
from bench.publish.from_records import SiteFiles, site_view
from bench.publish.snapshots import History, read_history
from bench.publish.told import Told, silent
from bench.publish.writer import write_site
from bench.submissions.folder import result_folders
from bench.submissions.withdrawn import Withdrawal, read_withdrawals


class Built(NamedTuple):
    """A site. page: its front. suites: with results on it. local: those with results of one's own. left_out: folder of
    results -> why. files, megabytes: its size."""

    page: Path
    suites: tuple[str, ...]
    local: tuple[str, ...]
    left_out: Mapping[Path, str]
    files: int
    megabytes: float


def build(
    collections: Mapping[str, SuiteResults],
    out: Path,
    *,
    history: History | None = None,
    base: str = "",
    repository: str = "",
    withdrawn: Sequence[Withdrawal] = (),
    jobs: int = 1,
    told: Told = silent,
) -> Path:
    """Write the site of some collections to the folder `out`, whole or not at all; returns its front page.

    history: earlier versions of the boards, which stay in the archive. base, repository: addresses of the site to be
    and of its sources. withdrawn: what was taken back. jobs: processes at work, 1 or 2. told: hears of each step.
    Raises RunError when `out` holds something else than a site.
    """
    files = SiteFiles()
    view = site_view(
        collections, files, history=history, base=base, repository=repository, withdrawn=withdrawn, jobs=jobs,
        told=told,
    )  # fmt: skip
    write_site(view, out, files=files.bytes, jobs=jobs, told=told)
    return out / "index.html"


def build_from(
    out: Path,
    *,
    records: Sequence[Path] = (),
    submissions: Sequence[Path] = (),
    tasks: Path | None = None,
    history: Path | None = None,
    base: str = "",
    repository: str = "",
    jobs: int = 1,
    told: Told = silent,
) -> Built:
    """`build` from folders: `submissions` (default: submissions/), and runs shown as local (`records`, default: runs/).

    A folder of results that cannot be used is left out. Raises CardError, UserError (history), RunError.
    """
    roots, local = default_roots()
    told("reading results")
    local = [folder for folder in local if result_folders(folder)]
    found = collect(submissions or roots, local=records or ([] if submissions else local), tasks=tasks)
    if submissions and not records:
        found.left_out |= dict.fromkeys(local, "runs of your own; beside --submissions only --records shows them")
    base = base if not base or base.endswith("/") else base + "/"
    earlier = read_history(history) if history else None
    repository = _https(repository)
    back = read_withdrawals(submissions or roots)
    page = build(found, out, history=earlier, base=base, repository=repository, withdrawn=back, jobs=jobs, told=told)
    sizes = [path.stat().st_size for path in out.rglob("*") if path.is_file()]
    own = tuple(name for name, c in found.items() if c.local)
    return Built(page, tuple(found), own, found.left_out, len(sizes), sum(sizes) / 1e6)


def _https(address: str) -> str:
    """The address without its last slash. Raises UserError for one that is not a plain https address."""
    if address and not re.fullmatch(r"https://[\w.-]+(/[\w.~-]+)*/?", address):
        raise UserError(f"--repository is {address[:200]!r}", fix="give the https address of the repository")
    return address.rstrip("/")
