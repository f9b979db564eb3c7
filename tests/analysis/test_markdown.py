"""The tables of a report, against the numbers they show."""

import textwrap

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


VERDICT = {
    "id": "H2", "title": "slope", "verdict": "supported", "effect": 1.5, "low": -0.25, "high": 3.0,
    "measured_in": "score points", "p_holm": 0.0123, "n_encoders": 9, "n_tasks": 8, "family": "confirmatory",
    "parts": [], "sensitivity": [
        {"choice": "one way", "part": "", "effect": -2.0, "low": None, "high": None, "p": None, "n_encoders": 4,
         "note": ""},
        {"choice": "another", "part": "half", "effect": None, "low": None, "high": None, "p": 0.5, "n_encoders": 0,
         "note": "no results"},
    ],
}  # fmt: skip
PART = {"name": "half", "effect": 1.0, "low": 0.0, "high": 2.0, "p": 0.01, "groups": {"a": 4, "b": 5}, "n_tasks": 7}
WRITTEN = {
    "verdicts": [VERDICT, {**VERDICT, "id": "H1", "family": "exploratory", "p_holm": None, "parts": [PART]}],
    "variance": {
        "global": dict(zip(("encoder", "task", "rest", "noise", "paradigm_of_encoder", "paradigm_of_rest"),
                           (0.5, 0.3, 0.2, None, 0.07, -0.01), strict=True)),
        "dense": {"missing": "too few"},
    },
    "concordance": {"global": {"all": 0.5, "ct": 0.754}, "dense": {"missing": "too few"}},
    "label_efficiency": [
        {"encoder": "a", "alc": None, "savings": None, "crossed": 0, "tasks": 3, "never": 2},
        {"encoder": "b", "alc": 41.26, "savings": 2.0, "crossed": 1, "tasks": 3, "never": 0},
    ],
    "advisor_regret": [{"policy": "advisor", "mean": 1.234, "low": 0.5, "high": 2.0, "n_tasks": 6}],
    "foretelling": [{"diagnostic": "rankme", "board": "global", "tau": 0.5, "low": -0.1, "high": 0.9, "n": 12}],
}  # fmt: skip
SHOWN = {
    "verdicts": """
        | claim |  | verdict | effect [95 %] | in | p, corrected | encoders | data sets |
        |---|---|---|--:|---|--:|--:|--:|
        | H2 | slope | supported | +1.50 [-0.25, +3.00] | score points | 0.012 | 9 | 8 |
        | H1 | slope | supported | - |  | - |  |  |
        |  | half |  | +1.00 [0.00, +2.00] | score points | - | 9 | 7 |""",
    "sensitivity": """
        | claim | under another choice | effect [95 %] | p | encoders |  |
        |---|---|--:|--:|--:|---|
        | H2 | one way | -2.00 | - | 4 |  |
        | H2 | another: half | - | 0.500 | 0 | no results |""",
    "variance": """
        | board | encoder | task | encoder x task | of which noise | encoder by paradigm | x task by paradigm |
        |---|--:|--:|--:|--:|--:|--:|
        | global | 50% | 30% | 20% | - | 7% | -1% |
        | dense | too few |  |  |  |  |  |""",
    "concordance": """
        | board | tasks of | Kendall's W |
        |---|---|--:|
        | global | all | 0.50 |
        | global | ct | 0.75 |""",
    "label-efficiency": """
        | encoder | mean over the learning curve | labels saved, times | tasks crossed | never reached |
        |---|--:|--:|--:|--:|
        | b | 41.3 | 2.00 | 1 of 3 | 0 |
        | a | - | - | 0 of 3 | 2 |""",
    "regret": """
        | policy | mean regret, points | 95 % interval | tasks |
        |---|--:|--:|--:|
        | advisor | 1.23 | 0.50 to 2.00 | 6 |""",
    "foretelling": """
        | diagnostic | board | Kendall's tau [95 %] | encoders |
        |---|---|--:|--:|
        | rankme | global | +0.50 [-0.10, +0.90] | 12 |""",
}


def test_the_tables_of_a_report_to_the_letter():
    assert tables(WRITTEN) == {name: textwrap.dedent(text).strip() for name, text in SHOWN.items()}
