"""The tables of a report, against the numbers they show."""

import numpy as np
import pandas as pd
import pytest

from bench import markers
from bench.analysis.markdown import tables
from bench.analysis.report import analyse
from tests.analysis.planted import SimulationDesign, plant


@pytest.fixture(scope="module")
def found():
    frame = plant(SimulationDesign(encoders=16, kind=8.0))
    names = sorted(frame["encoder"].unique())
    diagnostics = pd.DataFrame({"rankme": np.arange(len(names), dtype=float)}, index=names)
    return analyse(frame, diagnostics=diagnostics)


def rows_of(table):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def test_every_table_says_what_was_found(found):
    made = tables(found)
    claims = {row[0]: row for row in rows_of(made["verdicts"]) if row[0]}
    h1, h2 = found["verdicts"][:2]
    assert (claims["H1"][2], claims["H1"][3]) == (h1["verdict"], "-")
    assert claims["H2"][3].startswith(f"{h2['effect']:+.2f} [")
    halves = {row[1]: row[3] for row in rows_of(made["verdicts"]) if not row[0]}
    assert halves == {p["name"]: f"{p['effect']:+.2f} [{p['low']:+.2f}, {p['high']:+.2f}]" for p in h1["parts"]}
    assert set(claims) == {v["id"] for v in found["verdicts"]}
    policies = {row[0]: row for row in rows_of(made["regret"])}
    assert policies["advisor"][1] == f"{found['advisor_regret'][0]['mean']:.2f}"
    shares = {row[0]: row for row in rows_of(made["variance"])}
    assert shares["global"][1] == f"{found['variance']['global']['encoder']:.0%}"
    assert {row[0] for row in rows_of(made["foretelling"])} == {"rankme", "parameters"}
    efficiency = [float(row[1]) for row in rows_of(made["label-efficiency"])]
    assert efficiency == sorted(efficiency, reverse=True)
    assert len({len(row) for row in rows_of(made["concordance"])}) == 1


def test_what_is_missing_is_said():
    lack = {"missing": "no results"}
    found = {
        "verdicts": [], "variance": {"global": lack}, "concordance": {"global": lack}, "label_efficiency": lack,
        "advisor_regret": lack,
    }  # fmt: skip
    made = tables(found)
    assert made["regret"] == "Not computed: no results."
    assert "no results" in made["variance"]
    assert made["foretelling"] == "Nothing to show with these results."


def test_a_page_is_refreshed_in_place(tmp_path, found):
    page = tmp_path / "page.md"
    page.write_text("".join(f"before\n<!-- table {n} -->\n<!-- end {n} -->\nafter\n" for n in tables(found)))
    markers.refresh(page, tables(found))
    once = page.read_text()
    markers.refresh(page, tables(found))
    assert page.read_text() == once
    assert once.count("before") == len(tables(found))
