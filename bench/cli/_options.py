"""Options of the command line made of the fields of a dataclass, and a help that shows options in groups."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import click

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]
OTHERS = "Options"
OWN_CARDS = "Your task cards (a folder, or one card), for old runs that kept no copy of theirs."
"""Help of `--tasks` where results are read."""
RECORDS = click.option(
    "--records",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of submissions or runs [default: submissions/ and runs/].",
)
"""Where results are read from."""


class Option(click.Option):
    """An option that stands under a heading of the help."""

    def __init__(self, *args: Any, group: str = OTHERS, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class Grouped(click.Command):
    """A command whose help has a section for each group of options."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if isinstance(parameter, click.Option) and (row := parameter.get_help_record(ctx)) is not None:
                groups.setdefault(getattr(parameter, "group", OTHERS), []).append(row)
        for heading, rows in groups.items():
            with formatter.section(heading):
                formatter.write_dl(rows)


class Group(click.Group):
    """A verb of several commands, whose help shows the first line of each whole, as that of `medssl` does."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            lines = {name: command.get_short_help_str(limit=1000) for name, command in sorted(self.commands.items())}
            formatter.write_dl([(name, line.rstrip(".")) for name, line in lines.items()])


def options_of(group: type, *names: str, **defaults: Any) -> Decorator:
    """An option for each field of a group of options, or for these; defaults: where a verb has another."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        types = get_type_hints(group)
        for field in reversed(fields(group)):
            if names and field.name not in names:
                continue
            if is_dataclass(field.default):
                function = options_of(type(field.default))(function)
            elif "help" in field.metadata:
                how = {"default": defaults.get(field.name, field.default), **_how(types[field.name], field.metadata)}
                heading = (group.__doc__ or OTHERS).rstrip(".")
                flags = (field.metadata["flag"] or f"--{field.name.replace('_', '-')}", field.name)
                function = click.option(*flags, cls=Option, group=heading, **how)(function)
        return function

    return decorate


def _how(hint: Any, metadata: Any) -> dict[str, Any]:
    """Arguments of `click.option` for a field."""
    kinds = {hint, *get_args(hint)}
    how: dict[str, Any] = {"help": metadata["help"]}
    if bool in kinds:
        return how | {"is_flag": True}
    if metadata["kind"] is not None:
        how["type"] = metadata["kind"]
    elif int in kinds:
        how["type"] = click.IntRange(*metadata["bounds"])
    elif metadata["path"]:
        how["type"] = click.Path(exists=True)
    return how | ({"multiple": True} if Ellipsis in kinds else {"show_default": "[default" not in metadata["help"]})
