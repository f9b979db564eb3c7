"""What is smuggled in by types, numbers and names that look alike: more cases for `benchmarks.hostile.cases`."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from bench.files import sha256_file
from benchmarks.hostile.base import edit_card, edit_record, edit_records, records_of
from benchmarks.hostile.cases import ALARMED, HARMLESS, NEEDS_RERUN, case, in_card, in_record


def _in_text(folder: Path, old: str, new: str) -> None:
    """Replace text in the records as bytes, where no Python value says it."""
    path = records_of(folder)
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


# Numbers -----------------------------------------------------------------------------------------------------------


@case
def exponent_beyond_every_float(folder: Path, other: Path) -> None:
    """1e999 is not NaN and not Infinity in JSON, and infinite once it is read."""
    edit_record(folder, lambda r: r["metrics"]["test"]["auroc"].update(value=12345.5))
    _in_text(folder, "12345.5", "1e999")


@case
def exponent_in_what_was_chosen(folder: Path, other: Path) -> None:
    edit_record(folder, lambda r: r["chosen"].update(C=12345.5))
    _in_text(folder, "12345.5", "-1e999")


in_record("truth in the place of a score", lambda r: r["metrics"]["test"]["auroc"].update(value=True))
# A lone surrogate: valid JSON, and no text that can be written.
in_record("half of a character", lambda r: r.update(reason="\ud800"))
# TOML has dates, JSON has none.
in_card("date in the source", 'adapter = "timm"', 'adapter = "timm", seed = 1979-05-27T07:32:00Z')
in_card("date in an option", 'adapter = "timm"', 'adapter = "timm", options = { depth = 07:32:00 }')
in_card("infinity in the source", 'adapter = "timm"', 'adapter = "timm", options = { mlp_ratio = inf }')


# Names -------------------------------------------------------------------------------------------------------------


@case
def folder_in_the_place_of_a_file(folder: Path, other: Path) -> None:
    """records.jsonl as a folder with a file in it."""
    path = records_of(folder)
    path.unlink()
    path.mkdir()
    (path / "weights.json").write_text("{}")


@case
def store_that_leads_out(folder: Path, other: Path) -> None:
    entry = {"sha256": "0" * 64, "bytes": 1}
    (folder / "stored.json").write_text(json.dumps({"schema": 1, "files": {"../../../etc/passwd": entry}}))


@case
def store_that_names_the_card(folder: Path, other: Path) -> None:
    entry = {"sha256": "0" * 64, "bytes": 1}
    (folder / "stored.json").write_text(json.dumps({"schema": 1, "files": {"encoder.toml": entry}}))


@case
def training_log_without_end(folder: Path, other: Path) -> None:
    (folder / "training.json").write_text("[" * 100_000 + "]" * 100_000)


# Cyrillic letters in the title of the other submission.
in_card("title that looks like anothers", "Seeded ResNet-10", "Sееded RеsNеt-10, draw 1")


# Weights -----------------------------------------------------------------------------------------------------------


def _weights(folder: Path, name: str, state: dict[str, torch.Tensor]) -> None:
    """Weights of another kind or name, with the hash on the card and in the records."""
    before = sha256_file(folder / "weights.safetensors")
    (folder / "weights.safetensors").unlink()
    save_file(state, folder / name) if name.endswith("safetensors") else torch.save(state, folder / name)
    after = sha256_file(folder / name)
    edit_card(
        folder, f'weights = "weights.safetensors", sha256 = "{before}"', f'weights = "{name}", sha256 = "{after}"'
    )
    edit_records(folder, lambda records: [r | {"weights_sha256": after} for r in records])


@case
def weights_in_whole_numbers(folder: Path, other: Path) -> None:
    state = load_file(folder / "weights.safetensors")
    _weights(folder, "weights.pth", {n: (v * 100).to(torch.int8) if v.ndim == 4 else v for n, v in state.items()})


@case
def weights_of_another_under_another_name(folder: Path, other: Path) -> None:
    """The other submission's network, a hundredth of noise on it, as a file of torch in half precision."""
    torch.manual_seed(0)
    state = load_file(other / "weights.safetensors")
    near = {
        n: v + 0.01 * v.std() * torch.randn_like(v) if v.is_floating_point() and v.ndim > 1 else v
        for n, v in state.items()
    }
    _weights(folder, "copied.pth", {n: v.half() if v.is_floating_point() else v for n, v in near.items()})


@case
def pickle_that_multiplies(folder: Path, other: Path) -> None:
    """Thirty dictionaries, each twice in the next: a thousand million when each is read where it stands."""
    state = load_file(folder / "weights.safetensors")
    nested: dict = {}
    for _ in range(30):
        nested = {"a": nested, "b": nested}
    _weights(folder, "weights.pth", {**state, "config": nested})


@case
def copy_of_another_submission(folder: Path, other: Path) -> None:
    """Everything of the other, the name in card and records changed."""
    for path in folder.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(other, folder, dirs_exist_ok=True)
    edit_card(folder, 'name = "other"', f'name = "{folder.name}"')
    edit_records(folder, lambda records: [r | {"encoder": folder.name} for r in records])


NEEDS_RERUN |= {"weights in whole numbers", "pickle that multiplies"}
HARMLESS |= {"training log without end", "pickle that multiplies"}
ALARMED |= {"title that looks like anothers", "weights of another under another name"}
