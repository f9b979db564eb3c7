"""How many operations the frozen units hand to a GPU, counted without one: what a unit costs there at the least.

    OMP_NUM_THREADS=1 python benchmarks/launches.py [--out docs/gpu.md]

Four small phantom tasks under the protocols of phantom-v1 (168 units), 768 features an image, patch grids of 14 x 14.
The units run on tensors in the memory of the CPU by the branches that CUDA takes. An operation that computes counts
as one launch; a factoring as the kernels it is made of; a wait is a value, or an array, that the host asks for, or the
number of rows that a mask picks. What factorings take by their length, and arithmetic, are not in the estimate.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import bench
from bench.features.resident import CPU, Resident
from bench.markers import refresh, table
from bench.metrics import products, ranking
from bench.protocols import _logistic, _loss
from bench.runs.fingerprint import fingerprint_of
from bench.runs.plan import make_plan
from bench.runs.score_task import Setting, Work

LAUNCH, WAIT = 7e-6, 20e-6
"""Seconds of a launch from Python, and of a wait beside it: what is usual for PyTorch on a server."""
FREE = ("view", "expand", "permute", "transpose", "select", "slice", "unsqueeze", "squeeze", "alias", "as_strided", "t",
        "detach", "split", "unbind", "diagonal", "empty", "reshape", "lift_fresh", "movedim", "new_empty", "unfold",
        "empty_like", "scalar_tensor", "_unsafe_view", "empty_strided", "resize_", "set_",
        "sym_size", "is_same_size", "flatten", "unflatten", "mT", "view_as", "resolve_conj", "resolve_neg")  # fmt: skip
KERNELS = {"_linalg_eigh": 40, "linalg_qr": 60, "linalg_cholesky_ex": 30, "cholesky_solve": 10, "linalg_pinv": 50,
           "topk": 4, "sort": 4, "bincount": 4, "cat": 1, "index_put_": 2}  # fmt: skip
"""Launches of what is more than one, roughly: a factoring of a few hundred rows in cuSOLVER."""
WAITS = {"_local_scalar_dense", "nonzero", "linalg_pinv", "bincount", "_unique2", "is_nonzero", "equal"}


class Counted(TorchDispatchMode):
    """Counts launches and waits."""

    def __init__(self) -> None:
        super().__init__()
        self.launches, self.waits = Counter[str](), Counter[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in WAITS:
            self.waits[name] += 1
        elif name.startswith("index") and _has_mask(args):
            self.waits["mask"] += 1
            self.launches["nonzero"] += 1
        if name not in FREE:
            self.launches[name] += KERNELS.get(name, 1)
        return func(*args, **(kwargs or {}))

    def taken(self) -> tuple[Counter[str], Counter[str]]:
        """Both counts, which begin anew."""
        found = self.launches, self.waits
        self.launches, self.waits = Counter(), Counter()
        return found


def _has_mask(args: Any) -> bool:
    index = args[1] if len(args) > 1 and isinstance(args[1], (list, tuple)) else ()
    return any(isinstance(i, Tensor) and i.dtype == torch.bool for i in index)


class Patches(nn.Module):
    """A random patch embedding: 768 features, whose content costs nothing."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Conv2d(3, 768, 16, 16)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        grid = torch.relu(self.embed(x))
        return grid.mean((2, 3)), grid


@contextmanager
def as_on_cuda(count: Counted) -> Iterator[None]:
    """The branches that CUDA takes, on tensors of the CPU; copies to and from the device are counted as waits."""
    down, up = Tensor.cpu, torch.as_tensor

    def cpu(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        count.waits["to the host"] += 1
        return down(self, *args, **kwargs)

    def as_tensor(data: Any, *args: Any, **kwargs: Any) -> Tensor:
        if isinstance(data, np.ndarray):
            count.waits["to the device"] += 1
        return up(data, *args, **kwargs)

    changed = (
        (Tensor, "cpu", cpu), (torch, "as_tensor", as_tensor), 
        (Resident, "of", classmethod(lambda cls, device: cls(CPU, free=lambda: 1 << 40))),
        (_logistic, "DIRECT", {}), (_logistic, "SHARE", {}), (_loss, "CHUNK", {}),
        (products, "CHUNK_BYTES", {}), (products, "BLOCK_BYTES", {}), (ranking, "BYTES_ADDED", "none"),
    )  # fmt: skip
    with ExitStack() as stack:
        for target, name, value in changed:
            stack.enter_context(patch.object(target, name, value))
        yield


def measured(
    most: int | None,
) -> dict[tuple[str, str], list[tuple[Counter[str], Counter[str], Counter[str], Counter[str]]]]:
    """(protocol, budget) -> of each unit, launches and waits of solving and of statistics."""
    encoder = bench.wrap(Patches(), name="patches", size=224, mean=(0.5,) * 3, std=(0.25,) * 3)
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

    with as_on_cuda(count), patch.object(Work, "_scored", scored):
        for task in list(tasks.values())[:most]:
            work = Work(encoder, task, None, setting)
            work.together = True
            units = plan.units(task)
            for name in dict.fromkeys(unit.protocol for unit in units):
                work._problem(plan.protocols[name])  # encoded outside the count
                assert work.counts
                with count:
                    count.taken()
                    for record, _ in work.run(plan.protocols[name], [u for u in units if u.protocol == name]):
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
