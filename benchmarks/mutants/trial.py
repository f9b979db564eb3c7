"""Run tests against a mutant, in a fork of a process that has imported everything already."""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType

import pytest

OPTIONS = ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header", "--tb=no", "--doctest-modules"]
MAX_CPU = 10.0
"""Seconds of processor time that a mutant has beyond four times those of the tests it is run with."""


@dataclass
class Reach:
    """Which tests call which function of a file, and what each costs; tests of one session, each of which passes."""

    calls: dict[str, list[str]] = field(default_factory=dict)
    """"path:function" -> tests."""
    seconds: dict[str, float] = field(default_factory=dict)

    def tests(self, module: str, function: str) -> list[str]:
        """Tests that can notice a change there, quickest first; all that reach the module for one at its own level."""
        own = self.calls.get(f"{module}:{function}", [])
        every = {t for place, tests in self.calls.items() if place.startswith(f"{module}:") for t in tests}
        return sorted(own if function else every, key=lambda t: self.seconds.get(t, 0.0))


class _Tracer:
    """Notes the functions under `root` that each test calls, its own fixtures included."""

    def __init__(self, root: Path) -> None:
        self.root, self.reach, self.now = f"{root}/", Reach(), ""
        self.called: set[CodeType] = set()

    def _call(self, frame: FrameType, event: str, arg: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(self.root):
            self.called.add(frame.f_code)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item):
        started = time.process_time()
        sys.setprofile(self._call)
        yield
        sys.setprofile(None)
        self.reach.seconds[item.nodeid] = time.process_time() - started
        for code in self.called:
            path = code.co_filename.removeprefix(self.root)
            self.reach.calls.setdefault(f"{path}:{_outer(code.co_qualname)}", []).append(item.nodeid)
        self.called = set()


def _outer(qualname: str) -> str:
    """The outermost function: what is nested in it is a part of it."""
    return qualname.partition(".<locals>")[0]


def warm(paths: Iterable[str]) -> None:
    """Import all that tests need, in this process."""
    with open(os.devnull, "w") as null, redirect_stdout(null):
        pytest.main([*OPTIONS, "--collect-only", *paths])


def reach(root: Path, paths: list[str]) -> Reach:
    """Run tests unchanged, in a fork. Raises RuntimeError unless they pass."""
    with tempfile.NamedTemporaryFile("r") as file:

        def body() -> int:
            tracer = _Tracer(root)
            status = pytest.main([*OPTIONS, *paths], plugins=[tracer])
            Path(file.name).write_text(json.dumps([tracer.reach.calls, tracer.reach.seconds]))
            return int(status)

        if status := _wait(_fork(body, None)):
            raise RuntimeError(f"the tests do not pass as they are (pytest exit status {status})")
        return Reach(*json.loads(Path(file.name).read_text()))


def start(code: CodeType, module: Path, tests: list[str], seconds: float, *, afresh: bool) -> int:
    """Begin a trial: the process that runs `tests`, stopping at the first failure. afresh: import the package again."""

    def body() -> int:
        if afresh:
            _install(code, module)
        else:
            _exchange(code, module)
        return int(pytest.main([*OPTIONS, "-x", *tests]))

    return _fork(body, 4 * seconds + MAX_CPU)


def killed(status: int) -> bool:
    """Whether a trial ended with anything but passing tests."""
    return status != 0


def _fork(body: Callable[[], int], seconds: float | None) -> int:
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    status = 99
    try:
        if seconds is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 2))
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 1)
            os.dup2(null, 2)
        status = body()
    finally:
        os._exit(status)


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _exchange(code: CodeType, module: Path) -> None:
    """Give every living function of the module the mutant's code; whoever holds one holds the new one."""
    new = dict(_codes(code))
    for thing in gc.get_objects():
        if isinstance(thing, FunctionType) and thing.__code__.co_filename == str(module):
            old = thing.__code__
            found = new.get((old.co_qualname, old.co_firstlineno))
            if found is not None and found.co_freevars == old.co_freevars:
                thing.__code__ = found


def _codes(code: CodeType) -> Iterable[tuple[tuple[str, int], CodeType]]:
    for part in code.co_consts:
        if isinstance(part, CodeType):
            yield (part.co_qualname, part.co_firstlineno), part
            yield from _codes(part)


class _Loader:
    """Executes the mutant in place of the module."""

    def __init__(self, code: CodeType) -> None:
        self.code = code

    def create_module(self, spec: object) -> None:
        return None

    def exec_module(self, module: object) -> None:
        exec(self.code, module.__dict__)


def _install(code: CodeType, module: Path) -> None:
    """Forget what is imported of the project, and put the mutant where it is looked for."""
    root = module.parents[[p.name for p in module.parents].index("bench") + 1]
    name = ".".join(module.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
    for loaded in [n for n in sys.modules if n.split(".")[0] in ("bench", "tests", "benchmarks")]:
        del sys.modules[loaded]

    class Finder:
        @staticmethod
        def find_spec(wanted: str, path: object = None, target: object = None):
            if wanted != name:
                return None
            package = [str(module.parent)] if module.name == "__init__.py" else None
            return importlib.util.spec_from_file_location(
                name, module, loader=_Loader(code), submodule_search_locations=package
            )

    sys.meta_path.insert(0, Finder)
    importlib.import_module(name)  # now, for pytest puts a finder of its own before this one
