"""A stranger's program ends where its time or memory does, with a message."""

from __future__ import annotations

import sys

import pytest

from bench.cli._apart import apart
from bench.errors import RunError

BOUND = "from bench.cli._apart import bound_memory; bound_memory(); "


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_the_exit_status_is_passed_on() -> None:
    for status in (0, 1, 2):
        assert apart(python(f"raise SystemExit({status})"), minutes=5, gigabytes=8) == status


def test_one_that_never_ends_is_stopped() -> None:
    with pytest.raises(RunError, match=r"took more than 0\.02 minutes and was stopped"):
        apart(python("while True: pass"), minutes=0.02, gigabytes=8)


@pytest.mark.skipif(sys.platform != "linux", reason="the limit on data is Linux's")
def test_one_that_takes_all_memory_is_stopped(capfd: pytest.CaptureFixture[str]) -> None:
    grow = BOUND + "import os; held = bytearray(2_000_000_000); os._exit(0)"
    assert apart(python(grow), minutes=5, gigabytes=8) == 0
    assert apart(python(grow), minutes=5, gigabytes=1) == 1
    assert "MemoryError" in capfd.readouterr().err
    with pytest.raises(RunError, match="without a verdict"):
        apart(python("import os; os.abort()"), minutes=5, gigabytes=1)
