"""Running the command and keeping what was typed and said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

PROGRAM = "import sys; sys.argv[0] = 'medssl'; from bench.cli import main; main()"
ROOT = Path(__file__).resolve().parents[2]


class Shell:
    """`medssl` in the folder `work`, as a process of its own; `lines` is the page so far."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.lines: list[str] = []
        self._environment = os.environ | {
            "PYTHONPATH": str(ROOT), "MEDSSL_HOME": str(work / "home"), "COLUMNS": "118", "NO_COLOR": "1"
        }  # fmt: skip

    def says(self, *paragraphs: str) -> None:
        """Add text."""
        for text in paragraphs:
            self.lines += [text, ""]

    def shows(self, *paths: str) -> None:
        """Add files of the work folder."""
        for path in paths:
            self.lines += ["```toml", f"# {path}", (self.work / path).read_text().strip(), "```", ""]

    def edits(self, path: str, changes: list[tuple[str, str]]) -> None:
        """Change a file and add what was changed. Raises ValueError when the text to change is not there."""
        text = (self.work / path).read_text()
        self.lines += [f"The author edits `{path}`:", "", "```diff"]
        for old, new in changes:
            if old not in text:
                raise ValueError(f"{path} has no {old!r}")
            text = text.replace(old, new, 1)
            self.lines += [f"-{line}" for line in old.splitlines()] + [f"+{line}" for line in new.splitlines()]
        (self.work / path).write_text(text)
        self.lines += ["```", ""]

    def runs(self, *commands: str, keep: int = 60, codes: tuple[int, ...] = (0,)) -> None:
        """Run `medssl` with each line of arguments; add what it prints, at most `keep` lines of it.

        Raises RuntimeError when a command ends with another exit code than `codes`.
        """
        self.lines.append("```console")
        for command in commands:
            print(f"$ medssl {command}", flush=True)
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, *command.split()],
                cwd=self.work, env=self._environment, capture_output=True, text=True,
            )  # fmt: skip
            said = done.stdout + (done.stderr if done.returncode else "")
            if done.returncode not in codes:
                raise RuntimeError(f"medssl {command} ended with {done.returncode}:\n{said}")
            self.lines.append(f"$ medssl {command}")
            said = re.sub(r"\d+ images a second, \d+ when dense", "(depends on the machine)", said)
            self.lines += _shortened([line.rstrip() for line in said.strip("\n").splitlines()], keep)
            if done.returncode:
                self.lines.append(f"[exit code {done.returncode}]")
        self.lines += ["```", ""]
        (self.work / "page.md").write_text("\n".join(self.lines))


def _shortened(lines: list[str], keep: int) -> list[str]:
    if len(lines) <= keep:
        return lines
    return [*lines[: keep - 2], f"... ({len(lines) - keep + 1} lines more)", lines[-1]]
