"""The contract of an adapter: the `[source]` table of a card, and how it becomes an encoder."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from bench.encoders.base import Encoder
from bench.encoders.card import EncoderCard
from bench.strict import Strict


@dataclass(frozen=True, slots=True)
class Place:
    """Where a card lies, and what its owner allows.

    folder: relative paths of the card start here and may not leave it, unless `allow_outside`.
    trust_code: whether a Python file or a TorchScript program of the author may run.
    """

    folder: Path
    trust_code: bool = False
    allow_outside: bool = False


class EncoderSource(Strict, ABC):
    """Schema and loader of one kind of source.

    A child is one module of `bench/encoders/sources` with `SOURCE = Child`; it sets `name`, adds its keys and
    writes `load`. Heavy or optional libraries are imported inside `load`.
    """

    name: ClassVar[str]
    places: ClassVar[frozenset[str]] = frozenset()
    """Keys that say where the weights are or what their hash should be, not what is computed with them."""
    runs_code: ClassVar[bool] = False
    """Whether loading it runs what its author wrote; `load` then asks `bench.encoders.trust.refuse_code` first."""
    adapter: str
    """Which module of `bench/encoders/sources` reads this table."""

    @abstractmethod
    def load(self, card: EncoderCard, place: Place) -> Encoder:
        """The encoder, in evaluation mode on the CPU. Raises EncoderError when it cannot be loaded."""

    def own_files(self, folder: Path) -> list[str]:
        """What the encoder is read from beside its card in `folder`, relative to it; [] where it lies elsewhere.

        Raises EncoderError when a file that names others cannot be read.
        """
        name = getattr(self, "weights", None)
        return [name] if name and (folder / name).is_file() else []
