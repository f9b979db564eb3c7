"""What a volume costs each encoder: beside the score, for encoders of volumes and of slices alike."""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Literal

from bench.submissions.folder import Results


@dataclass(frozen=True, slots=True)
class VolumeCosts:
    """takes: the whole volume at once, or its slices one by one. memory_mb: beside the weights. flops: forward, with
    all slices. None where unknown."""

    takes: Literal["volumes", "slices"]
    seconds: float
    memory_mb: float | None
    flops: int | None


def volume_costs(results: Mapping[str, Results], tasks: Container[str] | None = None) -> dict[str, VolumeCosts]:
    """Encoder -> what a volume of these tasks (default: of all) costs it; of flat images nothing.

    Of several tasks the costliest counts. The numbers are those of the machine each encoder was run on.
    """
    found = {}
    for name, result in results.items():
        mine = [r.cost for r in result.records if tasks is None or r.unit.task in tasks]
        if volumes := [cost.volume for cost in mine if cost.volume is not None]:
            memory = max((v.memory_mb for v in volumes if v.memory_mb is not None), default=None)
            flops = max((c.flops for c in mine if c.volume is not None and c.flops is not None), default=None)
            takes: Literal["volumes", "slices"] = "volumes" if result.card.volumetric else "slices"
            found[name] = VolumeCosts(takes, max(v.seconds for v in volumes), memory, flops)
    return found
