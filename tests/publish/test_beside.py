"""Work in a second process gives what it gives in this one, its errors included, and ends with its context."""

from __future__ import annotations

import os
import sys
import time

import pytest

from bench.errors import RunError
from bench.publish.beside import beside

FORKS = pytest.mark.skipif(sys.platform != "linux", reason="processes are forked on Linux alone")


@FORKS
def test_the_work_is_done_in_another_process_and_its_result_comes_back():
    with beside(lambda: (os.getpid(), "x" * 10**7), 2) as result:
        process, text = result()
    assert process != os.getpid()
    assert len(text) == 10**7  # more than a pipe holds at once


def test_one_job_works_in_this_process_when_asked():
    done = []
    with beside(lambda: done.append(os.getpid()), 1) as result:
        assert not done
        result()
    assert done == [os.getpid()]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_error_is_raised_as_it_is_without_a_second_process(jobs):
    def fails() -> None:
        raise RunError("cannot be written: no space", where="x", fix="free some")

    with pytest.raises(RunError, match="cannot be written") as caught, beside(fails, jobs) as result:
        result()
    assert caught.value.fix == "free some"


@FORKS
def test_the_second_process_is_over_when_the_context_is_left(tmp_path):
    def late() -> None:
        time.sleep(1)
        (tmp_path / "late").touch()

    with pytest.raises(KeyError), beside(late, 2):
        raise KeyError
    time.sleep(1.5)
    assert not (tmp_path / "late").exists()
