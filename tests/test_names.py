"""One word, one thing: a class name means one thing in the whole package."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]


def defined_twice(folder: Path) -> dict[str, list[str]]:
    """Class name -> the files of `folder` that define it, where these are several."""
    homes: dict[str, list[str]] = defaultdict(list)
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef):
                homes[node.name].append(path.relative_to(folder).as_posix())
    return {name: files for name, files in homes.items() if len(files) > 1}


def test_no_class_name_means_two_things():
    assert defined_twice(ROOT / "bench") == {}


def test_a_second_meaning_is_seen(tmp_path):
    (tmp_path / "a.py").write_text("class Row:\n    pass\n\n\nclass Column:\n    pass\n")
    (tmp_path / "b.py").write_text("def late():\n    class Row:\n        pass\n    return Row\n")
    assert defined_twice(tmp_path) == {"Row": ["a.py", "b.py"]}
