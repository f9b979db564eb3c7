"""Cost of a volume: the dearest task counts, and a suite of flat images has none."""

from types import SimpleNamespace as Has

import pytest

from bench.leaderboard.volumes import VOLUME, volume_costs


def results(volumetric: bool, *costs: Has | None) -> Has:
    records = [Has(cost=Has(volume=cost)) for cost in costs]
    return Has(card=Has(volumetric=volumetric), records=records)


def cost(seconds: float, memory_mb: float | None) -> Has:
    return Has(seconds=seconds, memory_mb=memory_mb)


def test_the_dearest_task_counts() -> None:
    slices = results(False, cost(0.5, 100.0), None, cost(1.23456, 1500.4), cost(1.0, None))
    found = volume_costs({"a": slices, "b": results(True, cost(2.0, None))})
    assert VOLUME == ("takes", "s a volume", "MB a volume")
    assert found["a"] == {"takes": "slices", "s a volume": "1.23", "MB a volume": "1,500"}
    assert found["b"] == {"takes": "volumes", "s a volume": "2", "MB a volume": ""}


@pytest.mark.parametrize("costs", [(), (None, None)])
def test_flat_images_have_none(costs: tuple[None, ...]) -> None:
    assert volume_costs({"a": results(False, *costs)}) == {}
