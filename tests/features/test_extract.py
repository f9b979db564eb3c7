"""Extraction: every image once, in order, whatever the batch size; memory running out loses nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.encoders.base import Encoded, Encoder
from bench.encoders.card import EncoderCard
from bench.errors import EncoderError, NotForThisEncoderError
from bench.features import extract as module
from bench.features.extract import AHEAD, _Collected, _putting, _sent, extract
from bench.features.resident import Resident

CARD = EncoderCard.parse(
    {
        "schema": 1,
        "name": "probe",
        "version": "1",
        "title": "t",
        "authors": ["a"],
        "licence": "CC0-1.0",
        "paradigm": "reference",
        "objective": "other",
        "method": "m",
        "architecture": "none",
        "source": {},
        "preprocessing": {"size": 8, "mean": [0.0] * 3, "std": [1.0] * 3},
    },
    where="test",
)


class Probe(Encoder):
    """Mean and corner of the image; `limit` is the largest batch that fits into its memory."""

    def __init__(self, limit: int = 10**6, grid: bool = True, poison: bool = False) -> None:
        super().__init__(CARD)
        self.limit, self.grid, self.poison, self.seen = limit, grid, poison, []

    def forward(self, x: torch.Tensor, dense: bool) -> Encoded:
        if len(x) > self.limit:
            raise torch.OutOfMemoryError
        self.seen.append(len(x))
        pooled = torch.stack([x.mean((1, 2, 3)), x[:, 0, 0, 0]], 1)
        if self.poison:
            pooled[0, 0] = float("nan")
        return Encoded(pooled, x.permute(0, 2, 3, 1) if dense and self.grid else None)


@pytest.fixture
def images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (23, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize("batch_size", [1, 5, 23, 64])
def test_every_image_once_in_order(images: np.ndarray, batch_size: int) -> None:
    features = extract(Probe(), images, dense=True, batch_size=batch_size)
    np.testing.assert_allclose(features.pooled[:, 0], images.mean((1, 2, 3)) / 255, rtol=1e-5)
    np.testing.assert_allclose(features.pooled[:, 1], images[:, 0, 0, 0] / 255, rtol=1e-6)
    np.testing.assert_allclose(features.grid, images / 255, rtol=1e-5)
    assert features.pooled.dtype == features.grid.dtype == np.float32


def test_batches_halve_when_memory_runs_out(images: np.ndarray) -> None:
    probe = Probe(limit=3)
    features = extract(probe, images, dense=False, batch_size=16)
    np.testing.assert_allclose(features.pooled[:, 0], images.mean((1, 2, 3)) / 255, rtol=1e-5)
    assert sum(probe.seen) == len(images)
    assert max(probe.seen) == 2


def test_an_image_that_does_not_fit_is_one_message(images: np.ndarray) -> None:
    with pytest.raises(EncoderError, match="even for one image"):
        extract(Probe(limit=0), images, dense=False)


@pytest.mark.parametrize("aggregation", ["mean", "max"])
def test_a_volume_is_the_mean_or_maximum_of_its_slices(images: np.ndarray, aggregation: str) -> None:
    volumes = images[:20].reshape(4, 5, 8, 8, 3)
    slices = extract(Probe(), images[:20], dense=False).pooled.reshape(4, 5, 2)
    features = extract(Probe(), volumes, dense=False, aggregation=aggregation)
    np.testing.assert_allclose(features.pooled, getattr(slices, aggregation)(1), rtol=1e-6)


def test_nan_is_refused_with_the_encoders_name(images: np.ndarray) -> None:
    with pytest.raises(EncoderError, match="probe: global features hold NaN"):
        extract(Probe(poison=True), images, dense=False)


def test_an_encoder_without_a_grid_cannot_be_dense(images: np.ndarray) -> None:
    with pytest.raises(NotForThisEncoderError):
        extract(Probe(grid=False), images, dense=True)


class Deep(Probe):
    """The same of whole volumes."""

    def __init__(self, **changes: object) -> None:
        super().__init__()
        made = {"size": 8, "depth": 4, "mean": [0.0] * 3, "std": [1.0] * 3} | changes
        values = CARD.model_dump(mode="json", by_alias=True, exclude_none=True) | {"preprocessing": made}
        self.card = EncoderCard.parse(values, where="test")

    def forward(self, x: torch.Tensor, dense: bool) -> Encoded:
        self.seen.append(tuple(x.shape))
        return Encoded(x.mean((2, 3, 4)), x.movedim(1, -1) if dense else None)


@pytest.fixture
def volumes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (7, 4, 8, 8, 3), dtype=np.uint8)


def test_the_grids_of_slices_are_stacked(volumes: np.ndarray) -> None:
    features = extract(Probe(), volumes, dense=True)
    np.testing.assert_allclose(features.grid, volumes / 255, rtol=1e-5)
    np.testing.assert_allclose(features.pooled[:, 0], volumes.mean((1, 2, 3, 4)) / 255, rtol=1e-5)
    with pytest.raises(NotForThisEncoderError, match="no patch grid"):
        extract(Probe(grid=False), volumes, dense=True)


@pytest.mark.parametrize("batch_size", [None, 1, 3])
def test_an_encoder_of_volumes_takes_them_whole(volumes: np.ndarray, batch_size: int | None) -> None:
    encoder = Deep()
    features = extract(encoder, volumes, dense=True, batch_size=batch_size)
    np.testing.assert_allclose(features.pooled, volumes.mean((1, 2, 3)) / 255, rtol=1e-5)
    np.testing.assert_allclose(features.grid, volumes / 255, rtol=1e-5)
    assert {shape[1:] for shape in encoder.seen} == {(3, 4, 8, 8)}
    assert max(shape[0] for shape in encoder.seen) == (batch_size or 4)


def test_an_encoder_of_volumes_refuses_flat_images(images: np.ndarray) -> None:
    with pytest.raises(NotForThisEncoderError, match="takes volumes"):
        extract(Deep(), images, dense=False)


@pytest.mark.parametrize("batch_size", [1, 2, 7])
def test_each_volume_keeps_its_own_spacing(volumes: np.ndarray, batch_size: int) -> None:
    """Twice the distance between rows and columns: the corners fall out; half of it: black is put around."""
    spacing = np.ones((7, 3))
    spacing[3:5, 1:], spacing[5:, 1:] = 2.0, 0.5
    found = extract(Deep(spacing=[1.0, 1.0, 1.0]), volumes, dense=False, batch_size=batch_size, spacing=spacing).pooled
    np.testing.assert_allclose(found[:3], volumes[:3].mean((1, 2, 3)) / 255, rtol=1e-5)
    np.testing.assert_allclose(found[5:], volumes[5:].mean((1, 2, 3)) / 255 / 4, rtol=0.2)
    assert (np.abs(found[3:5] - volumes[3:5, :, 2:6, 2:6].mean((1, 2, 3)) / 255) < 0.1).all()


def test_a_spacing_that_is_not_known_everywhere_is_none(volumes: np.ndarray) -> None:
    spacing = np.ones((7, 3))
    spacing[6] = np.nan
    with pytest.raises(NotForThisEncoderError, match="spacing"):
        extract(Deep(spacing=[1.0, 1.0, 1.0]), volumes, dense=False, spacing=spacing)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
@pytest.mark.parametrize("how", ["mean", "max"])
def test_the_images_of_bags_are_encoded_once_and_joined(volumes: np.ndarray, batch_size: int, how: str) -> None:
    sizes, encoder = np.array([4, 1, 2, 4, 3, 1, 4]), Probe()
    found = extract(encoder, volumes, dense=False, batch_size=batch_size, aggregation=how, sizes=sizes)
    assert sum(encoder.seen) == sizes.sum()
    alone = volumes.mean((2, 3, 4)) / 255
    for i, n in enumerate(sizes):
        np.testing.assert_allclose(found.members[i, :n, 0], alone[i, :n], rtol=1e-5)
        assert not found.members[i, n:].any()
        np.testing.assert_allclose(found.pooled[i, 0], getattr(alone[i, :n], how)(), rtol=1e-5)
    with pytest.raises(NotForThisEncoderError):
        extract(Deep(), volumes, dense=False, sizes=sizes)


@pytest.mark.parametrize(("batch_size", "together"), [(None, [28]), (4, [4] * 7), (9, [8, 8, 8, 4]), (3, [3, 1] * 7)])
def test_slices_of_several_volumes_fill_a_batch(
    volumes: np.ndarray, batch_size: int | None, together: list[int]
) -> None:
    encoder, told = Probe(), []
    found = extract(encoder, volumes, dense=True, batch_size=batch_size, aggregation="max", progress=told.append)
    assert encoder.seen == together
    assert sum(told) == 7
    np.testing.assert_allclose(found.grid, volumes / 255, rtol=1e-5)
    np.testing.assert_allclose(found.pooled[:, 0], volumes.mean((2, 3, 4)).max(1) / 255, rtol=1e-5)


class _Gpu:
    """What `torch.cuda` is asked for while pieces are copied: streams and events that take no time."""

    def __getattr__(self, name: str) -> object:
        return lambda *given, **options: self

    def __enter__(self) -> None: ...
    def __exit__(self, *raised: object) -> None: ...


@pytest.fixture
def with_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces are copied as from a GPU, on a thread of their own."""
    for name in ("Stream", "stream", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, getattr(_Gpu(), name))


@pytest.mark.usefixtures("with_streams")
def test_pieces_copied_beside_encoding_are_the_same() -> None:
    collected = _Collected(23, True, "probe", Resident())
    pooled, grid = torch.arange(46.0).view(23, 2), torch.arange(23.0 * 12).view(23, 2, 2, 3)
    with _putting(collected, torch.device("cuda")) as put:
        for rows in (slice(0, 8), slice(8, 10), slice(10, 23)):
            put(rows.start, Encoded(pooled[rows], grid[rows]))
    np.testing.assert_array_equal(collected.features().pooled, pooled)
    np.testing.assert_array_equal(collected.features().grid, grid)


@pytest.mark.usefixtures("with_streams")
@pytest.mark.parametrize("values", [np.uint8, np.float32])
def test_images_are_sent_or_stay_pinned(images: np.ndarray, values: type, monkeypatch: pytest.MonkeyPatch) -> None:
    images = images.astype(values)
    sent, event = _sent(images, torch.device("cpu"), _Gpu())
    assert event is not None
    np.testing.assert_array_equal(sent, images)

    def full(*given: object, **options: object) -> None:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(torch.Tensor, "to", full)
    kept, event = _sent(images, torch.device("cpu"), _Gpu())
    assert event is None
    assert kept.numpy().dtype == values
    np.testing.assert_array_equal(kept.numpy(), images)


@pytest.mark.usefixtures("with_streams")
def test_a_value_that_is_not_finite_is_found_while_it_is_copied() -> None:
    for bad in (float("nan"), float("inf"), float("-inf")):
        pooled = torch.zeros(8, 2)
        pooled[5, 1] = bad
        with (
            pytest.raises(EncoderError, match="probe: global features hold NaN"),
            _putting(_Collected(8, False, "probe", Resident()), torch.device("cuda")) as put,
        ):
            put(0, Encoded(pooled, None))


def test_encoding_waits_for_no_check_of_values(images: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    honest = module.require_finite
    monkeypatch.setattr("bench.encoders.base.require_finite", lambda *given: asked.append("encoding"))
    monkeypatch.setattr(module, "require_finite", lambda *given: asked.append("copying") or honest(*given))
    extract(Probe(), images, dense=True, batch_size=8)
    assert asked == ["copying"] * 3


@pytest.mark.usefixtures("with_streams")
@pytest.mark.parametrize("pieces", [1, 4])
def test_what_goes_wrong_beside_encoding_is_raised(pieces: int) -> None:
    given = []

    def give() -> None:
        with _putting(_Collected(8, True, "probe", Resident()), torch.device("cuda")) as put:
            for start in range(pieces):
                given.append(start)
                put(start, Encoded(torch.zeros(1, 2), None))

    with pytest.raises(NotForThisEncoderError, match="no patch grid"):
        give()
    assert len(given) <= AHEAD + 1


@pytest.mark.parametrize(("room", "kept"), [(1 << 20, {"pooled", "grid"}), (3_000, {"pooled"}), (0, set())])
def test_features_stay_where_there_is_room(images: np.ndarray, room: int, kept: set[str]) -> None:
    resident = Resident(torch.device("cpu"), free=lambda: room)
    resident._fill = None  # nothing is brought over
    found = extract(Probe(), images, dense=True, batch_size=7, resident=resident)
    there = {name: resident(getattr(found, name)).there for name in ("pooled", "grid")}
    assert {name for name, matrix in there.items() if matrix is not None} == kept
    for name in kept:
        np.testing.assert_array_equal(there[name], getattr(found, name))


@pytest.mark.timeout(900)
def test_what_runs_on_a_gpu() -> None:
    """`tests/on_gpu`, on a GPU or an emulated one, in a process of its own; here, since large files are begun first."""
    folder = Path(__file__).parents[1] / "on_gpu"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(folder)]
    environment = os.environ | {"MEDSSL_TEST_ON_GPU": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=environment, cwd=folder.parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    assert " passed" in done.stdout
