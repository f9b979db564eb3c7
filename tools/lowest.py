"""`python tools/lowest.py > lowest.txt`: the oldest version of each direct dependency, as constraints of pip."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path


def lowest(pyproject: str) -> list[str]:
    """ "name==version" of each requirement "name>=version", of all extras but those that name extras."""
    project = tomllib.loads(pyproject)["project"]
    named = [*project["dependencies"], *(r for extra in project["optional-dependencies"].values() for r in extra)]
    found = [re.fullmatch(r"([A-Za-z0-9_-]+)>=([0-9.]+)", requirement) for requirement in named]
    return sorted({f"{m[1]}=={m[2]}" for m in found if m})


if __name__ == "__main__":
    print("\n".join(lowest((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))))
