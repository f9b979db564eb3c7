"""Every `medssl` command the documentation shows names a real verb with real options."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from bench.cli import medssl

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
SHOWN = re.compile(r"^\s*(medssl [^\n#]*)|`(medssl [^`\n]*)`", re.MULTILINE)


def commands(page: Path) -> list[str]:
    """Commands on a page, less those that are only sketched (an ellipsis, a choice, a placeholder)."""
    found = [(a or b).strip() for a, b in SHOWN.findall(page.read_text(encoding="utf-8"))]
    return [line for line in found if not re.search(r"\.\.\.|…|\||NAME", line)]


def parse(line: str) -> None:
    """Follow the verbs of a command line and parse its options; nothing is run. Raises click.UsageError."""
    arguments = shlex.split(line)[1:]
    command, context = medssl, click.Context(medssl, info_name="medssl")
    while isinstance(command, click.Group) and arguments:
        _, arguments, _ = command.make_parser(context).parse_args(arguments)
        if not arguments:
            return
        name, *arguments = arguments
        found = command.get_command(context, name)
        if found is None:
            raise click.UsageError(f"no such command {name!r}")
        command, context = found, click.Context(found, info_name=name, parent=context)
    if not isinstance(command, click.Group):
        command.make_parser(context).parse_args(arguments)


@pytest.mark.parametrize("line", sorted({line for page in PAGES for line in commands(page)}))
def test_documented_command_parses(line: str) -> None:
    parse(line)


def test_enough_commands_are_found() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 40


@pytest.mark.parametrize("line", ["medssl rnu x", "medssl run x --siute y", "medssl data fetch --suite x"])
def test_a_wrong_command_is_noticed(line: str) -> None:
    with pytest.raises(click.UsageError):
        parse(line)
