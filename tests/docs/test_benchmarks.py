"""The measurements that pages name: their scripts exist and know the options written there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"python (?:(benchmarks/\w+\.py)|-m (benchmarks(?:\.\w+)+))([^`\n]*(?:\n[^`\n]+)?`|[^`\n]*)")
SAID = sorted(
    {
        (page.name, script or module, option)
        for page in [*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
        for script, module, rest in COMMAND.findall(page.read_text(encoding="utf-8"))
        for option in ["", *re.findall(r"--[a-z][a-z-]*", rest)]
    }
)


def source(named: str) -> str:
    """Text of a script or module, or of the entry of a package."""
    if named.endswith(".py"):
        return (ROOT / named).read_text(encoding="utf-8")
    path = ROOT / named.replace(".", "/")
    return (path / "__main__.py" if path.is_dir() else path.with_suffix(".py")).read_text(encoding="utf-8")


def test_commands_are_found():
    assert len({script for _, script, _ in SAID}) >= 15
    assert ("solvers.md", "benchmarks/solvers.py", "--threads") in SAID
    assert ("protocols.md", "benchmarks/dense_head.py", "--train") in SAID, (
        "also where the command is broken over lines"
    )


@pytest.mark.parametrize(("page", "script", "option"), SAID)
def test_a_script_knows_its_options(page: str, script: str, option: str):
    text = source(script)  # also where no option is given: the script has to be there
    assert not option or f'"{option}"' in text, f"{page} gives {script} the option {option}"
