"""The Dockerfile says what the repository holds: paths, extras, the command, both variants."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch

import pytest

from tests.docs.pages import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) in order; comments dropped, continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in text.splitlines() if line.strip()]


def arguments(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def test_it_starts_from_an_image_with_a_python_we_support() -> None:
    assert instructions()[0][0] in ("ARG", "FROM")
    (base,) = arguments("FROM")
    minor = int(re.fullmatch(r"python:3\.(\d+)-slim", base)[1])
    assert minor >= int(PROJECT["requires-python"].removeprefix(">=3."))


def test_only_known_instructions() -> None:
    known = {"FROM", "ARG", "ENV", "WORKDIR", "RUN", "COPY", "USER", "VOLUME", "ENTRYPOINT", "CMD", "LABEL"}
    assert {instruction for instruction, _ in instructions()} <= known


@pytest.mark.parametrize("source", [s for line in arguments("COPY") for s in line.split()[:-1]])
def test_what_it_copies_is_there(source: str) -> None:
    assert (ROOT / source).exists()
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert not any(fnmatch(source, pattern) for pattern in ignored)


def test_everything_the_wheel_is_made_of_is_copied() -> None:
    hatch = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    copied = {source for line in arguments("COPY") for source in line.split()[:-1]}
    assert {*hatch["packages"], *hatch["force-include"], PROJECT["readme"], *PROJECT["license-files"]} <= copied


def test_extras_and_command_exist() -> None:
    extras = re.search(r'"\.\[([a-z,]+)\]"', " ".join(arguments("RUN")))[1].split(",")
    assert set(extras) <= set(PROJECT["optional-dependencies"])
    assert arguments("ENTRYPOINT") == ['["medssl"]']
    assert "medssl" in PROJECT["scripts"]
    assert arguments("CMD") == ['["demo"]']


def test_it_does_not_run_as_root_and_has_both_variants() -> None:
    order = [instruction for instruction, _ in instructions()]
    assert order.index("USER") > max(i for i, name in enumerate(order) if name == "RUN")
    assert "TORCH=cpu" in arguments("ARG")
    assert "TORCH_INDEX=https://download.pytorch.org/whl/${TORCH}" in arguments("ARG")
    assert '--index-url "${TORCH_INDEX}"' in " ".join(arguments("RUN"))
    assert "TORCH=cu128" in (ROOT / "Dockerfile").read_text()
