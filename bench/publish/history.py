"""Versions of the boards: a snapshot of each, what changed between two, and the feed that tells.

The published `data/history.json` holds every earlier version, so the site itself is the archive: the next build reads
it (`medssl site build --history`), and a view that was cited keeps its numbers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from bench.leaderboard.board import BoardRow
from bench.publish.model import SiteView
from bench.publish.snapshots import BoardSnapshot, History, Snapshot, Standing
from bench.recipes import AGGREGATION

EVERY = "every board"
"""In place of a board: a change of the whole suite."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that differs between two versions of a board."""

    kind: Literal["added", "removed", "tier", "score", "badge", "suite"]
    suite: str
    board: str
    encoder: str
    text: str


def snapshot(view: SiteView) -> Snapshot:
    """The boards of a site as they stand; rows of the reader's own runs are left out."""
    boards = []
    for suite in view.suites:
        for board in suite.boards:
            rows = [_standing(view, row) for row in board.rows if not view.encoders[row.encoder].local]
            boards.append(
                BoardSnapshot(
                    suite=suite.name,
                    suite_title=suite.title,
                    fingerprint=suite.fingerprint,
                    aggregation=AGGREGATION,
                    board=board.name,
                    rows=rows,
                )
            )
    newest = {w.encoder: w.text for w in reversed(view.withdrawn)}  # of several withdrawn versions the newest tells why
    return Snapshot(data=view.fingerprint, date=view.date, medssl=view.version, boards=boards, withdrawn=newest)


def _standing(view: SiteView, row: BoardRow) -> Standing:
    e = view.encoders[row.encoder]
    return Standing(
        encoder=row.encoder, version=e.card.version, title=e.title, badge=e.badge, score=row.score,
        low=row.low, high=row.high, rank=row.rank, rank_low=row.rank_low, rank_high=row.rank_high, tier=row.tier,
    )  # fmt: skip


def extended(history: History, now: Snapshot) -> History:
    """The history with `now` as its last version; unchanged when `now` holds the data of the last one."""
    if history.versions and history.versions[-1].data == now.data:
        return History(versions=[*history.versions[:-1], now])
    return History(versions=[*history.versions, now])


def changes(old: Snapshot, new: Snapshot) -> list[Change]:
    """What differs: rows added or removed (with the reason), tiers moved, scores and badges changed."""
    before = {(b.suite, b.board): b for b in old.boards}
    after = {(b.suite, b.board): b for b in new.boards}
    found = []
    for key in sorted(before.keys() | after.keys()):
        if key in before and key in after and (text := _not_comparable(before[key], after[key])):
            moved = Change("suite", key[0], EVERY, "", f"{text}; scores are not comparable.")
            found += [moved] if moved not in found else []
            continue
        found += _board_changes(key, _rows(before.get(key)), _rows(after.get(key)), new.withdrawn)
    return found


def _not_comparable(old: BoardSnapshot, new: BoardSnapshot) -> str:
    """What was changed under a board's rows, or nothing."""
    if old.fingerprint != new.fingerprint:
        return f"The suite changed ({old.fingerprint[:12]} to {new.fingerprint[:12]})"
    if old.aggregation != new.aggregation:
        return f"Scores are averaged in another way (version {old.aggregation} to {new.aggregation})"
    return ""


def _rows(board: BoardSnapshot | None) -> dict[str, Standing]:
    return {} if board is None else {row.encoder: row for row in board.rows}


def _board_changes(
    key: tuple[str, str], old: Mapping[str, Standing], new: Mapping[str, Standing], withdrawn: Mapping[str, str]
) -> list[Change]:
    found = []
    for name in sorted(new.keys() - old.keys()):
        place = "as a reference" if new[name].tier is None else f"in tier {new[name].tier}"
        found.append(Change("added", *key, name, f"{new[name].title} added {place}, score {_score(new[name])}."))
    for name in sorted(old.keys() - new.keys()):
        why = withdrawn.get(name, "no reason given")
        found.append(Change("removed", *key, name, f"{old[name].title} withdrawn: {why}."))
    for name in sorted(old.keys() & new.keys()):
        found += _row_changes(key, old[name], new[name])
    return found


def _row_changes(key: tuple[str, str], old: Standing, new: Standing) -> list[Change]:
    found = []
    if abs((old.score or 0) - (new.score or 0)) > 1e-9 or (old.score is None) != (new.score is None):
        why = f"version {old.version} to {new.version}" if old.version != new.version else "the results were replaced"
        found.append(Change("score", *key, new.encoder, f"{new.title}: score {_score(old)} to {_score(new)} ({why})."))
    if old.tier != new.tier:
        moved = f"tier {_tier(old.tier)} to {_tier(new.tier)}, rank {_tier(old.rank)} to {_tier(new.rank)}"
        found.append(Change("tier", *key, new.encoder, f"{new.title}: {moved}."))
    if old.badge != new.badge:
        found.append(Change("badge", *key, new.encoder, f"{new.title}: {old.badge} to {new.badge}."))
    return found


def _score(row: Standing) -> str:
    return "none" if row.score is None else f"{row.score:z.3f}"


def _tier(value: int | None) -> str:
    return "none" if value is None else str(value)


def atom(versions: Sequence[tuple[Snapshot, list[Change]]], *, base: str) -> str:
    """An Atom feed, newest first: one entry a version with its changes. `base`: address of the site, may be empty."""
    updated = versions[0][0].date if versions else "1970-01-01T00:00:00Z"
    entries = "".join(_entry(snap, found, base) for snap, found in versions)
    return (
        '<?xml version="1.0" encoding="utf-8"?>\n<feed xmlns="http://www.w3.org/2005/Atom">\n'
        "  <title>medssl-bench: changes of the boards</title>\n  <id>urn:medssl-bench:changes</id>\n"
        f"  <updated>{escape(updated)}</updated>\n  <author><name>medssl-bench</name></author>\n"
        f'  <link rel="self" href="{escape(base)}feed.xml"/>\n  <link href="{escape(base)}changes.html"/>\n'
        f"{entries}</feed>\n"
    )


def _entry(snap: Snapshot, found: list[Change], base: str) -> str:
    lines = "\n".join(f"{c.board} ({c.suite}): {c.text}" for c in found) or "First version."
    return (
        f"  <entry>\n    <title>Data {snap.data[:12]}: {len(found)} changes</title>\n"
        f"    <id>urn:medssl-bench:data:{snap.data}</id>\n    <updated>{escape(snap.date)}</updated>\n"
        f'    <link href="{escape(base)}changes.html#{snap.data[:12]}"/>\n'
        f'    <content type="text">{escape(_printable(lines))}</content>\n  </entry>\n'
    )


def _printable(text: str) -> str:
    """Without the control characters that XML forbids."""
    return "".join(c for c in text if c == "\n" or c.isprintable())
