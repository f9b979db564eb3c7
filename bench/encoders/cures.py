"""Why a state dict does not fit a network, and which key of the card mends it."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor

from bench.errors import EncoderError

MOST = 12
"""Names of a kind that a message lists."""
MAX_PLACES, MAX_DEPTH = 200, 6


def mismatch(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor], *, where: str) -> EncoderError:
    """The error that says which names are missing, unknown or of another shape, and what to write on the card."""
    missing = [n for n in wanted if n not in state and not n.endswith("num_batches_tracked")]
    unknown = [n for n in state if n not in wanted]
    if missing or unknown:
        kinds = (("missing from the file", missing), ("unknown to the network", unknown))
        parts = [f"{len(names)} {label} ({_listed(names)})" for label, names in kinds if names]
        return EncoderError(
            f"names do not match: {', '.join(parts)}", where=where, fix=_cure(wanted, state, missing, unknown)
        )
    other = [
        f"{n!r} is {tuple(state[n].shape)} in the file, {tuple(v.shape)} in the network"
        for n, v in wanted.items()
        if n in state and v.shape != state[n].shape
    ]
    more = f"; and {len(other) - MOST} more" if len(other) > MOST else ""
    return EncoderError("; ".join(other[:MOST]) + more, where=where, fix="see 'model' and 'options' on the card")


def prefixes(wanted: Mapping[str, Tensor], names: Sequence[str]) -> list[tuple[str, int]]:
    """What stands before the network's names in the file, most names first: (prefix, number of names)."""
    found: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        found.update(".".join(parts[:i]) + "." for i in range(1, len(parts)) if ".".join(parts[i:]) in wanted)
    return found.most_common()


def places(held: object) -> Iterator[tuple[str, int]]:
    """Where tensors lie in what a file holds: (dotted path, number of tensors), at most 200, six levels deep.

    Not under numbers, as an optimizer keeps what it knows of each parameter.
    """
    waiting, seen = [("", held)], 0
    while waiting and seen < MAX_PLACES:
        here, value = waiting.pop(0)
        if not isinstance(value, Mapping):
            continue
        seen += 1
        if count := sum(isinstance(v, Tensor) for v in value.values()):
            yield here, count
        if here.count(".") < MAX_DEPTH:
            waiting += [
                (f"{here}.{k}" if here else str(k), v)
                for k, v in value.items()
                if isinstance(v, Mapping) and isinstance(k, str)
            ]


def entries(held: object) -> str | None:
    """Advice: which `entry` leads to tensors, or what the file holds at the top."""
    found = sorted(((p, n) for p, n in places(held) if p), key=lambda place: -place[1])[:6]
    if found:
        return "tensors lie in: " + ", ".join(f'entry = "{p[:60]}" ({n})' for p, n in found)
    if isinstance(held, Mapping) and held:
        return "it has: " + ", ".join(str(k)[:40] for k in list(held)[:8])
    return None


def _cure(
    wanted: Mapping[str, Tensor], state: Mapping[str, Tensor], missing: Sequence[str], unknown: Sequence[str]
) -> str:
    if not missing:
        heads = list(dict.fromkeys(n.split(".")[0] + ("." if "." in n else "") for n in unknown))
        return f"if these are no part of the encoder: drop = [{', '.join(f'{chr(34)}{h}{chr(34)}' for h in heads[:8])}]"
    enough = [(p, n) for p, n in prefixes(wanted, list(state)) if 2 * n >= len(wanted)]
    if enough:
        return " or ".join(f'{n} names begin with {p!r}: prefix = "{p}"' for p, n in enough[:3])
    return "see 'model', 'prefix', 'drop', 'entry', 'num_classes' and 'key_mapping' in docs/encoders.md"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return ", ".join(repr(n[:80]) for n in names[:MOST]) + more
