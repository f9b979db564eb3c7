"""`medssl new`: Write a commented card for an encoder of yours."""

import sys
from pathlib import Path
from shlex import quote
from typing import Any

import click

BLANK = ("author", "licence", "paradigm", "objective", "method")
"""What only the author knows: never made up."""
DEFAULTS = {
    "architecture": "vit",
    "adapter": "timm",
    "model": "vit_small_patch16_224",
    "size": 224,
    "normalisation": "imagenet",
    "pooling": "native",
}


@click.command("new")
@click.argument("name")
@click.option(
    "--from",
    "source",
    type=click.Path(exists=True, path_type=Path),
    help="Weights file or model folder that you have: adapter, network and preprocessing are read from it.",
)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write [default: NAME].")
@click.option("--title", help="Title in tables [default: NAME].")
@click.option("--author", help="Who made it.")
@click.option("--licence", help="Licence of the weights.")
@click.option("--paradigm", help="How it was pretrained: contrastive, predictive, generative, hybrid; or reference.")
@click.option("--objective", help="The pretraining objective, more exactly, e.g. self-distillation.")
@click.option("--method", help="Name of the method, e.g. DINO.")
@click.option("--architecture", help="vit, cnn or other [default: vit].")
@click.option(
    "--adapter",
    help="What reads the weights: timm, huggingface, onnx, embeddings, torchscript, torch-export, python "
    "[default: timm].",
)
@click.option("--model", help="timm architecture, or owner/name on the Hugging Face hub.")
@click.option(
    "--weights",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Weights file, copied beside the card.",
)
@click.option("--size", type=int, help="Side of the images it takes, in pixels [default: 224].")
@click.option(
    "--normalisation",
    help="Mean and std of pixels: imagenet, clip, half (0.5, 0.5), identity (0, 1); others go on the card "
    "[default: imagenet].",
)
@click.option("--pooling", help="Vector of an image: native, cls, mean, cls+mean, max [default: native].")
@click.option("--trust-code", is_flag=True, help="With --from: run a program once, to see what it returns.")
@click.option("--yes", is_flag=True, help="Ask nothing; what only you know stays blank.")
def COMMAND(
    name: str,
    out: Path | None,
    title: str | None,
    weights: Path | None,
    source: Path | None,
    trust_code: bool,
    yes: bool,
    **given: Any,
) -> None:
    """Write the card of an encoder of yours, NAME/encoder.toml, with comments.

    \b
    medssl new NAME --from last.ckpt    fill it in from weights that you have
    medssl new NAME                     be asked for what the options leave open

    Leave blank what you do not know: 'medssl check NAME' names what is missing.
    """
    from bench.encoders.new import CardAnswers, write_card

    folder = out or Path(name)
    if source is not None:
        if weights is not None or given["adapter"]:
            raise click.UsageError("--from finds the adapter and the weights itself: leave --adapter and --weights out")
        _check_words(given)
        _from(source, {"name": name, "title": title or name, **given}, folder, trust_code)
        return
    if trust_code:
        raise click.UsageError("--trust-code goes with --from")
    said = {"name": name, "title": title or name, **_asked(given, ask=not yes and _interactive())}
    path = write_card(CardAnswers(weights=weights, **said), folder)
    click.echo(f"Wrote {path}")
    if weights is None and said["adapter"] != "huggingface":
        what = "files of features" if said["adapter"] == "embeddings" else "weights"
        click.echo(f"Put the {what} beside it and name them with their sha256 under [source].")
    _next(folder)


def _from(source: Path, said: dict[str, Any], folder: Path, trust_code: bool) -> None:
    from bench.encoders.new import write_found

    path, assumed = write_found(source, said, folder, trust_code=trust_code)
    click.echo(f"Wrote {path}." + (" Assumed, please check:" if assumed else ""))
    for line in assumed:
        click.echo(f"  {line}")
    _next(folder)


def _next(folder: Path) -> None:
    click.echo(f"Next: medssl check {quote(str(folder))}  # names what is left for you to fill in")


def _interactive() -> bool:
    return sys.stdin.isatty()


def _asked(given: dict[str, Any], *, ask: bool) -> dict[str, Any]:
    """Each option as given, as answered, by default, or "". Raises UsageError as `_check_words`."""
    answers = {}
    for key, value in given.items():
        if value is None and (key in DEFAULTS or key in BLANK):
            value = _prompt(key) if ask else DEFAULTS.get(key, "")
        answers[key] = value
    _check_words(answers)
    return answers


def _check_words(given: dict[str, Any]) -> None:
    """UsageError for a word that is not on its list."""
    for key, choices in _choices().items():
        if given.get(key) and given[key] not in choices:
            raise click.UsageError(f"--{key} is {given[key]!r}, expected one of: {', '.join(choices)}")


def _prompt(key: str) -> Any:
    """An answer; Enter alone takes the default, or leaves blank what only the author knows."""
    choices, default = _choices().get(key, []), DEFAULTS.get(key, "")
    kind = click.Choice([*choices, *([""] if key in BLANK else [])]) if choices else type(default)
    text = f"{key.capitalize()} ({', '.join(choices)})" if choices else key.capitalize()
    return click.prompt(text, default=default, type=kind, show_choices=False, show_default=key in DEFAULTS)


def _choices() -> dict[str, list[str]]:
    from typing import get_args

    from bench.encoders.new import ADAPTERS
    from bench.encoders.normalisations import NORMALISATIONS
    from bench.words import PARADIGMS, Objective, Pooling

    return {
        "paradigm": list(PARADIGMS),
        "objective": list(get_args(Objective)),
        "architecture": ["vit", "cnn", "other"],
        "adapter": list(ADAPTERS),
        "normalisation": list(NORMALISATIONS),
        "pooling": list(get_args(Pooling)),
    }
