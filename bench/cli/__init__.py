"""The `medssl` command: one module a verb, imported only when it is asked for."""

import errno
import os
import sys
from importlib import import_module
from pathlib import Path

import click

from bench.discover import add_plugins
from bench.errors import UserError
from bench.strict import nearest
from bench.threads import give_cores_up
from bench.version import __version__

DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG)
"""What a disk answers that is full, read-only or another's, or that takes no such name."""


class _Verbs(click.Group):
    """Finds each verb by its file name in this folder, so that `medssl --help` imports nothing heavy."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(p.stem.replace("_", "-") for p in Path(__file__).parent.glob("[a-z]*.py"))

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        return import_module(f"bench.cli.{name.replace('-', '_')}").COMMAND

    def resolve_command(self, ctx, args):
        if args and args[0] not in self.list_commands(ctx) and not args[0].startswith("-"):
            near = nearest(args[0], self.list_commands(ctx))
            hint = f" Did you mean {near!r}?" if near else " See 'medssl --help'."
            raise click.UsageError(f"No such command {args[0]!r}.{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, _first_line(name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _first_line(verb: str) -> str:
    """First line of the module's docstring, read without importing it."""
    text = (Path(__file__).parent / f"{verb.replace('-', '_')}.py").read_text(encoding="utf-8")
    return text.split('"""')[1].strip().splitlines()[0].split("`: ", 1)[-1].rstrip(".")


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="medssl")
@click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A Python file with a protocol, metric, source, ... of your own; needs --trust-code.",
)
@click.option("--trust-code", is_flag=True, help="Run the files of --plugin. They can do anything you can.")
def medssl(plugins: tuple[Path, ...], trust_code: bool) -> None:
    """Score self-supervised image encoders for medicine, and build the leaderboard."""
    if plugins and not trust_code:
        fix = "read it, then put --trust-code beside --plugin"
        raise UserError("is code, which runs only when you say so", where=plugins[0], fix=fix)
    add_plugins(plugins)


def _open_closed_streams() -> None:
    """Make closed standard streams the null device: the next file opened would be written to in their place."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, encoding="utf-8"))


def main(arguments: list[str] | None = None) -> None:
    """Entry point: a UserError is one message and exit code 2, as is what a disk refuses; an interrupt is 130."""
    _open_closed_streams()
    give_cores_up()
    try:
        code = medssl.main(args=arguments, prog_name="medssl", standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except UserError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in DISK:
            raise
        click.echo(f"Error: {error.filename or 'the output'}: {error.strerror}", err=True)
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        click.echo("Interrupted. Run the same command again to resume.", err=True)
        sys.exit(130)
