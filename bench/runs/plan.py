"""What a run consists of: every unit of a suite, grouped by task."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.budget import FULL, NONE
from bench.data.task import ProtocolUse, Suite, Task, own_cards_in, read_suite, read_task, shipped_tasks, suite_names
from bench.discover import members, pick
from bench.errors import CardError
from bench.protocols.base import Protocol
from bench.runs.kept import FILE, KeptPlan, holders, kept_plan
from bench.runs.own_name import own_names
from bench.runs.records import Unit
from bench.words import SCALARS


@dataclass(frozen=True)
class Plan:
    """A suite with its tasks, the folder their relative paths start from, and its protocols.

    selected: names of the tasks to run, all of them unless some were asked for. origin: where one's own cards lie, a
    folder or one card; None for a suite of shipped tasks. base: the suite whose protocols are used on them, if any.
    """

    suite: Suite
    tasks: Mapping[str, Task]
    folders: Mapping[str, Path | None]
    protocols: Mapping[str, Protocol]
    selected: tuple[str, ...]
    origin: Path | None = None
    base: str = ""

    def units(self, task: Task) -> list[Unit]:
        """Every unit of one task, in the order of the suite; protocols of the other kind have none."""
        return [unit for use in self.suite.protocols for unit in self._units_of(task, use)]

    def _units_of(self, task: Task, use: ProtocolUse) -> list[Unit]:
        protocol = self.protocols[use.name]
        if protocol.kind != task.kind or {task.target} & {*SCALARS} != {*protocol.targets} & {*SCALARS}:
            return []
        if protocol.bags == "only" and not task.bags:
            return []
        if protocol.volumes != "too" and task.volume != (protocol.volumes == "only"):
            return []
        return [
            Unit(task=task.name, protocol=use.name, budget=budget, seed=seed)
            for budget in use.budgets
            for seed in range(use.seeds if budget != FULL or protocol.seeded else 1)
        ]

    @property
    def keys(self) -> set[str]:
        """Keys of every unit of every task, also of tasks that are not selected."""
        return {unit.key for task in self.tasks.values() for unit in self.units(task)}

    def kept(self) -> KeptPlan:
        """What a run folder keeps of it."""
        folders = {name: str(folder.resolve()) for name, folder in self.folders.items() if folder is not None}
        return KeptPlan(
            suite=self.suite, tasks=dict(self.tasks), folders=folders, origin=str(self.origin or ""), base=self.base
        )

    @property
    def n_units(self) -> int:
        """Number of units of the whole run."""
        return sum(len(self.units(self.tasks[name])) for name in self.selected)


LOCAL_PROTOCOLS = {
    "knn-v1": (["100%"], 1),
    "linear-v2": (["1%", "10%", "100%"], 5),
    "dense-linear-v2": (["10%", "100%"], 5),
}

NUMBERS = {"ridge-v1": (["10%", "100%"], 5)}
"""Protocols of folders in which a task predicts a number."""

SURVIVAL = {"cox-v1": (["10%", "100%"], 5)}
"""Protocols of folders in which a task asks who has an event first."""

PROMPTS = {"zero-shot-v1": ([NONE], 1)}
"""Protocols of folders in which a task has prompts."""

BAGS = {"bag-max-v1": (["10%", "100%"], 5), "bag-attention-v1": (["100%"], 3)}
"""Protocols of folders in which the cases of a task are bags."""

VOLUMES = {"dense-volume-v1": (["25%", "100%"], 3)}
"""Protocols of folders in which the masks of a task are those of volumes."""


def make_plan(
    suite: str | Path | None, tasks: Path | None = None, only: tuple[str, ...] = (), *, out: Path | None = None
) -> Plan:
    """The plan of a suite, of one's own task cards, or of a suite's protocols on one's own cards.

    tasks: a folder of cards, or one card. only: names of tasks to run; all of the suite when empty. out: folder of
    runs, in which a suite of one's own gets a name that no other has.
    Raises CardError for unknown names, for a folder without cards, and for a suite file whose name is another's.
    """
    own = own_cards(tasks) if tasks else {}
    chosen = _suite(suite, tasks, {name: task for name, (task, _) in own.items()}, out)
    known = {**shipped_tasks(), **{name: task for name, (task, _) in own.items()}}
    for name in only:
        pick(dict.fromkeys(chosen.tasks), name, what="task", where=chosen.name)
    available = members("bench.protocols", "PROTOCOL")
    return Plan(
        chosen,
        {name: pick(known, name, what="task", where=chosen.name) for name in chosen.tasks},
        {name: own[name][1] if name in own else None for name in chosen.tasks},
        {use.name: pick(available, use.name, what="protocol", where=chosen.name) for use in chosen.protocols},
        tuple(name for name in chosen.tasks if not only or name in only),
        None if tasks is None or chosen.name in suite_names() else tasks.resolve(),
        str(suite or ""),
    )


def plan_of(kept: KeptPlan) -> Plan:
    """The plan a run folder was made with, as far as its protocols are installed here."""
    available = members("bench.protocols", "PROTOCOL")
    uses = [use for use in kept.suite.protocols if use.name in available]
    folders = {name: Path(kept.folders[name]) if name in kept.folders else None for name in kept.tasks}
    return Plan(
        kept.suite.model_copy(update={"protocols": uses}),
        kept.tasks,
        folders,
        {use.name: available[use.name] for use in uses},
        tuple(kept.suite.tasks),
        Path(kept.origin) if kept.origin else None,
        kept.base,
    )


def own_cards(place: Path) -> dict[str, tuple[Task, Path]]:
    """Name -> (task, folder of its card) of one's own cards: a folder, or one card. Raises CardError without any."""
    if place.suffix == ".toml" and not place.is_dir():
        task = read_task(place)
        return {task.name: (task, place.parent)}
    return own_cards_in(place)


def _suite(suite: str | Path | None, tasks: Path | None, own: Mapping[str, Task], out: Path | None) -> Suite:
    """The suite a user means; one of own tasks is named after their folder, also under a shipped suite's protocols."""
    chosen = read_suite(suite) if suite else _own_suite(own)
    is_file = suite is not None and Path(suite).suffix == ".toml"
    if is_file and chosen.name in suite_names():
        raise CardError(
            f"{chosen.name!r} is a suite that comes with medssl", where=suite, fix="give yours another name"
        )
    if tasks is None:
        return chosen
    if suite is not None and not set(own) & set(chosen.tasks):
        chosen = chosen.model_copy(update={"tasks": sorted(own)})
    if suite is not None and not is_file and _as_shipped(chosen, own):
        return chosen
    held = holders(out, tasks.resolve(), str(suite or ""), own)
    if is_file:
        if _is_taken(chosen.name, held.others) and (held.others[chosen.name] / FILE).exists():
            what = f"{held.others[chosen.name]} holds results of another suite {chosen.name!r}"
            raise CardError(what, where=suite, fix="give yours another name, or choose another --out")
        return chosen
    return chosen.model_copy(update={"name": held.name or _free_name(tasks, str(suite or ""), held.others)})


def _as_shipped(suite: Suite, own: Mapping[str, Task]) -> bool:
    """Whether one's own cards are the shipped ones of the suite: copies that lie beside the data, maybe older ones
    without prompts."""
    shipped = shipped_tasks()
    return set(own) <= set(suite.tasks) and all(_same(shipped.get(name), task) for name, task in own.items())


def _same(shipped: Task | None, own: Task) -> bool:
    if shipped is None or shipped.sha256 != own.sha256:
        return False
    return own.prompts is None or own.prompts == shipped.prompts


def _free_name(tasks: Path, base: str, others: Mapping[str, Path]) -> str:
    names = (f"{name}-{base}" if base else name for name in own_names(tasks))
    return next(name for name in names if name not in suite_names() and not _is_taken(name, others))


def _is_taken(name: str, others: Mapping[str, Path]) -> bool:
    """Raises CardError where a plan cannot be read: it may be of these very tasks, which would all run anew."""
    if name in others:
        kept_plan(others[name])
    return name in others


def _own_suite(own: Mapping[str, Task]) -> Suite:
    """A suite of one's own tasks under the common frozen protocols; it is named after their folder."""
    numbers = any(task.target == "number" for task in own.values())
    bags = any(task.bags for task in own.values())
    prompts = any(task.prompts for task in own.values())
    volumes = any(task.volume and task.kind == "dense" for task in own.values())
    survival = any(task.target == "survival" for task in own.values())
    more = ((numbers, NUMBERS), (bags, BAGS), (prompts, PROMPTS), (volumes, VOLUMES), (survival, SURVIVAL))
    wanted = LOCAL_PROTOCOLS | {name: use for there, uses in more if there for name, use in uses.items()}
    return Suite.parse(
        {
            "schema": 1,
            "name": "own",
            "title": "Own tasks",
            "tasks": sorted(own),
            "protocols": [{"name": n, "budgets": b, "seeds": seeds} for n, (b, seeds) in wanted.items()],
        },
        where="own tasks",
    )
