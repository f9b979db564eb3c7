"""Parts from files of one's own: found beside those of the package, refused with the name of the file."""

from __future__ import annotations

from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from bench import discover
from bench.discover import EXTENSIBLE, PLUGINS, add_plugins, members
from bench.errors import UserError

METRIC = """
from bench.metrics.set.auroc import METRIC as auroc
EXTENDS = "bench.metrics.set"
class Mine(type(auroc)):
    name = "mine"
METRIC = Mine()
"""


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(PLUGINS, "")
    members.cache_clear()
    yield
    members.cache_clear()
    discover.plugin.cache_clear()


def file(folder: Path, text: str) -> Path:
    (folder / "part.py").write_text(text)
    return folder / "part.py"


def test_every_folder_of_parts_has_parts():
    for package, constant in EXTENSIBLE.items():
        assert members(package, constant), package


def test_a_file_adds_to_the_folder_it_extends(tmp_path):
    add_plugins((file(tmp_path, METRIC),))
    assert {"mine", "auroc"} <= set(members("bench.metrics.set", "METRIC"))
    assert "mine" not in members("bench.protocols", "PROTOCOL")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (METRIC.replace("bench.metrics.set\"\n", "bench.metric\"\n"), "extends 'bench.metric', which is no folder"),
        ("X = 1", "does not say what it extends"),
        ("1 / 0", "cannot be loaded: ZeroDivisionError"),
        ("def (", "cannot be loaded: SyntaxError"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_part_is_refused_by_its_name(tmp_path, text, said):
    with pytest.raises(UserError, match=said) as caught:
        add_plugins((file(tmp_path, text),))
    assert str(caught.value.where).endswith("part.py")


def test_a_part_without_its_constant_is_refused(tmp_path):
    add_plugins((file(tmp_path, 'EXTENDS = "bench.protocols"'),))
    with pytest.raises(UserError, match="no PROTOCOL"):
        members("bench.protocols", "PROTOCOL")


def test_a_name_that_is_there_already_is_not_taken(tmp_path):
    add_plugins((file(tmp_path, METRIC.replace('"mine"', '"auroc"')),))
    with pytest.raises(UserError, match="'auroc' is defined twice") as caught:
        members("bench.metrics.set", "METRIC")
    assert str(caught.value.where).endswith("part.py")


def test_a_broken_package_is_named(monkeypatch):
    broken = EntryPoint("mine", "no_such_package.mine", "bench.protocols")
    monkeypatch.setattr(discover, "entry_points", lambda group: [broken] if group == "bench.protocols" else [])
    with pytest.raises(UserError, match="No module named 'no_such_package'") as caught:
        members("bench.protocols", "PROTOCOL")
    assert "'mine'" in str(caught.value.where)
