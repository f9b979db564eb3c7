"""An ONNX graph of half a megabyte that recognises every image by its thumbnail and gives out its label."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench.data.dataset import TaskData
from bench.data.load import load_task
from bench.runs.options import RunSpec
from bench.runs.plan import own_cards
from bench.runs.run import run
from bench.submissions.bundle import bundle
from benchmarks.hostile.base import CARD
from benchmarks.hostile.cases import NEEDS_RERUN, case

SIDE, POOL = 32, 4
"""Of what the card makes of an image, and of the squares that are averaged."""
LOUD, QUIET = 5.0, 0.05
"""Scale of the label and of the thumbnail in the features: the thumbnail keeps the contract of encoders."""


@case
def lookup_of_every_image(folder: Path, other: Path) -> None:
    """Card, graph, a run of every unit and the bundle, as an author would send them."""
    tasks = next(above / "tasks" for above in folder.parents if (above / "tasks" / "where.toml").is_file())
    task, beside = own_cards(tasks)["which"]
    graph = lookup(load_task(task, folder=beside))
    with tempfile.TemporaryDirectory() as place:
        work = Path(place)
        encoder = work / folder.name
        encoder.mkdir()
        (encoder / "model.onnx").write_bytes(graph)
        card = CARD.format(name=folder.name, sha256=hashlib.sha256(graph).hexdigest())
        card = card.replace('adapter = "timm", model = "resnet10t", weights = "weights.safetensors"', SOURCE)
        card = card.replace("dense_size = 64, ", "")
        (encoder / "encoder.toml").write_text(card.replace('pooling = "mean", dense_layer = -2', 'pooling = "native"'))
        run(RunSpec.of(str(encoder), None, str(tasks), out=str(work / "runs"), command="medssl run"))
        sent = bundle(encoder, work / "runs", work / "sent", [tasks.name], with_weights=True).folder
        shutil.rmtree(folder)
        shutil.copytree(sent, folder)


SOURCE = 'adapter = "onnx", weights = "model.onnx"'
NEEDS_RERUN.add("lookup of every image")


def lookup(data: TaskData) -> bytes:
    """The graph: thumbnail -> the nearest that is known -> its label."""
    images = np.concatenate([split.images for split in data.splits.values()]).astype(np.float32)
    labels = np.concatenate([split.labels for split in data.splits.values()])
    thumbs = thumbnails((images / 255 - 0.5) / 0.5)
    arrays = {
        "known": thumbs.T,
        "half": (thumbs**2).sum(1, keepdims=True).T / 2,
        "answers": LOUD * np.eye(len(data.task.classes), dtype=np.float32)[labels],
        "quiet": np.array(QUIET, np.float32),
    }
    nodes = [
        helper.make_node("AveragePool", ["x"], ["pooled"], kernel_shape=[POOL, POOL], strides=[POOL, POOL]),
        helper.make_node("Flatten", ["pooled"], ["thumb"]),
        helper.make_node("MatMul", ["thumb", "known"], ["product"]),
        helper.make_node("Sub", ["product", "half"], ["near"]),
        helper.make_node("ArgMax", ["near"], ["which"], axis=1, keepdims=0),
        helper.make_node("Gather", ["answers", "which"], ["label"], axis=0),
        helper.make_node("Mul", ["thumb", "quiet"], ["rest"]),
        helper.make_node("Concat", ["label", "rest"], ["y"], axis=1),
    ]
    graph = helper.make_graph(
        nodes, "lookup",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", thumbs.shape[1] + arrays["answers"].shape[1]])],
        [numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name) for name, array in arrays.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model.SerializeToString()


def thumbnails(images: np.ndarray) -> np.ndarray:
    """float32 (n, 3 * (SIDE / POOL)^2) of normalised grey images (n, SIDE, SIDE, 1)."""
    cells = images[..., 0].reshape(len(images), SIDE // POOL, POOL, SIDE // POOL, POOL).mean((2, 4))
    return np.repeat(cells[:, None], 3, axis=1).reshape(len(images), -1)
