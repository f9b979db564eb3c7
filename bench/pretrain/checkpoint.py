"""Checkpoints without pickle: one safetensors file with weights, teacher, optimiser state and step."""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from bench.errors import RunError
from bench.files import write_atomic

MODEL, OPTIMISER = "model.", "optimiser."


def save_checkpoint(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, *, step: int, run: str) -> None:
    """Write the state after `step` steps, atomically. `run` identifies the job; a later run must have the same."""
    tensors = {MODEL + name: value for name, value in model.state_dict().items()}
    for index, state in optimiser.state_dict()["state"].items():
        tensors |= {f"{OPTIMISER}{index}.{name}": value for name, value in state.items()}
    # Clones, because a backbone that is reached by two paths would be one tensor under two names.
    copies = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    write_atomic(path, save(copies, metadata={"step": str(step), "run": run}))


def load_checkpoint(path: Path, model: nn.Module, optimiser: torch.optim.Optimizer, *, run: str) -> int:
    """Restore the state and return the number of steps done; 0 when there is no checkpoint.

    Raises RunError when the file is damaged or of another run.
    """
    if not path.exists():
        return 0
    try:
        with safe_open(path, "pt") as file:
            about = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise RunError(f"is damaged: {error}", where=path, fix="delete it and start again") from None
    if about.get("run") != run:
        fix = "choose another --out, or delete the folder"
        raise RunError("belongs to a run with another objective, recipe, corpus or seed", where=path, fix=fix)
    model.load_state_dict({n.removeprefix(MODEL): t for n, t in tensors.items() if n.startswith(MODEL)})
    _restore(optimiser, {n.removeprefix(OPTIMISER): t for n, t in tensors.items() if n.startswith(OPTIMISER)})
    return int(about["step"])


def _restore(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
