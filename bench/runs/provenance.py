"""Who made a record, with what: the command, versions, device and threads."""

import platform
import shlex
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from bench.runs.records import Provenance
from bench.version import __version__

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "numpy",
    "scipy",
    "scikit-learn",
    "faiss-cpu",
    "onnxruntime",
    "transformers",
)


def command_line() -> str:
    """The command as the user typed it, with `medssl` for the program's path."""
    program = Path(sys.argv[0]).name
    return shlex.join([program if program != "__main__.py" else "medssl", *sys.argv[1:]])[:4000]


@cache
def package_versions() -> dict[str, str]:
    """Installed versions of the packages that can change a number."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def provenance(
    *, command: str, suite: str, fingerprint: str, device: torch.device, precision: str, checksum_override: bool
) -> Provenance:
    """Provenance of a record made now in this process."""
    return Provenance(
        command=command,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        medssl=__version__,
        python=platform.python_version(),
        packages=package_versions(),
        platform=f"{platform.system()} {platform.machine()}",
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        precision=precision,
        threads=torch.get_num_threads(),
        suite=suite,
        suite_fingerprint=fingerprint,
        checksum_override=checksum_override,
    )
