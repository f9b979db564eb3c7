"""Cost of a volume: the dearest task counts, and a suite of flat images has none."""

from types import SimpleNamespace as Has

import pytest

from bench.leaderboard.volumes import VolumeCosts, volume_costs


def results(volumetric: bool, *costs: Has | None) -> Has:
    records = [
        Has(cost=Has(volume=cost, flops=None if cost is None else 10 * i), unit=Has(task=f"task-{i}"))
        for i, cost in enumerate(costs)
    ]
    return Has(card=Has(volumetric=volumetric), records=records)


def cost(seconds: float, memory_mb: float | None) -> Has:
    return Has(seconds=seconds, memory_mb=memory_mb)


def test_the_dearest_task_counts() -> None:
    slices = results(False, cost(0.5, 100.0), None, cost(1.23456, 1500.4), cost(1.0, None))
    every = {"a": slices, "b": results(True, cost(2.0, None))}
    assert volume_costs(every) == {
        "a": VolumeCosts("slices", 1.23456, 1500.4, 30), "b": VolumeCosts("volumes", 2.0, None, 0)
    }  # fmt: skip
    assert volume_costs(every, {"task-0"})["a"] == VolumeCosts("slices", 0.5, 100.0, 0)
    assert set(volume_costs(every, {"task-3"})) == {"a"}


@pytest.mark.parametrize("costs", [(), (None, None)])
def test_flat_images_have_none(costs: tuple[None, ...]) -> None:
    assert volume_costs({"a": results(False, *costs)}) == {}
