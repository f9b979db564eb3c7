"""`python -m bench.cli`: the `medssl` command where no script of that name is installed."""

from bench.cli import main

main()
