"""The corpus and the recipe of the laws: a step takes milliseconds."""

from bench.laws.objectives import corpus, recipe  # noqa: F401
