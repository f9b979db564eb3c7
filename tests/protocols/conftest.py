"""Small made-up problems of every target kind."""

import pytest

from bench.laws.problems import make_problem, make_task


@pytest.fixture
def problem_of():
    return make_problem


@pytest.fixture
def task_of():
    return make_task
