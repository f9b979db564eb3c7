"""What a version of the package makes of spoilt submissions: run as a file, with that version on PYTHONPATH.

Reads lines of JSON, [folder, options of `medssl verify`], and writes for each [exit code, what was printed, seconds of
processor time, peak MB]. Each is verified in a process of its own, forked off, with a limit of processor time.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import traceback
from contextlib import suppress
from importlib import import_module

SECONDS = 120
"""Of processor time; a case that takes more is killed by the system."""
PRELOADED = ("bench.submissions.verify", "bench.leaderboard.collect", "bench.encoders.sources.onnx", "bench.cli.verify")
"""Imported once, before the cases are forked off."""


def main() -> None:
    """Answer line by line."""
    os.environ["MEDSSL_MEMORY_LIMIT"] = "32"  # this is the process of its own that the command would start
    for module in PRELOADED:
        import_module(module)
    for line in sys.stdin:
        folder, options = json.loads(line)
        print(json.dumps(judged(folder, options)), flush=True)


def judged(folder: str, options: list[str]) -> tuple[int, str, float, float]:
    """Exit code (negative: killed by this signal), output, seconds and MB of `medssl verify`."""
    with tempfile.TemporaryFile("w+") as printed:
        if (child := os.fork()) == 0:
            _verify(["verify", folder, *options], folder, printed.fileno())
        _, status, used = os.wait4(child, 0)
        printed.seek(0)
        code = os.waitstatus_to_exitcode(status)
        return code, printed.read(), used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def _verify(arguments: list[str], folder: str, printed: int) -> None:
    """What the command does, in this process, which ends with it."""
    code = 1
    try:
        from bench.cli import main as medssl

        resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
        os.chdir(os.path.dirname(folder))
        with open(os.devnull) as nothing:
            os.dup2(nothing.fileno(), 0)
        os.dup2(printed, 1)
        os.dup2(printed, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        medssl(arguments)
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):
                stream.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
