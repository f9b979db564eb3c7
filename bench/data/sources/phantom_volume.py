"""Volumes made by procedure (`bench.phantoms.volumes`): nothing to download, always labelled synthetic."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from bench.data.dataset import Split, TaskSource, arrays_of
from bench.data.sources.phantom import check_sum, check_synthetic, counts_of
from bench.data.task import Task
from bench.phantoms.generate import mapped
from bench.phantoms.volumes import CLASSES, MASK_CLASSES, SPACING, nodules, volume
from bench.strict import Sha256

Count = Annotated[int, Field(ge=1, le=20_000)]


class PhantomVolumeSource(TaskSource):
    """Blocks of lung CT, with a nodule or without: the seed, and the number of volumes of each split.

    A task of masks has volumes with up to three nodules, and these are its masks. `shift` volumes of a second scanner
    make the split "test-shift". `sha256` is the hash of all arrays.
    """

    name: ClassVar[str] = "phantom-volume"
    unread: ClassVar[frozenset[str]] = frozenset({"aggregation"})
    reader: Literal["phantom-volume"]
    volume: Literal[True]
    aggregation: Literal["mean", "max"] | None = None
    """How the features of a volume's slices become one vector, for encoders of flat images."""
    seed: Annotated[int, Field(ge=0, le=2**31)]
    train: Count
    val: Count
    test: Count
    shift: Annotated[int, Field(ge=0, le=20_000)] = 0
    sha256: Sha256 | None = None

    def load(self, task: Task, folder: Path) -> dict[str, Split]:
        """Draw every split. Raises CardError when the card is not the phantom's, DataError on another checksum."""
        masked = task.kind == "dense"
        check_synthetic(task, MASK_CLASSES if masked else CLASSES, "ct")
        splits = {name: self._split(name, n, masked) for name, n in counts_of(self).items()}
        check_sum(task, arrays_of(splits), self.sha256)
        return splits

    def _split(self, name: str, n: int, masked: bool) -> Split:
        drawn = mapped(nodules if masked else volume, [(self.seed, name, i) for i in range(n)])
        return Split(
            images=np.stack([v.image for v in drawn]),
            labels=np.stack([v.mask for v in drawn]) if masked else np.array([v.label for v in drawn], np.int64),
            ids=np.array([f"{name}/{i}" for i in range(n)]),
            strata={"contrast": np.array([v.contrast for v in drawn])},
            spacing=np.tile(np.array(SPACING), (n, 1)),
        )


SOURCE = PhantomVolumeSource
