"""`adapter = "onnx"`: an ONNX model run by onnxruntime, on the CPU or a GPU."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from bench.encoders.base import Encoded, Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.onnx_model import parameters, read_checked
from bench.encoders.outputs import encoded, map_rank, refuse_layers
from bench.encoders.programs import by_batch
from bench.encoders.source import EncoderSource, Place
from bench.encoders.weights import inside, verify
from bench.errors import EncoderError
from bench.strict import Sha256

MAX_SECONDS = 600.0
"""Of one batch."""
INPUT_TYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16}


class OnnxSource(EncoderSource):
    """Keys of the `[source]` table. `external` names each file of external data with its sha256."""

    name = "onnx"
    places = frozenset({"weights", "sha256", "external"})
    adapter: Literal["onnx"]
    weights: Annotated[str, Field(min_length=1, max_length=500)]
    sha256: Sha256 | None = None
    external: dict[str, Sha256] = {}
    prefix_tokens: Annotated[int, Field(ge=0, le=1024)] = 0

    def load(self, card: EncoderCard, place: Place) -> Encoder:
        path = inside(self.weights, place, where=card.name)
        sha256 = verify(path, self.sha256, where=card.name)
        beside = Place(path.parent, place.trust_code, place.allow_outside)
        model = _need("onnx", lambda: read_checked(path, self.external, beside, where=card.name), card.name)
        encoder = OnnxEncoder(card, path, self.prefix_tokens, parameters(model))
        encoder.weights_sha256 = sha256
        return encoder

    def own_files(self, folder: Path) -> list[str]:
        beside = Path(self.weights).parent
        return [name for own in super().own_files(folder) for name in (own, *(str(beside / e) for e in self.external))]


class OnnxEncoder(Encoder):
    """An onnxruntime session with one image input; outputs as `bench.encoders.outputs` reads them."""

    def __init__(self, card: EncoderCard, path: Path, prefix_tokens: int, parameters: int) -> None:
        super().__init__(card)
        refuse_layers(card)
        self._path, self._prefix_tokens, self._parameters = path, prefix_tokens, parameters
        self._batch: int | None = None
        self._open()

    @property
    def parameters(self) -> int:
        return self._parameters

    def to(self, device: torch.device | str) -> Encoder:
        """Reopen the session on a device. Raises EncoderError when onnxruntime has no provider for it."""
        if torch.device(device) != self.device:
            self.device = torch.device(device)
            self._open()
        return self

    def forward(self, x: Tensor, dense: bool) -> Encoded:
        try:
            outputs = by_batch(self._run, x, self._batch)
        except EncoderError:
            if len(x) == 1 or self._batch is not None:
                raise
            outputs = self._one_by_one(x)
        return encoded(outputs, self.card, prefix_tokens=self._prefix_tokens, dense=dense)

    def _one_by_one(self, x: Tensor) -> Sequence[Tensor]:
        """For a graph that says any batch and holds the batch of its export inside (a Reshape to [1, ...])."""
        try:
            outputs = by_batch(self._run, x, 1)
        except EncoderError as error:
            raise EncoderError(f"{error.what}; alone in its batch, an image fails too", where=error.where) from None
        self._batch = 1
        self.notes = ("the graph was exported for a batch of one image; it is run image by image",)
        return outputs

    def _run(self, x: Tensor) -> list[Tensor]:
        values = np.ascontiguousarray(x.cpu().numpy(), dtype=self._dtype)
        try:
            outputs = self._run_bounded(values)
        except Exception as error:  # onnxruntime's own classes derive from Exception alone
            raise self._refusal(x, str(error)[:300]) from None
        if lost := [np.shape(out) for out in outputs if np.shape(out)[:1] != (len(x),)]:
            raise self._refusal(x, f"it returns {lost[0]}")
        return [torch.from_numpy(np.asarray(out)).to(self.device) for out in outputs]

    def _run_bounded(self, values: np.ndarray) -> list[Any]:
        """Run the graph, and end it after MAX_SECONDS: a few bytes can ask for days."""
        import onnxruntime

        options = onnxruntime.RunOptions()
        timer = threading.Timer(MAX_SECONDS, lambda: setattr(options, "terminate", True))
        timer.start()
        try:
            return self._session.run(None, {self._input: values}, options)
        finally:
            timer.cancel()

    def _refusal(self, x: Tensor, why: str) -> EncoderError:
        return EncoderError(
            f"onnxruntime refused a batch of {len(x)} images, shape {tuple(x.shape)}: {why}", where=self.card.name
        )

    def _open(self) -> None:
        self._session = _need("onnxruntime", self._make_session, self.card.name)
        inputs = self._session.get_inputs()
        if len(inputs) != 1 or len(inputs[0].shape) != map_rank(self.card) or inputs[0].type not in INPUT_TYPES:
            found = ", ".join(f"{i.name[:40]} {i.type} {i.shape}" for i in inputs[:4])
            layout = "(n, c, depth, h, w)" if self.card.volumetric else "(n, c, h, w)"
            fix = "export it with the image, in floating-point numbers, as its one input"
            if len(inputs) == 1 and len(inputs[0].shape) == 5 and not self.card.volumetric:
                fix = "a network of volumes says preprocessing.depth on its card"
            raise EncoderError(f"takes {found}; expected one float input {layout}", where=self.card.name, fix=fix)
        self._input, self._dtype = inputs[0].name, INPUT_TYPES[inputs[0].type]
        self._batch = inputs[0].shape[0] if isinstance(inputs[0].shape[0], int) else None

    def _make_session(self) -> Any:
        import onnxruntime

        wanted = "CUDAExecutionProvider" if self.device.type == "cuda" else "CPUExecutionProvider"
        if wanted not in onnxruntime.get_available_providers():
            raise EncoderError(f"onnxruntime here has no {wanted}", where=self.card.name, fix="run with --device cpu")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.use_deterministic_compute = True
        options.log_severity_level = 4  # what it would print is raised, too
        try:
            return onnxruntime.InferenceSession(str(self._path), options, providers=[wanted])
        except Exception as error:  # onnxruntime's own classes derive from Exception alone
            raise EncoderError(f"onnxruntime cannot open it: {str(error)[:300]}", where=self.card.name) from None


def _need(package: str, use: Any, where: str) -> Any:
    """`use()`, or EncoderError saying which extra to install."""
    try:
        return use()
    except ImportError:
        raise EncoderError(f"needs {package}", where=where, fix="pip install 'medssl-bench[onnx]'") from None


SOURCE = OnnxSource
