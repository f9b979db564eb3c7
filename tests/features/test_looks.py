"""Encoders of 8 bits and of Hounsfield units on tasks that keep one or both."""

import numpy as np
import pytest
import torch
from torch import nn

import bench
from bench.checks.contract import contract
from bench.checks.cost import flops_per_image
from bench.data.load import load_task
from bench.encoders.card import Preprocessing
from bench.encoders.preprocess import prepare
from bench.errors import CardError, DataError, NotForThisEncoderError
from bench.features.extract import extract
from bench.features.looks import looked_at, refuse_units
from bench.runs.records import Record
from tests.cards import task_card

CARD = task_card("ct", 'reader = "npz", file = "ct.npz", window = "soft-tissue"KEPT', title="CT", modality="ct")
WINDOW = (-1000.0, 1000.0)


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """Two folders of the same CT: with 8 bits, and with Hounsfield units beside them."""
    monkeypatch.setenv("MEDSSL_HOME", str(tmp_path / "home"))
    rng, arrays = np.random.default_rng(0), {}
    for split, n in (("train", 24), ("val", 12), ("test", 12)):
        arrays[f"{split}_labels"] = np.arange(n) % 2
        shift = 900 * arrays[f"{split}_labels"][:, None, None]  # air or bone: alike in a window of soft tissue
        arrays[f"{split}_images"] = (rng.normal(-700, 20, (n, 16, 16)) - shift // 3).astype(np.int16)
    found = []
    for name, kept in (("bits", ""), ("units", ', intensities = "hu"')):
        (tmp_path / name).mkdir()
        np.savez(tmp_path / name / "ct.npz", **arrays)
        (tmp_path / name / "ct.toml").write_text(CARD.replace("KEPT", kept))
        found.append(tmp_path / name)
    return found


def flat(**more):
    torch.manual_seed(0)
    return bench.wrap(nn.Conv2d(1, 4, 8, 8), name="flat", size=16, mean=(0.0,), std=(1.0,), **more)


def units():
    return bench.wrap(nn.Conv2d(1, 4, 8, 8), name="units", size=16, mean=(-300.0,), std=(400.0,), window=WINDOW)


def run(encoder, folder, out):
    records = bench.run(encoder, None, tasks=folder, out=out, device="cpu").records
    return [r for r in records if r.unit.budget == "100%" and r.unit.protocol == "linear-v2"]


def load(folder):
    from bench.data.task import read_task

    return load_task(read_task(folder / "ct.toml"), folder=folder)


def test_an_encoder_of_8_bits_gets_the_same_features_and_scores(tasks, tmp_path):
    bits, both = map(load, tasks)
    encoder = flat()
    a, b = (extract(encoder, looked_at(encoder, data.train), dense=True) for data in (bits, both))
    assert a.pooled.tobytes() == b.pooled.tobytes()
    assert a.grid.tobytes() == b.grid.tobytes()
    (one,), (other,) = run(flat(), tasks[0], tmp_path / "a"), run(flat(), tasks[1], tmp_path / "b")
    assert one.metrics == other.metrics
    assert one.predictions_sha256 == other.predictions_sha256


def test_an_encoder_of_hounsfield_units_sees_them(tasks, tmp_path):
    data, encoder = load(tasks[1]), units()
    seen = looked_at(encoder, data.train)
    assert seen.dtype == np.float32
    x = torch.from_numpy(np.array(seen)).movedim(-1, 1).clamp(*WINDOW)
    expected = encoder.forward((x + 300) / 400, False).pooled
    np.testing.assert_allclose(extract(encoder, seen, dense=False).pooled, expected.detach(), atol=1e-5)
    (record,) = run(encoder, tasks[1], tmp_path / "runs")
    assert record.metrics["test"]["auroc"].value == 1  # what the window of the task hides


def test_on_a_task_of_8_bits_it_is_refused_with_cause_and_cure(tasks, tmp_path):
    (record,) = run(units(), tasks[0], tmp_path / "runs")
    assert record.status == "refused"
    assert "asks for Hounsfield units, and the task keeps 8 bits" in record.reason
    assert 'say intensities = "hu" in [source]' in record.reason
    assert Record.from_json(record.to_json()) == record


def test_another_window_or_input_is_another_encoder(tasks):
    made = units().card
    other = flat(window=(-900.0, 1000.0)).card
    assert made.sha256 != other.sha256
    assert "input" not in flat().card.preprocessing.model_dump(exclude=flat().card.preprocessing.later)


HOW = {"size": 8, "channels": 1, "mean": [0.0], "std": [1.0], "input": "hu"}


def test_units_are_cut_padded_with_air_and_not_scaled():
    x = torch.full((1, 8, 4, 1), 3000.0)
    x[:, :, 2:] = -2000.0
    whole = prepare(x, Preprocessing(**HOW, pad_to_square=True))
    assert whole[0, 0, 0].tolist() == [-1000.0] * 2 + [3000.0] * 2 + [-2000.0] * 2 + [-1000.0] * 2
    cut = prepare(x, Preprocessing(**HOW, pad_to_square=True, window=[-100.0, 200.0]))
    assert cut[0, 0, 0].tolist() == [-100.0] * 2 + [200.0] * 2 + [-100.0] * 4
    larger = prepare(x, Preprocessing(**HOW | {"size": 16}))
    assert larger.max() > 2900  # resizing cuts nothing at 255


def test_volumes_of_units_are_filled_up_with_air():
    how = Preprocessing(**HOW, depth=4, spacing=[1.0, 1.0, 1.0])
    x = prepare(torch.full((1, 2, 4, 4, 1), 50.0), how, spacing=torch.tensor([[1.0, 1.0, 1.0]]))
    assert x[0, 0, 0].unique().tolist() == [-1000.0]
    assert x[0, 0, 1, 4, 4] == 50


def test_pictures_are_not_taken_for_units_nor_units_for_pictures():
    with pytest.raises(DataError, match=r"images are torch.uint8.*expected Hounsfield units"):
        prepare(torch.zeros((1, 8, 8, 1), dtype=torch.uint8), Preprocessing(**HOW))
    with pytest.raises(DataError, match=r"images are torch.float32.*expected uint8"):
        prepare(torch.zeros((1, 8, 8, 1)), Preprocessing(**{k: v for k, v in HOW.items() if k != "input"}))
    with pytest.raises(NotForThisEncoderError, match="changed here as 8 bits"):
        refuse_units(units())
    refuse_units(flat())


def test_a_window_of_the_card_needs_its_units():
    with pytest.raises(CardError, match='say input = "hu" too'):
        bench.wrap(nn.Identity(), name="x", size=8, preprocessing={k: v for k, v in HOW.items() if k != "input"} | {
            "window": [0.0, 1.0]})  # fmt: skip


def test_the_contract_is_checked_in_its_units():
    encoder = bench.wrap(nn.Sequential(nn.Conv2d(1, 4, 8, 8), nn.ReLU()), name="u", size=32, mean=(0.0,), std=(500.0,),
                         window=WINDOW)  # fmt: skip
    found = {finding.check: finding.level for finding in contract(encoder)}
    assert "problem" not in found.values()
    assert "colour" not in found
    assert flops_per_image(encoder)
