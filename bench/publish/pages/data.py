"""Data out: every table in three formats, the schema, and the tasks as JSON-LD."""

import pandas as pd

from bench.publish.export import (
    ANCHOR_COLUMNS,
    BOARD_COLUMNS,
    DIAGNOSTIC_COLUMNS,
    RESULT_COLUMNS,
    anchor_table,
    diagnostics_table,
    write_table,
)
from bench.publish.jsonld import dataset, site_dataset
from bench.publish.model import SuiteView
from bench.publish.results import addresses
from bench.publish.writer import Page, Site


def write(site: Site) -> None:
    """The page, the results of each suite as CSV and Parquet, the schema, and Croissant for each task."""
    for suite in site.view.suites:
        write_table(site, f"data/results/{suite.name}", results_table(suite), packed=True)
        write_table(site, f"data/anchors/{suite.name}", anchor_table(suite))
        if (diagnostics := diagnostics_table(suite)) is not None:
            write_table(site, f"data/diagnostics/{suite.name}", diagnostics)
        for name, task in suite.tasks.items():
            site.json(f"data/tasks/{suite.name}/{name}.jsonld", dataset(task, suite, base=site.view.base))
    schema = {
        "boards": BOARD_COLUMNS,
        "results": RESULT_COLUMNS,
        "anchors": ANCHOR_COLUMNS,
        "diagnostics": DIAGNOSTIC_COLUMNS,
    }
    site.json("data/schema.json", schema)
    site.page("data.html", "pages/data.html", schema=schema, about=site_dataset(site.view))


def results_table(suite: SuiteView) -> pd.DataFrame:
    """The results of a suite with the columns of RESULT_COLUMNS."""
    frame = suite.results.copy()
    frame.insert(0, "suite", suite.name)
    frame["address"] = addresses(suite.name, frame)
    return frame[list(RESULT_COLUMNS)]


PAGE = Page("data", write, "Data", 65, "data.html", many=True)
