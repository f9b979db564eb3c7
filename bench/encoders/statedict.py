"""Putting a state dict into a network: by name, with timm's own conversions, or by order where only naming differs."""

import io
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from typing import Literal

import torch
from torch import Tensor, nn

from bench.encoders.cures import entries, mismatch
from bench.encoders.torchvision_names import as_timm
from bench.errors import EncoderError

KeyMapping = Literal["by-name", "by-order"]
COUNTER = "num_batches_tracked"
POSITIONS = ("pos_embed", "rel_pos", "relative_position", "relative_coords", "attention_bias")
"""Parts of the names of position embeddings: the one kind of tensor that may be resampled to another size."""
NUMBERS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
"""What weights are kept in; any other type is a code of theirs (quantised, packed), meaningless alone."""
WRAPPED = re.compile(r"(?<=\.)(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.")
COMPUTED = (".attn_mask", ".relative_position_index", ".relative_coords_table")
CHUNKED = re.compile(r"^blocks\.\d+\.(?=\d+\.(norm|attn|mlp|ls)\d?\.)")


def state_at(held: object, entry: str | None, *, where: str) -> dict[str, Tensor]:
    """The state dict inside what a file holds; `entry` is a dotted path to it ("teacher", "model.encoder").

    What is not a tensor (an epoch, a configuration) is left out. Raises EncoderError when the entry is missing, or no
    tensor lies there, naming where tensors do lie.
    """
    place = held
    for key in entry.split(".") if entry else ():
        if not isinstance(place, Mapping) or key not in place:
            raise EncoderError(f"no entry {entry!r} in the weights file", where=where, fix=entries(held))
        place = place[key]
    state = {str(k): v for k, v in place.items() if isinstance(v, Tensor)} if isinstance(place, Mapping) else {}
    if not state:
        what = f"entry {entry!r}" if entry else "the top level"
        raise EncoderError(f"the weights file holds no flat state dict at {what}", where=where, fix=entries(held))
    return state


def select(state: Mapping[str, Tensor], prefix: str, drop: Sequence[str] = ()) -> dict[str, Tensor]:
    """The tensors whose name starts with `prefix`, without it, less those that then start with one of `drop`."""
    kept = {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
    return {name: value for name, value in kept.items() if not name.startswith(tuple(drop))}


def under(state: Mapping[str, Tensor], prefix: str, *, where: str) -> dict[str, Tensor]:
    """`select` by prefix alone. Raises EncoderError, naming how names do begin, when none begins so."""
    if kept := select(state, prefix):
        return kept
    heads = Counter(name.split(".")[0] for name in state).most_common(8)
    spoken = ", ".join(f"{head[:60]!r} ({n})" for head, n in heads)
    raise EncoderError(f"no name in the weights file begins with {prefix!r}", where=where, fix=f"they begin: {spoken}")


def fit(
    network: nn.Module, state: Mapping[str, Tensor], drop: Sequence[str], how: KeyMapping, *, where: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """`state` as `network` takes it (a skeleton will do), and what was done to it beyond naming, in words.

    By name, a file that does not fit as it is goes through timm's own conversion of the architecture (other names,
    registers, position embeddings of another size). Raises EncoderError naming all that does not match, and the cure.
    """
    fitting, notes = _fitted(network, state, drop, how, where)
    _refuse_coded(network, fitting, where)
    return fitting, notes


def unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names as timm has them: without what torch.compile, FSDP and checkpointing put inside, without DINOv2's chunks
    of blocks, not torchvision's; and without the tables that Swin works out again.

    Where two names would become one, they stay as they are.
    """
    state = {name: value for name, value in state.items() if not name.endswith(COMPUTED)}
    renamed = {CHUNKED.sub("blocks.", WRAPPED.sub("", name)): value for name, value in state.items()}
    return as_timm(renamed if len(renamed) == len(state) else state)


def _fitted(
    network: nn.Module, state: Mapping[str, Tensor], drop: Sequence[str], how: KeyMapping, where: str
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    kept = select(state, "", drop)
    if how == "by-order":
        return by_order(network, kept, where=where), ()
    bare = unwrapped(state)
    for names in (state, bare) if bare.keys() != state.keys() else (state,):
        if plain := _exact(network, select(names, "", drop)):
            return plain, ()
        if (converted := _converted(network, names, drop)) and (fitting := _exact(network, converted)):
            return fitting, _changes(select(names, "", drop), fitting)
    raise mismatch(network.state_dict(), kept, where=where)


def _refuse_coded(network: nn.Module, state: Mapping[str, Tensor], where: str) -> None:
    """EncoderError where numbers are stored as integers, complex, sparse or packed: a plain copy of them is wrong."""
    for name, wanted in network.state_dict().items():
        value = state[name]
        if wanted.is_floating_point() and (value.dtype not in NUMBERS or value.layout != torch.strided):
            kind = str(value.dtype if value.layout == torch.strided else value.layout).removeprefix("torch.")
            raise EncoderError(
                f"{name[:80]!r} is stored as {kind}, not as floating-point numbers",
                where=where,
                fix="dequantise the weights, or make them dense, before saving",
            )


def by_order(network: nn.Module, state: Mapping[str, Tensor], *, where: str) -> dict[str, Tensor]:
    """`state` under the network's own names, matched by position.

    Batch-norm counters are matched apart, because older files lack them; a missing counter is zero.
    Raises EncoderError naming the first place where the shapes differ, or the first name without a partner.
    """
    wanted = network.state_dict()
    ours, theirs = ([n for n in names if not n.endswith(COUNTER)] for names in (wanted, state))
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
    return {name: renamed[name] if name in renamed else torch.tensor(0) for name in wanted}


def _exact(network: nn.Module, state: Mapping[str, Tensor]) -> dict[str, Tensor] | None:
    """`state` with absent batch-norm counters at zero, when its names and shapes are the network's; else None."""
    wanted = network.state_dict()
    counters = {n: torch.tensor(0) for n in wanted if n.endswith(COUNTER) and n not in state}
    whole = {**state, **counters}
    same = whole.keys() == wanted.keys() and all(whole[n].shape == wanted[n].shape for n in wanted)
    return whole if same else None


def _converted(network: nn.Module, state: Mapping[str, Tensor], drop: Sequence[str]) -> dict[str, Tensor] | None:
    """`state` through the `checkpoint_filter_fn` of timm's module; None where it has none or cannot.

    A tensor may only be renamed, split or reshaped; its size may change where it holds positions, nowhere else.
    """
    convert = getattr(sys.modules[type(network).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return None
    # timm tells DINOv2's files by their mask token; with registers they are DINOv2's without one too.
    marked = {"mask_token": torch.zeros(1)} if "register_tokens" in state else {}
    try:
        with redirect_stdout(io.StringIO()):  # some filters print what they try
            out = convert({**marked, **state}, network)
    except Exception:  # a filter meets names it was not written for: any error means that it does not apply
        return None
    out = {str(k): v for k, v in out.items() if isinstance(v, Tensor)}
    if _lost_bias(state, out):
        return None
    sizes, own = {v.numel() for v in state.values()}, {id(v) for v in state.values()}
    resized = [n for n, v in out.items() if n in state and id(v) not in own and v.numel() != state[n].numel()]
    resized += [n for n, v in out.items() if "patch_embed" in n and v.numel() not in sizes]
    return select(out, "", drop) if all(any(p in n for p in POSITIONS) for n in resized) else None


def _lost_bias(state: Mapping[str, Tensor], out: Mapping[str, Tensor]) -> bool:
    """Whether biases of the attention that are not zero were left out (DINOv3's, for a network without them)."""
    held = any(n.endswith("qkv.bias") and bool(v.any()) for n, v in state.items())
    return held and not any(n.endswith(("qkv.bias", "q_bias", "q_proj.bias")) for n in out)


def _changes(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> tuple[str, ...]:
    """What the conversion did: names that are new, and shapes that differ."""
    renamed = sum(name not in before and not name.endswith(COUNTER) for name in after)
    resized = [n for n, v in after.items() if n in before and v.shape != before[n].shape]
    notes = [f"{renamed} tensors renamed as timm does"] if renamed else []
    if resized:
        was, now = (tuple(state[resized[0]].shape) for state in (before, after))
        more = f" and {len(resized) - 1} others" if len(resized) > 1 else ""
        notes.append(f"{resized[0]}{more} resampled from {was} to {now}")
    return tuple(notes)
