"""Features of a whole task written to a file, for an encoder that cannot leave where it is."""

from __future__ import annotations

from pathlib import Path

from bench.data.dataset import Split, TaskData
from bench.encoders.base import Encoder
from bench.encoders.embedding_files import write_embeddings
from bench.encoders.features import Features
from bench.features.extract import extract
from bench.features.looks import looked_at


def export_embeddings(encoder: Encoder, data: TaskData, path: Path, *, grid: bool = False) -> str:
    """Write an encoder's features of every split of a task, with grids for a dense task. Returns the file's sha256.

    grid: also for a global task, where the attentive probe needs them.
    """

    def features(split: Split) -> Features:
        def found(dense: bool) -> Features:
            return extract(encoder, looked_at(encoder, split), dense=dense, spacing=split.spacing)

        if data.task.kind == "dense":
            return found(True)
        return Features(found(False).pooled, found(True).grid if grid else None)

    return write_embeddings(path, {name: (split.ids, features(split)) for name, split in data.splits.items()})
