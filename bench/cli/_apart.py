"""A command that runs strangers' programs runs as a process of its own, with limits of time and memory."""

import os
import subprocess
import sys
from collections.abc import Sequence

from bench.errors import RunError

LIMIT = "MEDSSL_MEMORY_LIMIT"
"""Environment variable by which the process knows that it is apart, and how many GB it may take."""
SELF = (sys.executable, "-c", "from bench.cli import main; main()")
"""The `medssl` command, whatever it is called here."""


def is_apart() -> bool:
    """Whether this process is the one that was started apart."""
    return LIMIT in os.environ


def apart(command: Sequence[str], *, minutes: float, gigabytes: float) -> int:
    """Run a command to its end and return its exit status, 0 to 2. Raises RunError where it meets a limit."""
    environment = {**os.environ, LIMIT: str(gigabytes)}
    try:
        code = subprocess.run(command, env=environment, timeout=60 * minutes, check=False).returncode
    except subprocess.TimeoutExpired:
        fix = "--minutes allows more"
        raise RunError(
            f"took more than {minutes:g} minutes and was stopped", where="the verification", fix=fix
        ) from None
    if code not in (0, 1, 2, 130):
        what = f"ended without a verdict (status {code}); it may take {gigabytes:g} GB of memory"
        raise RunError(what, where="the verification", fix="--memory allows more")
    return code


def bound_memory() -> None:
    """Take no more memory than this process was given; nothing where the system knows no such limit."""
    try:
        import resource
    except ImportError:
        return
    size = int(float(os.environ[LIMIT]) * 1e9)
    resource.setrlimit(resource.RLIMIT_DATA, (size, size))
