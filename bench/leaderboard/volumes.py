"""What a volume costs each encoder of a suite: beside the score, for encoders of volumes and of slices alike."""

from __future__ import annotations

from collections.abc import Mapping

from bench.submissions.folder import Results

VOLUME = ("takes", "s a volume", "MB a volume")
"""The columns."""


def volume_costs(results: Mapping[str, Results]) -> dict[str, dict[str, str]]:
    """Encoder -> cells of a board: what it takes, seconds and MB a volume; empty for a suite of flat images.

    Of several tasks the costliest counts. The numbers are those of the machine each encoder was run on.
    """
    found = {name: _cells(result) for name, result in results.items()}
    return found if any(found.values()) else {}


def _cells(result: Results) -> dict[str, str]:
    costs = [record.cost.volume for record in result.records if record.cost.volume is not None]
    if not costs:
        return {}
    memory = [cost.memory_mb for cost in costs if cost.memory_mb is not None]
    seconds = f"{max(cost.seconds for cost in costs):.3g}"
    takes = "volumes" if result.card.volumetric else "slices"
    return dict(zip(VOLUME, (takes, seconds, f"{max(memory):,.0f}" if memory else ""), strict=True))
