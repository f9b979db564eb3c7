"""Looking an ONNX file over before any of it runs: domains, control flow, external data, sizes."""

from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

from bench.encoders.source import Place
from bench.encoders.weights import inside, verify
from bench.errors import EncoderError
from bench.files import sha256_file

MAX_BYTES = 2 << 30
MAX_NODES = 200_000
MAX_VALUES = 1 << 30
"""Values of any one tensor for one image, where the file tells its shape."""
DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Operators of the ONNX standard and of the runtime itself; anything else is a custom operator."""
LOOPS = ("Loop", "Scan", "SequenceMap")
"""Refused: a file could ask for any number of rounds. No feed-forward encoder needs them."""


def read_checked(path: Path, external: Mapping[str, str], place: Place, *, where: str) -> Any:
    """The parsed model (external data not loaded), or EncoderError naming what is not allowed.

    external: name -> sha256 of each file of external data the card admits; all must lie in the card's folder.
    """
    import onnx
    from google.protobuf.message import DecodeError

    if path.stat().st_size > MAX_BYTES:
        raise EncoderError(f"{path.name} is over the limit of {MAX_BYTES:,} bytes", where=where)
    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, ValueError, RuntimeError, onnx.checker.ValidationError) as error:
        raise EncoderError(f"{path.name} is not an ONNX model: {str(error)[:200]}", where=where) from None
    if not model.graph.node:
        raise EncoderError(f"{path.name} holds no graph", where=where)
    _check_nodes(model, where)
    _check_external(model, external, place, where)
    _check_sizes(model, where)
    return model


def parameters(model: Any) -> int:
    """Number of values in the initialisers."""
    return sum(prod(tensor.dims) for tensor in model.graph.initializer)


def _check_nodes(model: Any, where: str) -> None:
    own = {f.domain for f in model.functions}
    for count, node in enumerate(_nodes(model)):
        if count >= MAX_NODES:
            raise EncoderError(f"has more than {MAX_NODES:,} nodes", where=where)
        if node.domain not in DOMAINS and node.domain not in own:
            raise EncoderError(
                f"uses the custom operator {node.domain[:80]}::{node.op_type[:80]}",
                where=where,
                fix="custom operators are libraries that run; export with standard operators",
            )
        if node.op_type in LOOPS and node.domain in DOMAINS:
            raise EncoderError(f"uses {node.op_type}, which may run without end", where=where, fix="unroll it")


def _graphs(model: Any) -> Iterator[Any]:
    """The graph, its functions, and every graph inside a node, without recursion."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for node in graph.node:
            for attribute in node.attribute:
                waiting += [attribute.g] if attribute.HasField("g") else []
                waiting += attribute.graphs


def _nodes(model: Any) -> Iterator[Any]:
    return (node for graph in _graphs(model) for node in graph.node)


def _tensors(model: Any) -> Iterator[Any]:
    """Every tensor stored in the file: initialisers, sparse ones, and constants in attributes."""
    for graph in _graphs(model):
        yield from getattr(graph, "initializer", ())
        for sparse in getattr(graph, "sparse_initializer", ()):
            yield from (sparse.values, sparse.indices)
    for attribute in (a for node in _nodes(model) for a in node.attribute):
        yield from [attribute.t, *attribute.tensors]
        for sparse in [attribute.sparse_tensor, *attribute.sparse_tensors]:
            yield from (sparse.values, sparse.indices)


def _check_sizes(model: Any, where: str) -> None:
    """No tensor may be larger than what one image can need; a few bytes could otherwise ask for all memory."""
    import onnx

    try:
        graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    except (onnx.shape_inference.InferenceError, RuntimeError, ValueError) as error:
        raise EncoderError(f"has shapes that contradict each other: {str(error)[:200]}", where=where) from None
    values = (*graph.value_info, *graph.input, *graph.output)
    shapes = [(v.name, [d.dim_value or 1 for d in v.type.tensor_type.shape.dim]) for v in values]
    shapes += [(t.name, list(t.dims)) for t in _tensors(model)]
    for name, dims in shapes:
        if any(d < 0 for d in dims) or prod(dims) > MAX_VALUES:
            raise EncoderError(f"asks for a tensor of shape {dims[:8]} ({name[:80]!r}), over the limit", where=where)


def _check_external(model: Any, external: Mapping[str, str], place: Place, where: str) -> None:
    """Each file of external data must be named on the card with its hash, and lie beside the model."""
    asked: set[str] = set()
    for tensor in _tensors(model):
        if tensor.data_location == 1 or len(tensor.external_data):
            asked |= {entry.value for entry in tensor.external_data if entry.key == "location"} or {""}
    for location in sorted(asked):
        if Path(location).name != location or location in ("", ".", ".."):
            raise EncoderError(
                f"has external data outside its folder: {location[:200]!r}",
                where=where,
                fix="save the model as one file, or keep the data file beside it",
            )
        path = inside(location, Place(place.folder), where=where)
        if location not in external:
            raise EncoderError(
                f"has external data the card does not name: {location[:200]!r}",
                where=where,
                fix=f'add external = {{ "{location}" = "{sha256_file(path)}" }} to [source]',
            )
        verify(path, external[location], where=where)
