"""The notebook runs from top to bottom, on the small suites of the pages."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from tests.docs.pages import ROOT
from tests.docs.reader import small_suites

HERE = """import bench.locate
from pathlib import Path
bench.locate._PACKAGE = Path({package!r})
"""


@pytest.mark.timeout(600)
def test_first_look(tmp_path: Path, private_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    package = small_suites(tmp_path / "package")
    notebook = nbformat.read(ROOT / "docs" / "notebooks" / "first-look.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells), "kept without outputs"
    notebook.cells.insert(0, nbformat.v4.new_code_cell(HERE.format(package=str(package))))
    nbclient.NotebookClient(notebook, timeout=500, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    # Altair's default renderer sends either a bundle of its own type or HTML, by version.
    assert any("vega" in f"{key} {value}"[:5000].lower() for out in shown for key, value in out.get("data", {}).items())
    assert (tmp_path / "raw-pixels.parquet").is_file()
    assert (tmp_path / "runs" / "colour-histogram" / "phantom-mini" / "records.jsonl").is_file()
