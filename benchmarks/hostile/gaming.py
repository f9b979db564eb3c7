"""What attacks the score, the badge or the board, not the parser: more cases for `benchmarks.hostile.cases`."""

from __future__ import annotations

import bz2
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from bench.data.load import load_task
from bench.files import npz_bytes, read_npz
from bench.metrics.resample import resample_counts
from bench.metrics.scored import score
from bench.runs.plan import own_cards
from bench.runs.predictions import read_predictions
from benchmarks.hostile.base import (
    edit_every_record,
    edit_predictions,
    edit_records,
    predictions_of,
    records_of,
    unit_key,
)
from benchmarks.hostile.cases import HARMLESS, NEEDS_RERUN, case, in_card, in_every_record, in_predictions, in_record

# The score -------------------------------------------------------------------------------------------------------


@case
def masks_nudged_towards_the_truth(folder: Path, other: Path) -> None:
    """A wrong pixel of each mask put right, records and hashes made to match: no score moves by .005."""
    task, where = own_cards(_tasks(folder))["where"]
    test = load_task(task, folder=where).tests["test"]
    counts, nudged = resample_counts(task.name, "test", test.ids, test.groups), dict[str, np.ndarray]()

    def nudge(arrays: dict[str, np.ndarray]) -> None:
        for name, masks in arrays.items():
            for mask, truth in zip(masks, test.labels, strict=True):
                if len(found := np.flatnonzero(mask != truth)):
                    mask.ravel()[found[0]] = truth.ravel()[found[0]]
            nudged[name] = masks

    def rescored(record: dict[str, Any]) -> None:
        if (masks := nudged.get(f"{unit_key(record)}/test")) is not None:
            found = score(task, masks, test, resamples=counts, scoring=record["scoring"])
            record["metrics"]["test"] = {name: value.model_dump() for name, value in found.items()}

    edit_predictions(folder, nudge, task="where", rehash=True)
    edit_every_record(folder, rescored)


def _tasks(folder: Path) -> Path:
    """The task cards beside the cases: `tasks/` of the nearest folder above that has some."""
    return next(above / "tasks" for above in folder.parents if (above / "tasks" / "where.toml").is_file())


# Probabilities may be scaled by what validation chose: nobody has chosen this one.
in_record("temperature that flatters", lambda r: r["chosen"].update(temperature=7.5))
in_every_record("fewer parameters", lambda r: r["cost"].update(parameters=1000))
in_every_record("fewer flops", lambda r: r["cost"].update(flops_per_image=1000))


NEEDS_RERUN |= {
    "masks nudged towards the truth", "fewer parameters", "fewer flops", "temperature that flatters",
}  # fmt: skip


# What a record says beside its scores ------------------------------------------------------------------------------


in_every_record("records that name other weights", lambda r: r.update(weights_sha256="0" * 64))
in_record("one record of other weights", lambda r: r["identity"]["encoder"].update(weights="0" * 16))
in_every_record("records of another version", lambda r: r.update(encoder_version="0.9"))
in_every_record("records for another suite", lambda r: r["made_by"].update(suite="core-v1"))
in_record("temperature in words", lambda r: r["chosen"].update(temperature="<script>alert(1)</script>"))
in_record("temperature below zero", lambda r: r["chosen"].update(temperature=-1.0))
in_record("predictions elsewhere", lambda r: r.update(predictions="../../../../etc/passwd"))


@case
def scores_of_a_refused_unit(folder: Path, other: Path) -> None:
    def change(records: list[dict[str, Any]]) -> None:
        refused = next(r for r in records if r["status"] == "refused")
        refused["metrics"] = {"test": {refused["metric"]: {"value": 1.0, "low": 1.0, "high": 1.0}}}

    edit_records(folder, change)


in_card("source of no adapter", 'adapter = "timm"', 'adapter = "telepathy"')
in_card("key of no source", 'adapter = "timm"', 'adapter = "timm", run = "rm -rf ~"')


# The board -------------------------------------------------------------------------------------------------------


in_every_record("cost beyond counting", lambda r: r["cost"].update(parameters=10**30, flops_per_image=10**30))
in_every_record("negative cost", lambda r: r["cost"].update(seconds={"extract": -1e9}))
in_record("score beyond every metric", lambda r: r["metrics"]["test"]["auroc"].update(value=1e300))
in_record("interval upside down", lambda r: r["metrics"]["test"]["auroc"].update(low=1.0, high=0.0))
in_record("number of a thousand digits", lambda r: r["chosen"].update(C=10**1000))
in_every_record("record of the year 9999", lambda r: r["made_by"].update(created="9999-12-31T23:59:59+00:00"))
in_every_record("record of next year", lambda r: r["made_by"].update(created="2099-01-01T00:00:00+00:00"))
in_every_record("script as a date", lambda r: r["made_by"].update(created="zzz <script>alert(1)</script>"))
in_card("escape sequence in a title", 'title = "Seeded ResNet-10"', 'title = "Seeded\\u001b[2J ResNet-10"')
in_card("text that runs backwards", 'title = "Seeded ResNet-10"', 'title = "Seeded \\u202e01-teNseR"')
in_card("text with nothing in it", 'title = "Seeded ResNet-10"', 'title = "Seeded\\u200b ResNet-10"')
# Tables for spreadsheets put an apostrophe before it (tests/leaderboard/test_frame.py).
in_card("formula as a title", 'title = "Seeded ResNet-10"', 'title = "=HYPERLINK(1)"')
in_card("command of latex as a title", 'title = "Seeded ResNet-10"', r"title = '\input{/etc/passwd}\write18{id}'")
in_card("more parameters than atoms", 'architecture = "cnn"', f'architecture = "cnn"\nparameters = {"9" * 400}')
in_card("more images than atoms", "images = 100", f"images = {'9' * 400}")
in_card("mean beyond every pixel", "mean = [0.5, 0.5, 0.5]", "mean = [1e308, 0.5, 0.5]")
in_card("number without end in the source", 'model = "resnet10t"', f'model = "resnet10t", num_classes = {"9" * 400}')
in_card("invisible text in the source", 'model = "resnet10t"', 'model = "resnet\\u202e10t"')


HARMLESS |= {"formula as a title", "command of latex as a title"}


# What is not looked at -------------------------------------------------------------------------------------------


@case
def key_given_twice(folder: Path, other: Path) -> None:
    path = records_of(folder)
    path.write_text(path.read_text().replace('"status":"done"', '"status":"refused","status":"done"', 1))


@case
def array_of_no_unit(folder: Path, other: Path) -> None:
    edit_predictions(folder, lambda arrays: arrays.update({"anything": np.ones(3)}))


@case
def predictions_of_no_task(folder: Path, other: Path) -> None:
    path = predictions_of(folder)
    path.with_name("hidden.npz").write_bytes(path.read_bytes())


@case
def more_records_than_any_suite(folder: Path, other: Path) -> None:
    path = records_of(folder)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0] * 5000)


@case
def badge_of_its_own(folder: Path, other: Path) -> None:
    (folder / "badges.jsonl").write_text(json.dumps({"encoder": folder.name, "badge": "reproduced"}))


# Files that are not what they seem -------------------------------------------------------------------------------


@case
def two_files_of_records(folder: Path, other: Path) -> None:
    path = records_of(folder)
    path.with_suffix(".jsonl.bz2").write_bytes(bz2.compress(path.read_bytes().replace(b"0.9", b"1.0")))


@case
def records_packed_twice(folder: Path, other: Path) -> None:
    path = records_of(folder)
    path.with_suffix(".jsonl.bz2").write_bytes(bz2.compress(bz2.compress(path.read_bytes())))
    path.unlink()


@case
def archive_in_an_archive(folder: Path, other: Path) -> None:
    path = predictions_of(folder)
    inner = path.read_bytes()
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("which.npz", inner)


@case
def array_under_two_names(folder: Path, other: Path) -> None:
    """As bits and whole: readers that take the one and readers that take the other would see different masks."""
    path = predictions_of(folder, "where")
    whole = {name: array[:, ::-1] for name, array in read_predictions(path).items()}
    path.write_bytes(npz_bytes(read_npz(path) | whole))


@case
def probe_of_no_record(folder: Path, other: Path) -> None:
    probe = next((folder / "tasks" / "probes").glob("*.npz"))
    probe.with_name("0" * 16 + ".npz").write_bytes(probe.read_bytes())


@case
def names_that_differ_in_case(folder: Path, other: Path) -> None:
    (folder / "Weights.safetensors").write_bytes((other / "weights.safetensors").read_bytes())


@case
def device_as_a_file_name(folder: Path, other: Path) -> None:
    (folder / "aux.json").write_text("{}")


in_predictions("complex predictions", lambda a: a.update({k: v.astype(np.complex64) for k, v in a.items()}))
in_predictions(
    "predictions in whole numbers", lambda a: a.update({k: v.round().astype(np.int64) for k, v in a.items()})
)
in_predictions("predictions of one more axis", lambda a: a.update({k: v[..., None] for k, v in a.items()}))


@case
def masks_in_floats(folder: Path, other: Path) -> None:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays.update({k: v.astype(np.float32) for k, v in arrays.items()})

    edit_predictions(folder, change, task="where", rehash=True)
