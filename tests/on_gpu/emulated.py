"""A GPU that is not there: tensors that say they lie on cuda:0, while their numbers lie in the memory of the CPU.

Code takes the branches of CUDA, gets true numbers, and fails as on a GPU where it mixes devices or reads a tensor of
the GPU as an array. What a GPU alone can show is not there: its own rounding, streams that really run beside each
other, memory that runs out, and gradients, which are 0 (autograd asks a real driver for streams).

It changes torch for the whole process: for processes of their own alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import MagicMock, patch

import numpy as np
import torch
from torch import Tensor
from torch.overrides import _get_current_function_mode_stack
from torch.utils._device import DeviceContext
from torch.utils._pytree import tree_flatten, tree_map

GPU, CPU = torch.device("cuda", 0), torch.device("cpu")
ACROSS = ("copy_", "_to_copy", "index", "index_put_", "_index_put_impl_", "_unsafe_index")
"""Operations that take tensors of both places: copies, and indices of the host for what lies on the GPU."""
FACTORIES = ("triu_indices", "tril_indices")
"""Operations that make tensors and have code of their own for CUDA, besides `torch.empty`."""


class OnGpu(Tensor):
    """A tensor of the GPU, whose numbers are in `numbers`. What an operation finds lies where it was asked."""

    numbers: Tensor
    __torch_function__ = torch._C._disabled_torch_function_impl

    @staticmethod
    def __new__(cls, numbers: Tensor) -> OnGpu:
        there = Tensor._make_wrapper_subclass(
            cls, numbers.size(), strides=numbers.stride(), storage_offset=numbers.storage_offset(),
            dtype=numbers.dtype, device=GPU,
        )  # fmt: skip
        there.numbers = numbers
        return there

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _run(func, args, kwargs or {})

    # What torch does below its operations, so that these would not see it.

    def __getitem__(self, place: Any) -> Any:
        return Tensor.__getitem__(self, _there(place))

    def __setitem__(self, place: Any, value: Any) -> None:
        Tensor.__setitem__(self, _there(place), value)

    def new_tensor(self, data: Any, **options: Any) -> Tensor:
        return torch.as_tensor(data, **{"dtype": self.dtype, **options}, device=GPU)

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def numpy(self, **_: Any) -> np.ndarray:
        raise TypeError("can't convert cuda:0 device type tensor to numpy")

    def record_stream(self, stream: Any) -> None: ...

    def __repr__(self, **_: Any) -> str:
        return f"OnGpu({self.numbers!r})"


def _run(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    """An operation on the numbers, as if where the tensors say they are."""
    name, given = func.overloadpacket.__name__, [x for x in tree_flatten((args, kwargs))[0] if isinstance(x, Tensor)]
    on_host = [x for x in given if not isinstance(x, OnGpu)]
    if name not in ACROSS and any(x.ndim for x in on_host):
        raise RuntimeError(f"{name}: expected all tensors to be on the same device, but found cuda:0 and cpu")
    first_there, asked = isinstance(args[0], OnGpu), kwargs.get("device")
    if name in ("index", "_unsafe_index") and not first_there:
        raise RuntimeError("indices should be either on cpu or on the same device as the indexed tensor (cpu)")
    there = first_there if name == "copy_" else torch.device(asked or GPU).type == "cuda"
    options = {key: value for key, value in kwargs.items() if key not in ("device", "pin_memory")}
    if asked is not None:
        options["device"] = CPU
    plain, options = tree_map(lambda x: x.numbers if isinstance(x, OnGpu) else x, (list(args), options))
    found = func(*plain, **options)
    known = {id(x.numbers): x for x in given if isinstance(x, OnGpu)}  # what was changed in place is itself

    def placed(x: Any) -> Any:
        return known[id(x)] if id(x) in known else OnGpu(x) if isinstance(x, Tensor) and there else x

    return tree_map(placed, found)


def _there(place: Any) -> Any:
    """Lists and arrays among indices as tensors of the GPU."""
    if isinstance(place, tuple):
        return tuple(map(_there, place))
    return torch.as_tensor(place, device=GPU) if isinstance(place, (list, np.ndarray)) else place


def _backward(loss: Tensor) -> None:
    """Gradients of 0 for all parameters that a loss depends on."""
    left, seen = [loss.grad_fn], set()
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if hasattr(node, "variable"):
            node.variable.grad = torch.zeros_like(node.variable)
        left += [before for before, _ in node.next_functions]


def _from_data(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """`torch.as_tensor` and `torch.tensor`, which copy to a device below all operations."""

    def made(data: Any, *, device: Any = None, **options: Any) -> Tensor:
        context = next((m.device for m in _get_current_function_mode_stack() if isinstance(m, DeviceContext)), None)
        wanted = device or context
        if isinstance(data, Tensor):
            return data.to(wanted or data.device, **options)
        return make(data, device=CPU, **options).to(wanted or CPU)

    return made


def _factory(make: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """An operation that makes a tensor, on the GPU."""
    taken = ("dtype", "memory_format")

    def made(*sizes: Any, **options: Any) -> Tensor:
        return OnGpu(make(*sizes, device=CPU, **{k: options[k] for k in taken if options.get(k) is not None}))

    return made


def _cuda(memory: int) -> dict[str, Callable[..., Any]]:
    """What `torch.cuda` says and does. memory: bytes that are free."""
    stream = MagicMock(name="stream")
    told = {"is_available": True, "device_count": 1, "current_device": 0, "is_bf16_supported": True,
            "mem_get_info": (memory, memory), "memory_reserved": 0, "memory_allocated": 0, "max_memory_allocated": 0,
            "get_device_name": "emulated", "get_rng_state": torch.zeros(16, dtype=torch.uint8), "Stream": stream,
            "stream": stream, "current_stream": stream, "Event": stream, "_lazy_init": None, "empty_cache": None,
            "reset_peak_memory_stats": None, "synchronize": None, "set_rng_state": None,
            "manual_seed_all": None}  # fmt: skip
    return {name: lambda *_, said=said, **__: said for name, said in told.items()}


@contextmanager
def emulated_gpu(memory: int = 1 << 33) -> Iterator[None]:
    """Inside, torch has one GPU with so many bytes free."""
    empty = torch.empty
    library = torch.library.Library("aten", "IMPL")
    library.impl("empty.memory_format", _factory(empty), "CUDA")
    library.impl("empty_strided", _factory(torch.empty_strided), "CUDA")
    for name in FACTORIES:
        library.impl(name, _factory(getattr(torch, name)), "CUDA")
    torch._C._ensureCUDADeviceGuardSet()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # parameters change their class
    changed = [
        *((torch.cuda, name, answer) for name, answer in _cuda(memory).items()),
        *((torch, name, _from_data(getattr(torch, name))) for name in ("as_tensor", "tensor")),
        (torch, "empty", lambda *sizes, pin_memory=False, **options: empty(*sizes, **options)),
        (torch, "inference_mode", torch.no_grad),  # tensors of another class cannot be inference tensors
        (Tensor, "pin_memory", Tensor.clone),
        (Tensor, "backward", _backward),
    ]
    with ExitStack() as stack:
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        for target, name, value in changed:
            stack.enter_context(patch.object(target, name, value))
        try:
            yield
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(False)
            library._destroy()
