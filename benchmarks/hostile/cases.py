"""The corpus: one function or one line a case. Each spoils a copy of a valid submission in place.

A case named in `HARMLESS` may be accepted; what it tries must then have no effect. One in `ALARMED` breaks no rule, and
must be put before the reviewer. Every other case must be refused.
`NEEDS_RERUN` are forgeries that are consistent in themselves: only rerunning from the weights can find them.
"""

from __future__ import annotations

import json
import os
import pickle
import struct
import unicodedata
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.hostile.base import (
    edit_card,
    edit_every_record,
    edit_predictions,
    edit_record,
    edit_records,
    predictions_of,
    records_of,
    unit_key,
)

Case = Callable[[Path, Path], None]
"""(folder to spoil, folder of another valid submission)."""

CASES: dict[str, Case] = {}
HARMLESS: set[str] = set()
ALARMED: set[str] = set()
NEEDS_RERUN: set[str] = set()
MARKER = "medssl-was-executed"
"""A file of this name in the working folder would prove that something was executed."""


def case(function: Case) -> Case:
    CASES[function.__name__.replace("_", " ")] = function
    return function


def in_card(name: str, old: str, new: str) -> None:
    """A case: text of the card replaced."""
    CASES[name] = lambda folder, other: edit_card(folder, old, new)


def in_record(name: str, change: Callable[[dict[str, Any]], Any], **which: str) -> None:
    """A case: one record edited in place."""
    CASES[name] = lambda folder, other: edit_record(folder, change, **which)


def in_every_record(name: str, change: Callable[[dict[str, Any]], Any]) -> None:
    """A case: each record edited in place."""
    CASES[name] = lambda folder, other: edit_every_record(folder, change)


def in_records(name: str, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> None:
    """A case: other records."""
    CASES[name] = lambda folder, other: edit_records(folder, change)


def in_predictions(name: str, change: Callable[[dict[str, np.ndarray]], Any], **which: str) -> None:
    """A case: predictions edited in place, their hashes in the records too."""
    CASES[name] = lambda folder, other: edit_predictions(folder, change, rehash=True, **which)


# Numbers ---------------------------------------------------------------------------------------------------------


in_record("edited metric", lambda r: r["metrics"]["test"]["auroc"].update(value=0.999))


@case
def edited_secondary_metric(folder: Path, other: Path) -> None:
    def change(record: dict[str, Any]) -> None:
        name = next(n for n in record["metrics"]["test"] if n != "auroc")
        record["metrics"]["test"][name]["value"] = 0.123

    edit_record(folder, change)


in_record(
    "narrowed interval", lambda r: r["metrics"]["test"]["auroc"].update(low=r["metrics"]["test"]["auroc"]["value"])
)
in_record("added metric", lambda r: r["metrics"]["test"].update(brilliance={"value": 1.0, "low": 1.0, "high": 1.0}))
in_record("dropped metric", lambda r: r["metrics"]["test"].pop("auroc"))


@case
def edited_prediction(folder: Path, other: Path) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        key = next(k for k in arrays if "linear-v2.100pct" in k)
        arrays[key] = arrays[key][:, ::-1].copy()

    edit_predictions(folder, change)


@case
def edited_prediction_with_its_hash(folder: Path, other: Path) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        key = next(k for k in arrays if "linear-v2.100pct" in k)
        arrays[key] = np.roll(arrays[key], 1, axis=0)

    edit_predictions(folder, change, rehash=True)


@case
def swapped_ids(folder: Path, other: Path) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        for key in arrays:
            arrays[key] = arrays[key][::-1].copy()

    edit_predictions(folder, change, rehash=True)


@case
def predictions_of_another_encoder(folder: Path, other: Path) -> None:
    for task in ("which", "where"):
        predictions_of(folder, task).write_bytes(predictions_of(other, task).read_bytes())
    theirs = {unit_key(r): r for r in map(json.loads, records_of(other).read_text().splitlines())}

    def change(records: list[dict[str, Any]]) -> None:
        for record in records:
            copied = theirs[unit_key(record)]
            record.update({k: copied[k] for k in ("metrics", "predictions_sha256", "chosen")})

    edit_records(folder, change)


@case
def test_labels_used_as_features(folder: Path, other: Path) -> None:
    from bench.data.load import load_task
    from bench.data.task import read_task
    from bench.metrics.resample import resample_counts
    from bench.metrics.scored import score

    tasks = folder.parents[2] / "tasks"
    data = load_task(read_task(tasks / "which.toml"), folder=tasks)
    test = data.tests["test"]
    perfect = np.eye(2, dtype=np.float32)[test.labels]
    counts = resample_counts("which", "test", test.ids, test.groups)
    metrics = {k: v.model_dump() for k, v in score(data.task, perfect, test, resamples=counts).items()}

    def change(arrays: dict[str, np.ndarray]) -> None:
        for key in arrays:
            arrays[key] = perfect

    edit_predictions(folder, change, rehash=True)
    edit_records(
        folder,
        lambda records: [
            r | ({"metrics": {"test": metrics}} if r["unit"]["task"] == "which" and r["status"] == "done" else {})
            for r in records
        ],
    )


NEEDS_RERUN.add("test labels used as features")


in_record("nan in a record", lambda r: r["metrics"]["test"]["auroc"].update(value=float("nan")))
in_record("infinity in a record", lambda r: r["metrics"]["test"]["auroc"].update(value=1e999))
in_predictions("nan in predictions", lambda arrays: [a.__setitem__((0, 0), np.nan) for a in arrays.values()])
in_predictions("infinite predictions", lambda arrays: [a.__setitem__((0, 0), np.inf) for a in arrays.values()])
in_predictions("probabilities above one", lambda arrays: [a.__imul__(2) for a in arrays.values()])
in_predictions("predictions of too few cases", lambda arrays: arrays.update({k: a[:-1] for k, a in arrays.items()}))
in_predictions(
    "masks of an unknown class", lambda a: a.update({k: v + np.uint8(7) for k, v in a.items()}), task="where"
)


# Which units -----------------------------------------------------------------------------------------------------


in_records("duplicated unit", lambda records: [*records, records[0]])
in_records("missing unit", lambda records: records[1:])
in_records("cherry picked seeds", lambda records: [r for r in records if r["unit"]["seed"] != 3])


@case
def bad_units_hidden_as_refused(folder: Path, other: Path) -> None:
    def change(record: dict[str, Any]) -> None:
        record.update(
            status="refused",
            reason="not enough images",
            metrics={},
            predictions=None,
            predictions_sha256=None,
            n_labels=0,
        )

    edit_record(folder, change)


in_records(
    "seed outside the suite", lambda records: [*records, records[0] | {"unit": records[0]["unit"] | {"seed": 77}}]
)
in_record("more labels than the budget", lambda r: r.update(n_labels=60), key="which.linear-v2.10pct.0")
in_record("failed unit", lambda r: r.update(status="failed", reason="out of memory", metrics={}))
in_records(
    "wrong fingerprint", lambda rs: [r | {"made_by": r["made_by"] | {"suite_fingerprint": "0" * 64}} for r in rs]
)
in_record("other protocol version", lambda r: r.update(protocol_sha256="0" * 64))
in_record("other data", lambda r: r.update(data_sha256="0" * 64))


@case
def records_of_another_encoder(folder: Path, other: Path) -> None:
    records_of(folder).write_bytes(records_of(other).read_bytes())


in_records("future schema", lambda records: [r | {"schema": 2} for r in records])
in_record("unknown key in a record", lambda r: r.update(bonus=1))


# Files and paths -------------------------------------------------------------------------------------------------


in_record("path traversal in a record", lambda r: r.update(unit=r["unit"] | {"task": "../../../etc/passwd"}))
in_card("path traversal in the card", "weights.safetensors", "../../../../etc/hostname.safetensors")


NEEDS_RERUN.add("path traversal in the card")


@case
def link_to_a_file_outside(folder: Path, other: Path) -> None:
    (folder / "weights.safetensors").unlink()
    (folder / "weights.safetensors").symlink_to("/etc/passwd")


@case
def link_to_a_folder_outside(folder: Path, other: Path) -> None:
    (folder / "extra").symlink_to("/etc")


@case
def named_pipe(folder: Path, other: Path) -> None:
    records_of(folder).unlink()
    os.mkfifo(records_of(folder))


@case
def zip_bomb(folder: Path, other: Path) -> None:
    with zipfile.ZipFile(predictions_of(folder), "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        header = b"\x93NUMPY\x01\x00v\x00{'descr': '|u1', 'fortran_order': False, 'shape': (4000000000,), }"
        with archive.open("x.npy", "w", force_zip64=True) as member:
            member.write(header.ljust(127) + b"\n")
            for _ in range(60):
                member.write(bytes(10_000_000))


@case
def npz_with_a_lying_header(folder: Path, other: Path) -> None:
    with zipfile.ZipFile(predictions_of(folder), "w") as archive:
        header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }"
        archive.writestr("which.knn-v1.100pct.0/test.npy", header.ljust(127) + b"\n" + bytes(80))


@case
def npz_with_a_pickle(folder: Path, other: Path) -> None:
    np.savez(predictions_of(folder), x=np.array([_Executes()], dtype=object))


@case
def thousands_of_files(folder: Path, other: Path) -> None:
    for i in range(6000):
        (folder / "tasks" / f"extra{i}.npz").touch()


@case
def oversized_file(folder: Path, other: Path) -> None:
    with open(predictions_of(folder, "big"), "wb") as file:
        file.truncate(30 * 1024**2)


@case
def oversized_image_beside_the_card(folder: Path, other: Path) -> None:
    with open(folder / "figure.png", "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 100_000, 100_000, 8, 2, 0, 0, 0))


@case
def script_beside_the_card(folder: Path, other: Path) -> None:
    (folder / "setup.py").write_text(f"open({MARKER!r}, 'w')")


@case
def forged_badge(folder: Path, other: Path) -> None:
    (folder / "badge.json").write_text(
        json.dumps(
            {
                "schema_version": 1,
                "badge": "reproduced",
                "contents_sha256": "0" * 64,
                "verified": "2026-01-01",
                "medssl": "0.1.0",
                "units": 10,
                "tolerance": 0.0,
                "largest_difference": 0.0,
            }
        )
    )


# Weights ---------------------------------------------------------------------------------------------------------


class _Executes:
    def __reduce__(self) -> tuple:
        return (open, (MARKER, "w"))


def _weights(folder: Path, data: bytes, name: str = "weights.safetensors") -> None:
    import hashlib
    import re

    (folder / "weights.safetensors").unlink()
    (folder / name).write_bytes(data)
    text = (folder / "encoder.toml").read_text()
    old = re.search(r"[0-9a-f]{64}", text)
    assert old
    edit_card(folder, old.group(), hashlib.sha256(data).hexdigest())
    if name != "weights.safetensors":
        edit_card(folder, "weights.safetensors", name)


@case
def pickle_disguised_as_safetensors(folder: Path, other: Path) -> None:
    _weights(folder, pickle.dumps(_Executes()))


@case
def pickle_that_executes(folder: Path, other: Path) -> None:
    _weights(folder, pickle.dumps(_Executes()), "weights.pth")


@case
def safetensors_with_a_lying_header(folder: Path, other: Path) -> None:
    header = json.dumps({"x": {"dtype": "F32", "shape": [10**9], "data_offsets": [0, 4 * 10**9]}}).encode()
    _weights(folder, struct.pack("<Q", len(header)) + header)


@case
def safetensors_with_an_endless_header(folder: Path, other: Path) -> None:
    _weights(folder, struct.pack("<Q", 2**62) + b"{}")


@case
def weights_that_are_not_the_cards(folder: Path, other: Path) -> None:
    (folder / "weights.safetensors").write_bytes((other / "weights.safetensors").read_bytes())


@case
def onnx_with_data_outside_the_folder(folder: Path, other: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="../../../../etc/passwd")
    value = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 32, 32])
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [image], [value], [tensor])
    data = helper.make_model(graph).SerializeToString()
    assert onnx
    _weights(folder, data, "model.onnx")
    edit_card(folder, 'adapter = "timm", model = "resnet10t", weights = ', 'adapter = "onnx", weights = ')
    edit_card(folder, ", dense_layer = -2", "")


@case
def python_file_as_encoder(folder: Path, other: Path) -> None:
    _weights(folder, b"x", "weights.pt")
    (folder / "weights.pt").write_text(f"open({MARKER!r}, 'w')")
    edit_card(folder, 'adapter = "timm", model = "resnet10t", weights = ', 'adapter = "python", file = ')


NEEDS_RERUN |= {
    "pickle disguised as safetensors",
    "pickle that executes",
    "safetensors with a lying header",
    "safetensors with an endless header",
    "weights that are not the cards",
    "onnx with data outside the folder",
    "python file as encoder",
}


# Text ------------------------------------------------------------------------------------------------------------


in_card("deep toml", 'licence = "MIT"', "x = " + "[" * 100_000 + "]" * 100_000)
in_card("deep toml beyond the limit", 'licence = "MIT"', "x = " + "[" * 1_000_000 + "]" * 1_000_000)


@case
def deep_json(folder: Path, other: Path) -> None:
    records_of(folder).write_text("[" * 1_000_000 + "]" * 1_000_000)


@case
def deep_json_within_the_limit(folder: Path, other: Path) -> None:
    records_of(folder).write_text("[" * 100_000 + "]" * 100_000)


@case
def two_gigabyte_string(folder: Path, other: Path) -> None:
    with open(records_of(folder), "wb") as file:
        file.write(b'{"encoder": "')
        file.truncate(2 * 1024**3)


in_card("huge card", 'title = "', 'title = "' + "x" * 1_000_000)


@case
def html_and_script_in_every_text_field(folder: Path, other: Path) -> None:
    hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>"
    edit_card(folder, 'title = "Seeded ResNet-10"', f'title = "{hostile}"')
    edit_card(folder, 'authors = ["A. Author"]', f'authors = ["{hostile}"]')
    edit_card(folder, 'method = "SimCLR"', f'method = "{hostile}"\ndescription = "{hostile}"')
    edit_records(folder, lambda rs: [r | {"warnings": [hostile]} for r in rs])


HARMLESS.add("html and script in every text field")


in_card("look alike name", 'name = "honest"', 'name = "h\N{CYRILLIC SMALL LETTER O}nest"')


@case
def name_that_normalises_to_another(folder: Path, other: Path) -> None:
    wide = "\N{FULLWIDTH LATIN SMALL LETTER H}onest"
    assert unicodedata.normalize("NFKC", wide) == "honest"
    edit_card(folder, 'name = "honest"', f'name = "{wide}"')


@case
def name_of_another_encoder(folder: Path, other: Path) -> None:
    edit_card(folder, 'name = "honest"', 'name = "other"')
    edit_records(folder, lambda rs: [r | {"encoder": "other"} for r in rs])


in_card("code in a card", 'licence = "MIT"', f"licence = \"MIT\"\nrun = \"__import__('os').system('touch {MARKER}')\"")


@case
def control_characters_in_a_name(folder: Path, other: Path) -> None:
    (folder / "tasks" / "predictions" / "x\x1b[31m.npz").touch()


@case
def not_utf8(folder: Path, other: Path) -> None:
    records_of(folder).write_bytes(b"\xff\xfe" + records_of(folder).read_bytes())


@case
def empty_records(folder: Path, other: Path) -> None:
    records_of(folder).write_text("")


@case
def no_card(folder: Path, other: Path) -> None:
    (folder / "encoder.toml").unlink()
