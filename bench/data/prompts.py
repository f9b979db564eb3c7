"""`[prompts]` of a task card: the sentences that stand for each class when an encoder is asked without labels."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from bench.strict import Line, Strict

PLACE = "{}"
MOST = 20_000
"""Sentences of a task, all classes together: each is read by a text tower."""


class Prompts(Strict):
    """Words for each class, each put into every template. Text is joined and never evaluated.

    >>> Prompts(templates=["a scan of {}"], classes={"a": ["x", "y"], "b": ["z"]}).sentences(["a", "b"])
    [['a scan of x', 'a scan of y'], ['a scan of z']]
    """

    templates: Annotated[list[Line], Field(min_length=1, max_length=100)] = [PLACE]
    """Each holds "{}" once, where the words of a class go; by default the words stand alone."""
    classes: Annotated[dict[Line, Annotated[list[Line], Field(min_length=1, max_length=100)]], Field(min_length=1)]
    """Name of the class as in the card's `classes` -> its words."""

    @model_validator(mode="after")
    def _plain_text(self) -> Self:
        for template in self.templates:
            if template.count(PLACE) != 1:
                raise ValueError(f"the template {template[:60]!r} does not hold {PLACE!r} once")
        if len(self.templates) * sum(map(len, self.classes.values())) > MOST:
            raise ValueError(f"more than {MOST:,} sentences")
        return self

    def sentences(self, classes: list[str]) -> list[list[str]]:
        """The sentences of each class, in the order of `classes`."""
        return [[t.replace(PLACE, words) for words in self.classes[name] for t in self.templates] for name in classes]
