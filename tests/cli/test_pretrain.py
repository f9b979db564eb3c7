"""`medssl pretrain` does one job, with the options of that job; none goes unheard."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from bench.cli import medssl
from bench.cli._pretraining import GOES
from bench.cli.pretrain import COMMAND

UNHEARD = {
    "--objective mae --room 64": "--room does not go with --objective",
    "--objective mae --workers 3": "--workers does not go with --objective",
    "--objective list --seed 3": "--seed does not go with --objective list",
    "--merge . --out x --objective mae": "--objective does not go with --merge",
    "--merge . --merge . --out x --threads 2": "--threads does not go with --merge",
    "--pack x.npz --data .": "--data does not go with --pack",
    "--pack x.npz --tune": "--tune does not go with --pack",
    "--track x --recipe base": "--recipe does not go with --track NAME",
    "--track x --wandb offline": "--wandb does not go with --track NAME",
    "--track --device cuda": "--device does not go with --track",
    "--track --seed 1": "--seed does not go with --track: it goes with --track and --objective",
    "--track --objective mae --rate 0.1": "--rate does not go with --track and --objective",
    "--tune --backbone cnn": "--backbone does not go with --tune",
    "--tune --compile": "--compile does not go with --tune",
    "--report README.md --corpus ph2": "--corpus does not go with --report",
    "--objective mae --corpus ph2 --data .": "give --corpus or --data",
    "--objective random-init --rate 0.1": "--rate does not go with --objective random-init, which trains nothing",
    "--tune --objective random-init": "--tune does not go with --objective random-init",
    "--objective random-init --compile": "--compile does not go with --objective random-init",
    "--minutes 9": "give --objective NAME",
    "": "give --objective NAME",
}


@pytest.mark.parametrize("arguments", UNHEARD)
def test_an_option_that_would_go_unheard_is_refused(arguments):
    told = CliRunner().invoke(medssl, ["pretrain", *arguments.split()])
    assert told.exit_code == 2
    assert UNHEARD[arguments] in " ".join(told.output.split())


def test_every_option_goes_with_a_job():
    assert set.union(*GOES.values()) == {parameter.name for parameter in COMMAND.params}


def test_the_help_is_in_groups():
    shown = CliRunner().invoke(medssl, ["pretrain", "--help"]).output
    places = [shown.index(f"\n{title}:\n") for title in ("What is learnt", "Where it runs", "A controlled track")]
    assert places == sorted(places)
    assert (
        shown.index("\n  --rate")
        < places[1]
        < shown.index("\n  --device")
        < places[2]
        < shown.index("\n  --track [NAME]")
    )
