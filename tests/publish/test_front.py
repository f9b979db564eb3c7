"""The front page: what leads, how sure that is, and what kind of encoders these are."""

from __future__ import annotations

from dataclasses import replace

from bench.analysis.advisor import TINY
from bench.analysis.verdict import Verdict
from bench.publish.model import ClaimView
from bench.publish.pages.board import front_page
from bench.publish.pages.claims import headline
from bench.publish.pages.encoder import trust
from bench.submissions import badge


def test_the_result_says_who_leads_and_whether_that_is_more_than_chance(view):
    suite, board = view.suites[0], view.suites[0].boards[0]
    ranked = [r for r in board.rows if r.rank is not None]
    said = front_page(view, suite, board)
    assert view.encoders[ranked[0].encoder].title in said["result"]
    assert f"{ranked[0].score:.3f}" in said["result"]
    tied = sum(r.tier == 1 for r in ranked) - 1
    alone = replace(board, rows=tuple(r.model_copy(update={"tier": r.rank, "rank_high": r.rank}) for r in board.rows))
    assert f"but {tied} other" in said["result"]
    assert "than the choice of test images explains" in front_page(view, suite, alone)["result"]
    unsure = replace(alone, rows=tuple(r.model_copy(update={"rank_low": 1, "rank_high": 2}) for r in alone.rows))
    said_unsure = front_page(view, suite, unsure)["result"]
    assert "with test images drawn anew it ranks 1–2" in said_unsure
    assert "than the choice of test images explains" not in said_unsure
    assert "synthetic images" in said["status"]
    real = replace(suite, synthetic=False)
    assert "real images" in front_page(view, real, board)["status"]
    best = max((r for r in board.rows if r.reference), key=lambda r: r.score)
    above = replace(board, rows=tuple(r.model_copy(update={"score": 0.99}) if r == best else r for r in board.rows))
    said = front_page(view, suite, above)["above"]
    assert f"not the best there is: a reference without self-supervision, {view.encoders[best.encoder].title}" in said
    assert "0.990" in said
    below = replace(board, rows=tuple(r for r in board.rows if not r.reference))
    assert front_page(view, suite, below)["above"] == ""
    nobody = replace(board, rows=tuple(r for r in board.rows if r.rank is None))
    assert "Nobody is ranked" in front_page(view, suite, nobody)["result"]
    assert front_page(view, suite, nobody)["above"] == ""


def test_columns_that_say_the_same_everywhere_are_off(page, built, view):
    page.goto((built / "boards/synthetic-v0/overall.html").as_uri())
    page.wait_for_selector("html.js #controls")
    badges = {e.badge for e in view.encoders.values()}
    assert page.locator("thead th", has_text="Trust").is_visible() == (len(badges) > 1)


def test_the_headline_of_claims_counts_every_verdict():
    made = [
        Verdict.model_construct(id=f"H{i}", family="confirmatory" if i < 3 else "exploratory", verdict=word)
        for i, word in enumerate(["supported", "not measured", "inconclusive", "inconclusive"], start=1)
    ]
    said = headline(made)
    assert said.startswith("Of 4 claims: 1 supported, 2 inconclusive, 1 not measured.")
    assert "H1 supported; H2 not measured." in said
    assert headline([v.model_copy(update={"verdict": "not measured"}) for v in made]).startswith("None of the 4 claims")


def test_a_front_page_without_evidence_is_silent_of_claims(view):
    suite, board = view.suites[0], view.suites[0].boards[0]
    for word, said in (("not measured", ""), ("inconclusive", "1 inconclusive")):
        claims = [ClaimView(None, Verdict.model_construct(id="H1", family="confirmatory", verdict=word))]
        found = front_page(replace(view, claims={suite.name: claims}), suite, board)["verdicts"]
        assert said in found
        assert bool(said) == bool(found)


def test_a_badge_says_what_was_recomputed(view):
    encoder = replace(next(e for e in view.encoders.values() if e.evidence), badge="reproduced")
    covers = badge.Coverage(units=592, rescored=18, primary=73, rerun=55, whole=True)
    found = badge.Verification(
        schema=2, encoder="a", suite="open-v1", badge="reproduced", contents_sha256="0" * 64, covers=covers,
        verified="2026-11-24T14:12:23+00:00", medssl="0.1.0", tolerance=0.005, largest_difference=0.001,
    )  # fmt: skip
    said = trust(replace(encoder, verdicts=(found,)))
    assert "open-v1: 18 of 592 units rescored, of 73 the primary metric, 55 run again; medssl 0.1.0, 2026-11-24" in said
    assert "differed by 0.001 at most (0.005 is accepted). The others stand as sent." in said
    whole = found.model_copy(update={"covers": covers.model_copy(update={"rescored": 592})})
    assert "stand as sent" not in trust(replace(encoder, verdicts=(whole,)))
    assert "nobody has recomputed" in trust(replace(encoder, badge="declared"))


def test_the_front_page_says_whether_these_encoders_are_any_to_use(view):
    suite, board = view.suites[0], view.suites[0].boards[0]
    assert front_page(view, suite, board)["use"] == ""
    own = {
        n: replace(e, card=e.card.model_copy(update={"controlled_track": "own-v1"})) for n, e in view.encoders.items()
    }
    assert front_page(replace(view, encoders=own), suite, board)["use"] == TINY
