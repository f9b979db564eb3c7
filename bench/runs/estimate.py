"""What a run will take, from a short calibration: time, memory, disk."""

import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.allocator import freed_memory_returned
from bench.budget import FULL
from bench.data.dataset import TaskData
from bench.data.task import Task
from bench.encoders.base import Encoder
from bench.errors import NotForThisEncoderError
from bench.features.roomy import HELD
from bench.locate import home
from bench.memory import held
from bench.metrics.resample import KEPT_BYTES, draw_bytes
from bench.metrics.scored import memory_bytes
from bench.protocols.base import UnitSizes
from bench.runs.plan import Plan
from bench.runs.rehearsal import Rehearsal, rehearse
from bench.runs.stand_in import data_of


@dataclass(frozen=True)
class TaskEstimate:
    """Expectation for one task. `solve_seconds`: protocols, statistics and writing (`bench.runs.rehearsal`)."""

    task: str
    units: int
    images: int
    encode_seconds: float
    solve_seconds: float
    feature_bytes: int
    solver_bytes: int = 0
    """Memory of the unit that takes most, beside the features."""
    statistics_bytes: int = 0
    """Memory of the statistics of the test split that take most, beside the draws."""
    draw_bytes: int = 0
    """Bootstrap draws of the test splits, which are kept for other runs in the same process."""
    prepared: bool = True
    """False: the data are not on this machine, and the card's counts with made-up images stand for them."""
    encoder_bytes: int = 0
    """Memory of encoding a batch."""
    mapped_bytes: int = 0
    """Of the features, those that lie in files while they are used (`bench.features.roomy`)."""


@dataclass(frozen=True)
class RunEstimate:
    """Expectation for a run, as busy as the machine is now."""

    tasks: tuple[TaskEstimate, ...]
    memory_bytes: int
    disk_free: int

    @property
    def seconds(self) -> float:
        """Wall time in one process."""
        return sum(t.encode_seconds + t.solve_seconds for t in self.tasks)

    @property
    def disk_bytes(self) -> int:
        """Features kept on disk, the largest part of what a run writes."""
        return sum(t.feature_bytes for t in self.tasks)


def estimate(
    encoder: Encoder, plan: Plan, *, accept_checksum: bool = False, told: Callable[[str], None] = lambda line: None
) -> RunEstimate:
    """Estimate the run of `plan`: of each task some images are encoded and a few units run on them (`rehearse`).

    Data that are not prepared yet are not touched when the card says how many images there are: noise stands for
    them, measured once for all tasks of one shape. told: called with what is under way. Raises DataError, EncoderError
    as the run itself would.
    """
    known: dict[object, Rehearsal] = {}
    found = []
    for number, name in enumerate(plan.selected, 1):
        told(f"{name}: a few units as a trial (task {number} of {len(plan.selected)})")
        found.append(_of_task(encoder, plan, plan.tasks[name], accept_checksum, known))
    freed_memory_returned()
    memory = held() + max(map(_at_once, found), default=0) + _draws(found)
    home().mkdir(parents=True, exist_ok=True)
    return RunEstimate(tuple(found), memory, shutil.disk_usage(home()).free)


def _at_once(task: TaskEstimate) -> int:
    """Bytes while the last images are encoded, or a unit is scored: its solver still holds what it works on."""
    working = max(task.encoder_bytes, task.solver_bytes + task.statistics_bytes)
    return task.feature_bytes - task.mapped_bytes + working


def _draws(tasks: Sequence[TaskEstimate]) -> int:
    """Bytes of the draws that are held together; those of one task always are."""
    each = [task.draw_bytes for task in tasks]
    return min(sum(each), max([KEPT_BYTES, *each]))


def _of_task(
    encoder: Encoder, plan: Plan, task: Task, accept_checksum: bool, known: dict[object, Rehearsal]
) -> TaskEstimate:
    data, counts, prepared = data_of(plan, task, accept_checksum=accept_checksum)
    units = plan.units(task)
    names = dict.fromkeys(unit.protocol for unit in units)
    dense = any(plan.protocols[n].reads_grid for n in names)
    images = sum(counts.values())
    like = task.name if prepared else _shape(data, names)
    try:
        found = known.get(like) or rehearse(
            encoder, data, [plan.protocols[name] for name in names], units, counts["train"]
        )
    except NotForThisEncoderError:
        return TaskEstimate(task.name, len(units), images, 0.0, 0.0, 0, prepared=prepared)
    known[like] = found
    k, tests = len(task.classes), tuple(counts[name] for name in data.tests)
    tested, pixels, solver = sum(tests), data.train.images[0].nbytes, 0
    solve = sum(found.units[name].once for name in names)
    for unit in units:
        cost, protocol = found.units[unit.protocol], plan.protocols[unit.protocol]
        parts, width = found.parts[unit.protocol]
        learnt, val = unit.budget.images(counts["train"], k), counts["val"] if unit.budget == FULL else 0
        together = len(units) if encoder.device.type == "cuda" else 1
        sizes = UnitSizes(task, learnt, val, tests, pixels, parts, width, together)
        solver = max(solver, protocol.memory_bytes(sizes))
        rows = protocol.learns_from(learnt, parts)
        seconds = cost.fixed + (cost.whole if unit.budget == FULL else cost.row) * rows
        solve += seconds * (tested if protocol.lazy else 1) + cost.test * tested
    size = images * found.image_bytes
    scored = max(memory_bytes(task, split, counts[name]) for name, split in data.tests.items())
    mapped = max(0, size - HELD * len(counts)) if task.volume and dense else 0
    return TaskEstimate(
        task.name,
        len(units),
        images,
        images * found.per_image,
        solve,
        size,
        solver_bytes=solver,
        statistics_bytes=scored,
        draw_bytes=draw_bytes(tested),
        encoder_bytes=found.working_bytes,
        prepared=prepared,
        mapped_bytes=mapped,
    )


def _shape(data: TaskData, names: Iterable[str]) -> tuple[object, ...]:
    """What the cost of made-up data depends on."""
    task = data.task
    sizes = [split.images.shape for split in data.splits.values()]
    return task.kind, task.target, task.metric, len(task.classes), *sizes, *names
