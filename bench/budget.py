"""A label budget: how many of the training labels may be used."""

import re
from typing import Any, Self

from pydantic_core import CoreSchema, core_schema

_WRITTEN = re.compile(r"(100|[1-9]\d?)%|k=0|k=[1-9]\d{0,3}|n=[1-9]\d{0,4}", re.ASCII)


class Budget(str):
    """A label budget, which is its text: a share of the labels "10%", images of each class "k=4", images "n=16".

    "k=0" is of what reads no labels. Files, tables and keys hold it as it stands. Raises ValueError for other text.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Read `text`."""
        if not _WRITTEN.fullmatch(text):
            raise ValueError("a label budget is a share '10%', images of each class 'k=4', or images 'n=16'")
        return super().__new__(cls, text)

    @property
    def kind(self) -> str:
        """ "%", "k=", "n=", or "k=0", which no protocol that learns from labels takes."""
        return str(self) if self == NONE else self[:2] if "=" in self else "%"

    @property
    def number(self) -> int:
        """The number in it: per cent, images of each class, images."""
        return int(self.strip("%kn="))

    @property
    def share(self) -> float:
        """Share of the labels, in (0, 1]; NaN for a number of images."""
        return self.number / 100 if self.kind == "%" else float("nan")

    def images(self, n: int, classes: int) -> int:
        """How many of `n` images it asks for; at least one unless it asks for none."""
        if self.kind == "%":
            return max(1, round(n * self.number / 100))
        return self.number * classes if self.kind == "k=" else self.number

    @property
    def slug(self) -> str:
        """As a part of a file name or an address: "10pct", "k4"."""
        return self.replace("%", "pct").replace("=", "")

    @property
    def words(self) -> str:
        """As people read it.

        >>> [Budget(text).words for text in ("100%", "5%", "k=4", "n=1", "k=0")]
        ['all labels', '5 % of the labels', '4 labels a class', '1 labelled image', 'no labels']
        """
        if self == NONE:
            return "no labels"
        if self.kind == "%":
            return "all labels" if self == FULL else f"{self.number} % of the labels"
        many = "s" * (self.number > 1)
        return f"{self.number} label{many} a class" if self.kind == "k=" else f"{self.number} labelled image{many}"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        """A text that is read; written as it stands."""
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


FULL, NONE = Budget("100%"), Budget("k=0")
