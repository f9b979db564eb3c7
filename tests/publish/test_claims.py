"""Pictures of claims: each says what one of its marks is."""

from dataclasses import replace

import pandas as pd
import pytest

from bench.analysis.claim import read_ledger, read_note
from bench.analysis.evaluate import evaluate
from bench.analysis.verdict import Verdict
from bench.publish.model import ClaimView
from bench.publish.pages.claims import Picture, pictures
from bench.publish.writer import write_site
from tests.analysis.planted import SimulationDesign, plant


def view(chart: list[dict], details: dict | None = None) -> ClaimView:
    claim = next(c for c in read_ledger() if c.id == "H4")
    verdict = Verdict.model_construct(
        id="H4", title=claim.title, verdict="inconclusive", measured_in="score points", chart=chart,
        parts=[], details=details or {},
    )  # fmt: skip
    return ClaimView(claim, verdict)


def picture_of(claim: ClaimView) -> Picture | None:
    drawn = pictures(claim)
    return drawn[0] if drawn else None


def by_part(*parts: str) -> list[dict]:
    return [
        {"paradigm": p, "part": part, "value": i} for i, p in enumerate(("contrastive", "hybrid")) for part in parts
    ]


def test_means_of_paradigms_are_not_called_encoders():
    drawn = picture_of(view(by_part("ct", "mri")))
    assert drawn is not None
    assert (
        drawn.caption == "One mark the mean of a paradigm's encoders in one modality, less their mean over modalities."
    )
    assert ">CT<" in drawn.svg
    assert ">Hybrid<" in drawn.svg
    single = picture_of(view(by_part("mean")))
    assert single is not None
    assert single.caption == "One mark the mean of a paradigm's encoders."
    assert ">mean<" not in single.svg


def test_dots_are_encoders():
    encoders = picture_of(view([{"encoder": e, "group": "hybrid", "value": 1.0} for e in "ab"]))
    assert encoders is not None
    assert encoders.caption.startswith("One mark an encoder,")


def test_both_axes_of_a_scatter_are_named():
    rows = [{"encoder": e, "x": i, "y": 2.0 * i} for i, e in enumerate("abc")]
    drawn = picture_of(view(rows, {"x": "rankme", "y": "global score"}))
    assert drawn is not None
    assert ">rankme<" in drawn.svg
    assert ">global score<" in drawn.svg


@pytest.mark.parametrize("rows", [[], [{"value": 1.0, "encoder": "a"}], [{"value": float("nan")}] * 3])
def test_nothing_is_drawn_of_nothing(rows):
    assert picture_of(view(rows)) is None


def test_every_measured_verdict_is_drawn():
    frame = plant(SimulationDesign(encoders=16))
    scores = frame[frame["protocol"] == "linear-v1"].groupby("encoder", observed=True)["score"].mean()
    table = pd.DataFrame({"rankme": scores, "dse": -scores, "token_locality": scores})
    found = evaluate(frame, diagnostics=table, sensitivity=False)
    ledger = {c.id: c for c in read_ledger()}
    drawn = {v.id for v in found if pictures(ClaimView(ledger[v.id], v))}
    assert len(pictures(ClaimView(ledger["H1"], found[0]))) == 2
    measured = {v.id for v in found if v.effect is not None}
    assert {"H1", "H2", "H4", "H7", "H8"} <= measured
    assert drawn == measured


def test_the_page_shows_every_kind_of_verdict(view, tmp_path):
    ledger = {c.id: c for c in read_ledger()}
    found = evaluate(plant(SimulationDesign(encoders=16, kind=8.0, fractions=(0.1, 1.0), seeds=1)))
    shown = [ClaimView(ledger[v.id], v) for v in found]
    write_site(replace(view, claims={view.suites[0].name: shown}), tmp_path / "public")
    text = (tmp_path / "public" / "claims.html").read_text(encoding="utf-8")
    for verdict in found:
        assert verdict.reason.partition(":")[0] in text
    assert {v.verdict for v in found} >= {"not measured", "inconclusive"}
    assert f"Version {read_note().version} of the ledger" in text
    assert found[0].parts[1].name in text
