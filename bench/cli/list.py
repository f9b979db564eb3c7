"""`medssl list`: List encoders, tasks, protocols, suites or objectives."""

import json
from collections.abc import Callable
from pathlib import Path

import click

Row = dict[str, str]


@click.command("list")
@click.argument("what", type=click.Choice(["encoders", "tasks", "protocols", "suites", "objectives"]))
@click.option(
    "--tasks",
    "folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Also the task cards of this folder.",
)
@click.option("--paradigm", help="Only encoders of this paradigm.")
@click.option("--domain", help="Only encoders pretrained on this: natural, histology, radiology, ...")
@click.option("--access", help="Only encoders whose weights are open, gated or on-request.")
@click.option("--family", help='Only encoders of this network family, e.g. "ViT" or "ResNet".')
@click.option("--size", help="Only small (30 M parameters), base (120 M), large (700 M) or giant encoders.")
@click.option("--licence", help="Only encoders whose licence holds this text.")
@click.option("--comparable", is_flag=False, flag_value="", help="Only this comparable set; alone, any set.")
@click.option("--search", help="Only encoders whose card holds this text.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def COMMAND(what: str, folder: Path | None, as_json: bool, **filters: str | None) -> None:
    """List encoders, tasks, protocols, suites or objectives."""
    given = {key: value for key, value in filters.items() if value is not None}
    if given and what != "encoders":
        raise click.UsageError(f"--{next(iter(given))} is for encoders")
    rows = _encoders(folder, **given) if given else _LISTS[what](folder)
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        show(what, rows)


def show(what: str, rows: list[Row] | None = None) -> None:
    """Print a list as one table, a line each; texts that find no room in a terminal are cut or left out."""
    from bench.cli._print import print_table

    rows = _LISTS[what](None) if rows is None else rows
    print_table(f"{len(rows)} {what}", rows, cut=("title", "licence", "comparable", "access", "objective"))


def _encoders(folder: Path | None, **filters: str) -> list[Row]:
    from bench.encoders import catalogue, reference
    from bench.encoders.catalogue import size_of

    found = [*reference.cards().values(), *catalogue.cards().values()]
    return [
        {
            "name": c.name,
            "paradigm": c.paradigm,
            "objective": c.objective,
            "family": c.family or c.architecture,
            "size": size_of(c),
            "domain": c.domain or "",
            "access": c.access or "",
            "comparable": c.comparable or "",
            "licence": c.licence,
            "title": c.title,
        }
        for c in _filtered(found, filters)
    ]


def _filtered(found: list, filters: dict[str, str]) -> list:
    """The cards that every filter holds for. Raises UsageError for a word that no card has."""
    from bench.encoders.catalogue import size_of

    for key, wanted in filters.items():
        texts = {c.name: _text(c, key, size_of(c)) for c in found}
        part = key in ("licence", "search")
        kept = [c for c in found if wanted.lower() in texts[c.name] if part or wanted.lower() == texts[c.name]]
        if key == "comparable" and not wanted:
            kept = [c for c in found if c.comparable]
        if not kept and not part:
            known = sorted({text for text in texts.values() if text})
            raise click.UsageError(f"--{key} {wanted!r}: none of these encoders; they have {', '.join(known)}")
        found = kept
    return found


def _text(card, key: str, size: str) -> str:
    if key == "search":
        return card.model_dump_json(exclude_none=True).lower()
    return size if key == "size" else (getattr(card, key) or "").lower()


def _tasks(folder: Path | None) -> list[Row]:
    from bench.data.task import shipped_tasks, tasks_in

    known = shipped_tasks() | (tasks_in(folder) if folder else {})
    return [
        {
            "name": t.name,
            "kind": t.kind,
            "modality": t.modality,
            "target": t.target,
            "metric": t.metric,
            "title": t.title,
            "licence": t.licence,
        }
        for t in known.values()
    ]


def _protocols(folder: Path | None) -> list[Row]:
    from bench.discover import members

    return [
        {"name": p.name, "kind": p.kind, "board": p.board, "title": p.title}
        for p in members("bench.protocols", "PROTOCOL").values()
    ]


def _suites(folder: Path | None) -> list[Row]:
    from bench.data.task import read_suite, suite_names

    return [
        {"name": s.name, "tasks": str(len(s.tasks)), "protocols": str(len(s.protocols)), "title": s.title}
        for s in map(read_suite, suite_names())
    ]


def _objectives(folder: Path | None) -> list[Row]:
    from bench.pretrain.job import objectives

    found = sorted(objectives().values(), key=lambda o: (o.paradigm, o.name))
    return [{"name": o.name, "paradigm": o.paradigm, "title": o.method} for o in found]


_LISTS: dict[str, Callable[[Path | None], list[Row]]] = {
    "encoders": _encoders,
    "tasks": _tasks,
    "protocols": _protocols,
    "suites": _suites,
    "objectives": _objectives,
}
