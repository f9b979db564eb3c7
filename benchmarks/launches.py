"""How many operations the frozen units hand to a GPU, counted without one: what a unit costs there at the least.

    OMP_NUM_THREADS=1 python benchmarks/launches.py [--out docs/gpu.md]

Four small phantom tasks under the protocols of phantom-v1 (168 units), 768 features an image, patch grids of 14 x 14.
The units run on an emulated GPU (`tests/on_gpu/emulated.py`). An operation that computes counts as one launch; a
factoring as the kernels it is made of; a wait is a value, or an array, that goes from host to device or back and is
waited for, or the number of rows that a mask picks. What factorings take by their length, and arithmetic, are not in
the estimate.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import bench
from bench.features.device import place
from bench.markers import refresh, table
from bench.runs.fingerprint import fingerprint_of
from bench.runs.plan import make_plan
from bench.runs.score_task import Setting, Work
from tests.on_gpu import emulated

LAUNCH, WAIT = 7e-6, 20e-6
"""Seconds of a launch from Python, and of a wait beside it: what is usual for PyTorch on a server."""
FREE = ("view", "expand", "permute", "transpose", "select", "slice", "unsqueeze", "squeeze", "alias", "as_strided", "t",
        "detach", "split", "unbind", "diagonal", "empty", "reshape", "lift_fresh", "movedim", "new_empty", "unfold",
        "empty_like", "scalar_tensor", "_unsafe_view", "empty_strided", "resize_", "set_", "new_empty_strided",
        "sym_size", "is_same_size", "flatten", "unflatten", "mT", "view_as", "resolve_conj", "resolve_neg")  # fmt: skip
KERNELS = {"_linalg_eigh": 40, "linalg_qr": 60, "linalg_cholesky_ex": 30, "cholesky_solve": 10, "linalg_pinv": 50,
           "topk": 4, "sort": 4, "bincount": 4, "cat": 1, "index_put_": 2}  # fmt: skip
"""Launches of what is more than one, roughly: a factoring of a few hundred rows in cuSOLVER."""
WAITS = {"_local_scalar_dense", "nonzero", "linalg_pinv", "bincount", "_unique2", "is_nonzero", "equal"}


class Counted:
    """Launches and waits, by operation."""

    def __init__(self) -> None:
        self.launches, self.waits = Counter[str](), Counter[str]()

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Inside, what the emulated GPU is given is counted."""
        run = emulated._run

        def counted(func: Any, args: Any, kwargs: Any) -> Any:
            self._count(func.overloadpacket.__name__, args, kwargs)
            return run(func, args, kwargs)

        with patch.object(emulated, "_run", counted):
            yield

    def _count(self, name: str, args: Any, kwargs: Any) -> None:
        if name in FREE:
            return
        places = args[1] if name.startswith(("index", "_index")) and len(args) > 1 else ()
        given = [x for x in (*args, *(places if isinstance(places, (list, tuple)) else ())) if isinstance(x, Tensor)]
        masked = any(x.dtype == torch.bool for x in given[1:]) and bool(places)
        across = str(kwargs.get("device", "cuda")) == "cpu" or not all(isinstance(x, emulated.OnGpu) for x in given)
        waited = not (kwargs.get("non_blocking") or (name == "copy_" and args[2:] == (True,)))
        if name in WAITS or masked or (across and waited and name in emulated.ACROSS):
            self.waits["mask" if masked else name] += 1
        self.launches[name] += KERNELS.get(name, 1) + masked

    def taken(self) -> tuple[Counter[str], Counter[str]]:
        """Both counts, which begin anew."""
        found = self.launches, self.waits
        self.launches, self.waits = Counter(), Counter()
        return found


class Patches(nn.Module):
    """A random patch embedding: 768 features, whose content costs nothing."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Conv2d(3, 768, 16, 16)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        grid = torch.relu(self.embed(x))
        return grid.mean((2, 3)), grid


def measured(
    most: int | None,
) -> dict[tuple[str, str], list[tuple[Counter[str], Counter[str], Counter[str], Counter[str]]]]:
    """(protocol, budget) -> of each unit, launches and waits of solving and of statistics."""
    plan, tasks = make_plan("phantom-v1"), make_plan("phantom-mini").tasks
    setting = Setting("launches", "phantom-v1", fingerprint_of(plan), scoring=plan.suite.scoring)
    found: dict[Any, list[Any]] = defaultdict(list)
    count = Counted()
    score = Work._scored

    def scored(self: Work, protocol: Any, unit: Any, *rest: Any) -> Any:
        solving = count.taken()
        result = score(self, protocol, unit, *rest)
        found[protocol.name, unit.budget].append((*solving, *count.taken()))
        print(f"{self.task.name} {unit.key}", sum(solving[0].values()), sum(solving[1].values()), file=sys.stderr)
        return result

    with emulated.emulated_gpu(), patch.object(Work, "_scored", scored):
        wrapped = bench.wrap(Patches(), name="patches", size=224, mean=(0.5,) * 3, std=(0.25,) * 3)
        encoder = place(wrapped, "cuda", precision="fp32")
        for task in list(tasks.values())[:most]:
            work = Work(encoder, task, None, setting)
            units = plan.units(task)
            for name in dict.fromkeys(unit.protocol for unit in units):
                mine = [unit for unit in units if unit.protocol == name]
                drawn = (work.drawn(plan.protocols[name], unit) for unit in mine)
                work._problem(plan.protocols[name], [d for d in drawn if not isinstance(d, str)])  # encodes, uncounted
                assert work.counts
                with count.counting():
                    count.taken()
                    for record, _ in work.run(plan.protocols[name], mine):
                        if record.status == "failed":
                            raise SystemExit(record.reason)
    return found


def main() -> None:
    """Count, print, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, help="only the first so many tasks")
    parser.add_argument("--kinds", action="store_true", help="also which operations")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    rows, whole, kinds = [], np.zeros(5), [Counter[str](), Counter[str](), Counter[str](), Counter[str]()]
    for (protocol, budget), units in measured(asked.tasks).items():
        sums = np.array([[sum(counts.values()) for counts in unit] for unit in units])
        for unit in units:
            for kind, counts in zip(kinds, unit, strict=True):
                kind.update(counts)
        seconds = sums.sum(0) @ [LAUNCH, WAIT, LAUNCH, WAIT]
        rows.append([protocol, budget, str(len(units)), *(f"{v:,.0f}" for v in sums.mean(0)), f"{seconds:.2f}"])
        whole += [len(units), *sums.sum(0)]
    seconds = whole[1:] @ [LAUNCH, WAIT, LAUNCH, WAIT]
    rows.append(["together", "", *(f"{v:,.0f}" for v in whole), f"{seconds:.2f}"])
    head = ("protocol", "budget", "units", "launches", "waits", "launches of statistics", "waits of statistics", "s")
    lines = table(head, rows)
    print(lines)
    if asked.kinds:
        for kind in kinds:
            print(kind.most_common(40))
    if asked.out:
        refresh(asked.out, {"launches": lines})


if __name__ == "__main__":
    main()
