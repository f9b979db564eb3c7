"""The workflows a stranger's pull request sets off: what they may do, and what they make of a hostile report."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / ".github" / "workflows"
HOSTILE = "\n".join([
    "@everyone see https://evil.example",
    "<img src=x onerror=alert(1)> ```",
    "~~~~~~",
    "# heading, closes #1",
    "\u202egnp.exe \x1b[31m",
    "x" * 100_000,
])  # fmt: skip


def workflow(name: str) -> dict[str, Any]:
    return yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))


def steps(name: str) -> list[dict[str, Any]]:
    return [step for job in workflow(name)["jobs"].values() for step in job["steps"]]


def script() -> str:
    return next(s["with"]["script"] for s in steps("comment.yml") if "script" in s.get("with", {}))


def test_no_workflow_runs_strangers_code_with_rights() -> None:
    for path in FOLDER.glob("*.yml"):
        assert "pull_request_target" not in path.read_text(encoding="utf-8"), path.name


def test_verify_reads_only() -> None:
    verify = workflow("verify.yml")
    assert verify["permissions"] == {"contents": "read"}
    assert all("permissions" not in job for job in verify["jobs"].values())
    assert "${{ secrets" not in (FOLDER / "verify.yml").read_text(encoding="utf-8")
    checkouts = [s["with"] for s in steps("verify.yml") if s.get("uses", "").startswith("actions/checkout")]
    assert all(c["persist-credentials"] is False for c in checkouts)
    assert checkouts[0]["ref"] == "${{ github.event.pull_request.base.sha }}"
    assert {c.get("path") for c in checkouts if "head.sha" in c["ref"]} == {"incoming"}
    assert all(c["sparse-checkout"] == "submissions" for c in checkouts if "head.sha" in c["ref"])


def test_nothing_of_the_pull_request_is_run_or_pasted_into_a_shell() -> None:
    commands = "\n".join(s["run"] for s in steps("verify.yml") if "run" in s)
    assert "${{" not in commands
    assert "--trust-code" not in commands
    assert not re.search(r"(python|make|bash|sh|pip\S*|source|\.)\s+(\S*/)?incoming", commands)


def test_comment_has_two_rights_and_asks_github_for_the_pull_request() -> None:
    comment = workflow("comment.yml")
    assert comment["permissions"] == {}
    assert [job["permissions"] for job in comment["jobs"].values()] == [{"actions": "read", "pull-requests": "write"}]
    assert not any("checkout" in s.get("uses", "") or "run" in s for s in steps("comment.yml"))
    assert "${{" not in script()
    assert "report/number" not in script() + (FOLDER / "verify.yml").read_text(encoding="utf-8")
    assert "issue_number: pulls[0].number" in script()


HARNESS = """
const context = { repo: { owner: 'o', repo: 'r' }, payload: { workflow_run: {
  head_repository: { owner: { login: 'stranger' } }, head_branch: 'b', head_sha: 'abc', conclusion: 'failure' } } };
const core = { notice: text => console.log(JSON.stringify({ notice: text })) };
const github = {
  rest: { pulls: { list: 'list', listFiles: 'files' },
          issues: { createComment: said => console.log(JSON.stringify(said)) } },
  paginate: async what => what === 'list'
    ? [{ number: 7, head: { sha: SHA } }, { number: 8, head: { sha: 'other' } }]
    : [{ filename: FILE, status: STATUS }] };
(async () => { SCRIPT })();
"""


def node() -> str:
    """Playwright brings one along."""
    driver = pytest.importorskip("playwright._impl._driver")
    return str(driver.compute_driver_executable()[0])


def commented(
    folder: Path, *, sha: str = "abc", file: str = "submissions/a/encoder.toml", status: str = "added"
) -> dict[str, Any]:
    """What the script comments with on the reports in `folder`/report, with GitHub played by a few lines."""
    code = (
        HARNESS.replace("SHA", json.dumps(sha))
        .replace("FILE", json.dumps(file))
        .replace("STATUS", json.dumps(status))
        .replace("SCRIPT", script())
    )
    (folder / "comment.cjs").write_text(code)
    done = subprocess.run(
        [node(), "comment.cjs"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        env={"PATH": os.environ["PATH"]},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "honest.txt").write_text(HOSTILE)
    (tmp_path / "report" / "number").write_text("666")
    (tmp_path / "report" / "@everyone.txt").write_text("x")
    (tmp_path / "report" / "linked.txt").symlink_to("/etc/passwd")
    return tmp_path


def test_a_hostile_report_is_text_in_a_block(report: Path) -> None:
    said = commented(report)
    assert said["issue_number"] == 7
    assert len(said["body"]) < 5000
    assert said["body"].isascii()
    shown = [line for line in said["body"].splitlines() if line and not line.startswith("    ")]
    assert shown == ["Verification ended with: failure.", "`honest`"]


def test_a_pull_request_that_changes_the_workflow_is_named(report: Path) -> None:
    for file in (
        ".github/workflows/verify.yml",
        "submissions/diagnostics-phantom-v1.csv",
        "submissions/withdrawn.toml",
    ):
        assert commented(report, file=file)["body"].startswith("Caution: 1 files outside")
    assert "Caution" not in commented(report, file="submissions/mine/encoder.toml")["body"]


def test_a_pull_request_that_deletes_is_named(report: Path) -> None:
    said = commented(report, file="submissions/other/encoder.toml", status="removed")
    assert said["body"].startswith("Caution: it deletes 1 files below `submissions/`.")
    assert "deletes" not in commented(report)["body"]


def test_actions_are_pinned_to_a_commit() -> None:
    used = [s["uses"] for path in FOLDER.glob("*.yml") for s in steps(path.name) if "uses" in s]
    assert len(used) > 10
    assert [u for u in used if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", u)] == []


def test_every_workflow_begins_with_reading_alone() -> None:
    for path in FOLDER.glob("*.yml"):
        assert workflow(path.name)["permissions"] in ({}, {"contents": "read"}), path.name


def test_a_commit_no_open_pull_request_is_at_gets_no_comment(report: Path) -> None:
    assert set(commented(report, sha="moved on")) == {"notice"}
