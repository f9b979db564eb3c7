"""Putting a state dict into a network: strictly by name, or by order where only the naming differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor, nn

from bench.errors import EncoderError

KeyMapping = Literal["by-name", "by-order"]


def state_at(held: object, entry: str | None, *, where: str) -> dict[str, Tensor]:
    """The state dict inside what a file holds; `entry` is a dotted path to it ("teacher", "model.encoder").

    Raises EncoderError when the entry is missing, or what lies there is not a flat mapping of names to tensors.
    """
    for key in entry.split(".") if entry else ():
        if not isinstance(held, Mapping) or key not in held:
            raise EncoderError(f"no entry {entry!r} in the weights file", where=where, fix=_entries(held))
        held = held[key]
    if not isinstance(held, Mapping) or not held or not all(isinstance(v, Tensor) for v in held.values()):
        raise EncoderError("the weights file does not hold a flat state dict", where=where, fix=_entries(held))
    return dict(held)


def select(state: Mapping[str, Tensor], prefix: str, drop: Sequence[str]) -> dict[str, Tensor]:
    """The tensors whose name starts with `prefix`, without it, less those that then start with one of `drop`."""
    kept = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
    return {name: value for name, value in kept.items() if not name.startswith(tuple(drop))}


def put(network: nn.Module, state: Mapping[str, Tensor], how: KeyMapping, *, where: str) -> None:
    """Load `state` into `network`, all of it and nothing missing. Raises EncoderError naming the first mismatch."""
    network.load_state_dict(match(network, state, how, where=where), strict=True)


def match(network: nn.Module, state: Mapping[str, Tensor], how: KeyMapping, *, where: str) -> dict[str, Tensor]:
    """`state` under the names of `network` (a skeleton will do). Raises EncoderError naming the first mismatch."""
    state = by_order(network, state, where=where) if how == "by-order" else dict(state)
    _refuse_mismatch(network, state, where)
    return state


def by_order(network: nn.Module, state: Mapping[str, Tensor], *, where: str) -> dict[str, Tensor]:
    """`state` under the network's own names, matched by position.

    Batch-norm counters are matched apart, because older files lack them; a missing counter is left as it is.
    Raises EncoderError naming the first place where the shapes differ, or the first name without a partner.
    """
    wanted = network.state_dict()
    ours, theirs = ([n for n in names if not n.endswith("num_batches_tracked")] for names in (wanted, state))
    for i, (a, b) in enumerate(zip(ours, theirs, strict=False)):
        if wanted[a].shape != state[b].shape:
            raise EncoderError(
                f"tensor {i + 1} differs: the network has {a!r} {tuple(wanted[a].shape)}, "
                f"the file {b!r} {tuple(state[b].shape)}",
                where=where,
                fix="by-order needs the same tensors in the same order",
            )
    if len(ours) != len(theirs):
        longer, extra = ("network", ours) if len(ours) > len(theirs) else ("file", theirs)
        raise EncoderError(
            f"the network has {len(ours)} tensors, the file {len(theirs)}; the first without a partner is "
            f"{extra[min(len(ours), len(theirs))]!r} of the {longer}",
            where=where,
        )
    renamed = {a: state[b] for a, b in zip(ours, theirs, strict=True)}
    return {name: renamed.get(name, value) for name, value in wanted.items()}


def _refuse_mismatch(network: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    wanted = network.state_dict()
    missing, extra = [n for n in wanted if n not in state], [n for n in state if n not in wanted]
    if missing or extra:
        parts = [
            f"{len(names)} {label} (first: {names[0][:100]!r})"
            for label, names in (("missing from the file", missing), ("unknown to the network", extra))
            if names
        ]
        raise EncoderError(
            f"names do not match: {', '.join(parts)}",
            where=where,
            fix="see 'prefix', 'drop', 'entry', 'num_classes' and 'key_mapping' in docs/encoders.md",
        )
    for name, value in wanted.items():
        if value.shape != state[name].shape:
            raise EncoderError(
                f"{name!r} is {tuple(state[name].shape)} in the file, {tuple(value.shape)} in the network", where=where
            )


def _entries(held: object) -> str | None:
    if isinstance(held, Mapping) and held:
        return "it has: " + ", ".join(str(k)[:40] for k in list(held)[:8])
    return None
