"""What a GPU refuses is refused, and what is computed there is what a CPU computes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

HOST = torch.arange(12.0).view(3, 4)


@pytest.mark.parametrize(
    "mixed",
    [
        lambda there: there + HOST,
        lambda there: HOST @ there.mT,
        lambda there: torch.cat([there, HOST]),
        lambda there: torch.where(there > 3, HOST, there),
        lambda there: HOST[torch.tensor([0, 2], device="cuda")],
        lambda there: torch.nn.Linear(4, 2)(there),
        lambda there: there.numpy(),
        lambda there: torch.from_numpy(HOST.numpy()).add_(there),
    ],
)
def test_places_do_not_mix(mixed: Callable[[torch.Tensor], object]) -> None:
    with pytest.raises((RuntimeError, TypeError)):
        mixed(HOST.to("cuda"))


def test_numbers_are_those_of_a_cpu() -> None:
    there = HOST.to("cuda")
    there[1:, :2] *= 2  # a view is changed in place
    there[[0, 2], -1] = torch.tensor(7.0)
    there += 1
    expected = HOST.clone()
    expected[1:, :2] *= 2
    expected[[0, 2], -1] = 7
    expected += 1
    assert there.device == torch.device("cuda", 0)
    assert there.tolist() == expected.tolist()
    assert (there @ there.mT).sum().item() == (expected @ expected.mT).sum().item()
    with torch.device("cuda"):
        made = [torch.zeros(2), torch.arange(3), torch.as_tensor([1.0]), torch.tensor(1), torch.triu_indices(2, 2)]
    assert {each.device.type for each in made} == {"cuda"}
    assert there.cpu().device.type == HOST.to("cpu").device.type == "cpu"


def test_a_network_learns_there() -> None:
    network = torch.nn.Linear(4, 2).to("cuda")
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    network(HOST.to("cuda")).square().mean().backward()
    optimiser.step()
    assert all(p.device.type == p.grad.device.type == "cuda" for p in network.parameters())
