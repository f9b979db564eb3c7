"""`adapter = "embeddings"`: features computed elsewhere, for encoders that cannot leave a hospital.

One file a task, npz or parquet, made by `write_embeddings`. An npz holds, for each split, `{split}/ids` str (n,),
`{split}/pooled` float32 (n, d) and maybe `{split}/grid` float16 or float32 (n, gh, gw, c). A parquet file has the
columns `split`, `id`, `pooled` (list of d floats) and maybe `grid` (list) with the fixed columns `gh`, `gw`.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from torch import Tensor

from bench.encoders.base import Encoded, Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.embedding_files import read_embeddings, write_embeddings
from bench.encoders.features import Features
from bench.encoders.source import EncoderSource, Place
from bench.encoders.weights import inside, verify
from bench.errors import EncoderError
from bench.files import canonical_json, sha256_text
from bench.strict import Name, Sha256, Strict, did_you_mean

__all__ = ["SOURCE", "EmbeddingsEncoder", "EmbeddingsSource", "write_embeddings"]


class File(Strict):
    """One task's file."""

    path: Annotated[str, Field(min_length=1, max_length=500, pattern=r"\.(npz|parquet)$")]
    sha256: Sha256 | None = None


class EmbeddingsSource(EncoderSource):
    """`files`: task name -> its file."""

    name = "embeddings"
    places = frozenset({"files", "parameters"})
    adapter: Literal["embeddings"]
    files: Annotated[dict[Name, File], Field(min_length=1, max_length=1000)]
    parameters: Annotated[int, Field(ge=0)] = 0
    """Parameters of the network that made them, as its owner states."""

    def load(self, card: EncoderCard, place: Place) -> Encoder:
        paths = {task: inside(file.path, place, where=card.name) for task, file in self.files.items()}
        hashes = {task: verify(path, self.files[task].sha256, where=card.name) for task, path in paths.items()}
        encoder = EmbeddingsEncoder(card, paths, self.parameters, hashes)
        encoder.weights_sha256 = sha256_text(canonical_json(hashes))
        return encoder


class EmbeddingsEncoder(Encoder):
    """Looks features up by task, split and image id; it cannot encode an image."""

    precomputed = True

    def __init__(
        self, card: EncoderCard, paths: Mapping[str, Path], parameters: int, hashes: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(card)
        self._paths, self._parameters, self._hashes = paths, parameters, hashes or {}
        self._read = lru_cache(maxsize=2)(lambda task: read_embeddings(self._path(task)))

    @property
    def parameters(self) -> int:
        return self._parameters

    def weights_for(self, task: str) -> str | None:
        """SHA-256 of the task's file of features; None where there is none."""
        return self._hashes.get(task)

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks there are features of."""
        return sorted(self._paths)

    def shapes(self, task: str) -> dict[str, tuple[int, int, tuple[int, ...] | None]]:
        """Split name -> (number of images, feature dimension, grid shape or None). Raises as `lookup`."""
        return {
            split: (len(ids), f.vectors.shape[1], None if f.grid is None else f.grid.shape[1:])
            for split, (ids, f) in self._read(task).items()
        }

    def forward(self, x: Tensor, dense: bool) -> Encoded:
        raise EncoderError("holds precomputed features; it cannot encode other images", where=self.card.name)

    def lookup(self, task: str, split: str, ids: Sequence[str] | np.ndarray) -> Features:
        """Features of the images `ids` of one split, in that order.

        Raises EncoderError when the task, the split or an id is not there.
        """
        splits = self._read(task)
        if split not in splits:
            raise EncoderError(
                f"has no features of {task}, split {split!r}", where=self.card.name, fix=f"it has: {', '.join(splits)}"
            )
        held_ids, features = splits[split]
        rows = _rows(held_ids, np.asarray(ids), f"{self.card.name}: {task}/{split}")
        return Features(features.vectors[rows], None if features.grid is None else features.grid[rows])

    def _path(self, task: str) -> Path:
        if task not in self._paths:
            fix = did_you_mean(task, self.tasks, f"it has: {', '.join(self.tasks)[:200]}")
            raise EncoderError(f"has no features of the task {task!r}", where=self.card.name, fix=fix)
        return self._paths[task]


def _rows(held: np.ndarray, wanted: np.ndarray, where: str) -> np.ndarray:
    """Row of each wanted id. Raises EncoderError naming how many are missing, and the first."""
    position = {str(name): row for row, name in enumerate(held)}
    missing = [str(name) for name in wanted if str(name) not in position]
    if missing:
        raise EncoderError(
            f"{len(missing)} of {len(wanted)} images have no features (first: {missing[0][:80]!r})", where=where
        )
    return np.array([position[str(name)] for name in wanted], dtype=np.int64)


SOURCE = EmbeddingsSource
