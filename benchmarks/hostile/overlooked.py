"""What stands beside scores, is called almost like another, or is seen by nobody: more cases for the corpus."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from bench.files import sha256_file
from benchmarks.hostile.base import edit_card, edit_records
from benchmarks.hostile.cases import NEEDS_RERUN, case, in_card, in_every_record, in_record

PERFECT = {"value": 1.0, "low": 1.0, "high": 1.0}
TITLE = 'title = "Seeded ResNet-10"'

# Beside the scores -------------------------------------------------------------------------------------------------


in_record("sites of a task without sites", lambda r: r.update(leakage={"site_leakage": PERFECT}))
in_record("primary metric among the sites", lambda r: r.update(leakage={"auroc": PERFECT}))
in_record("score on the validation images", lambda r: r["metrics"].update(val={"auroc": PERFECT}))
in_record("interval left out", lambda r: r["metrics"]["test"]["auroc"].update(low=None, high=None))
in_every_record("labels of refused units", lambda r: r.update(n_labels=10**9) if r["status"] == "refused" else None)
in_every_record("other version of the metrics", lambda r: r.update(scoring=1))
in_record("setting that nobody chose", lambda r: r["chosen"].update(prize="first"))
in_record("setting in words", lambda r: r["chosen"].update(C="state of the art"))

NEEDS_RERUN |= {"setting that nobody chose", "setting in words"}


# Files -------------------------------------------------------------------------------------------------------------


@case
def plan_of_its_own(folder: Path, other: Path) -> None:
    """As a run folder keeps one: it names tasks and the folders where their data lie."""
    suite = {"schema": 1, "name": "tasks", "title": "T", "tasks": ["which"], "protocols": [{"name": "knn-v1"}]}
    plan = {"schema": 1, "suite": suite, "tasks": {}, "folders": {"which": "/etc"}}
    (folder / "tasks" / "plan.json").write_text(json.dumps(plan))


@case
def unfinished_run_of_its_own(folder: Path, other: Path) -> None:
    (folder / "tasks" / "run.json").write_text("{}")


@case
def weights_among_the_results(folder: Path, other: Path) -> None:
    """Where the badge of another suite would not cover them."""
    (folder / "tasks" / "more.safetensors").write_bytes((folder / "weights.safetensors").read_bytes())


@case
def letter_that_folds_to_another(folder: Path, other: Path) -> None:
    (folder / "weight\N{LATIN SMALL LETTER LONG S}.pth").write_bytes(b"x")


@case
def folder_called_like_a_file_but_for_case(folder: Path, other: Path) -> None:
    (folder / "Extra.json").mkdir()
    (folder / "Extra.json" / "a.pth").write_bytes(b"x")
    (folder / "extra.json").write_text("{}")


@case
def probe_that_is_none(folder: Path, other: Path) -> None:
    next((folder / "tasks" / "probes").glob("*.npz")).write_bytes(b"PK\x03\x04 something else")


@case
def probes_that_changed_places(folder: Path, other: Path) -> None:
    first, second = sorted((folder / "tasks" / "probes").glob("*.npz"))
    content = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(content)


@case
def store_below_a_file(folder: Path, other: Path) -> None:
    entry = {"sha256": "0" * 64, "bytes": 1}
    (folder / "stored.json").write_text(json.dumps({"schema": 1, "files": {"weights.safetensors/x.pth": entry}}))


# Text that is not seen, or too much of it --------------------------------------------------------------------------


for _name, _text in {
    "letter that prints as nothing": "\\u3164",
    "pattern of no dots": "a\\u2800b",
    "joiner of letters": "a\\u034fb",
    "title of a space": " ",
    "title of a wide space": "\\u00a0",
    "letter under fifty marks": "R" + "\\u0336" * 50,
    "character that is none": "a\\uffffb",
}.items():
    in_card(_name, TITLE, f'title = "{_text}"')


# Networks ----------------------------------------------------------------------------------------------------------


def _network(folder: Path, nodes: list, initial: list, width: int = 3) -> None:
    """An ONNX graph in the place of the weights; "m" in it are the means of an image's channels."""
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", width])
    mean = helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph([mean, *nodes], "g", [image], [value], initial)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "weights.safetensors").unlink()
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    line = next(line for line in (folder / "encoder.toml").read_text().splitlines() if line.startswith("source"))
    digest = sha256_file(folder / "model.onnx")
    edit_card(folder, line, f'source = {{ adapter = "onnx", weights = "model.onnx", sha256 = "{digest}" }}')
    edit_card(folder, "dense_size = 64, ", "")
    edit_card(folder, 'pooling = "mean", dense_layer = -2', 'pooling = "native"')
    edit_records(folder, lambda records: [r | {"weights_sha256": digest} for r in records])


def _outside() -> onnx.TensorProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../../../etc/hostname")
    return tensor


@case
def onnx_data_outside_in_a_branch(folder: Path, other: Path) -> None:
    value = helper.make_tensor_value_info
    then = helper.make_graph(
        [helper.make_node("Identity", ["w"], ["a"])], "then", [], [value("a", TensorProto.FLOAT, [3])], [_outside()]
    )
    zeros = numpy_helper.from_array(np.zeros(3, np.float32))
    otherwise = helper.make_graph(
        [helper.make_node("Constant", [], ["b"], value=zeros)], "else", [], [value("b", TensorProto.FLOAT, [3])]
    )
    chosen = helper.make_node("If", ["holds"], ["q"], then_branch=then, else_branch=otherwise)
    _network(
        folder, [chosen, helper.make_node("Add", ["m", "q"], ["y"])], [numpy_helper.from_array(np.array(True), "holds")]
    )


@case
def onnx_data_outside_in_a_constant(folder: Path, other: Path) -> None:
    constant = helper.make_node("Constant", [], ["q"], value=_outside())
    _network(folder, [constant, helper.make_node("Add", ["m", "q"], ["y"])], [])


@case
def onnx_that_draws_features(folder: Path, other: Path) -> None:
    """Others each time."""
    _network(folder, [helper.make_node("RandomNormalLike", ["m"], ["y"])], [])


@case
def onnx_of_a_terabyte(folder: Path, other: Path) -> None:
    tile = numpy_helper.from_array(np.array([1, 10**11]), "times")
    _network(folder, [helper.make_node("Tile", ["m", "times"], ["y"])], [tile], 3 * 10**11)
