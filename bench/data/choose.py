"""Which tasks a command means: names of tasks or suites, card files, folders of cards."""

from collections.abc import Sequence
from pathlib import Path

from bench.data.task import Task, own_cards_in, read_suite, read_task, shipped_tasks, suite_names
from bench.discover import pick
from bench.errors import UserError

Chosen = list[tuple[Task, Path | None]]
"""Tasks, each with the folder its relative paths start from (None: the downloads, then the working folder)."""


def chosen_tasks(names: Sequence[str]) -> Chosen:
    """The tasks of `names` in their order, each once; all shipped ones when there is no name. Raises CardError."""
    shipped = shipped_tasks()
    if not names:
        return [(task, None) for task in shipped.values()]
    found: dict[str, tuple[Task, Path | None]] = {}
    for name in names:
        for task, folder in _meant(name, shipped):
            found.setdefault(task.name, (task, folder))
    return list(found.values())


def _meant(name: str, shipped: dict[str, Task]) -> Chosen:
    if not name.strip():
        raise UserError("a name is empty", fix="give the name of a task or suite, a card, or a folder of cards")
    path = Path(name)
    if path.suffix == ".toml":
        return [(read_task(path), path.parent)]
    if name in suite_names():
        return [(pick(shipped, task, what="task", where=name), None) for task in read_suite(name).tasks]
    if name not in shipped and path.is_dir():
        return list(own_cards_in(path).values())
    return [(pick({**shipped, **dict.fromkeys(suite_names())}, name, what="task or suite"), None)]
