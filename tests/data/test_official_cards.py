"""The shipped clinical cards: facts, marks, and official-looking files that run through them."""

import numpy as np
import pytest

from bench.data.load import load_task, read_source
from bench.data.task import read_suite, shipped_tasks
from bench.discover import members
from bench.errors import DataError

TASKS = {n: t for n, t in shipped_tasks().items() if not t.synthetic and t.source["reader"] == "npz"}
LEFT_OUT = {
    "idrib-c1", "idrib-c2", "idrib-c3", "idrib-c4", "nuclei", "monusac", "bkai-igh", "m2caiseg", "covid19radio",
    "usforkidney", "fhpsaop", "wbc", "pandental", "yeaz",
}  # fmt: skip


def base(name):
    return name.rpartition("-")[0]


@pytest.mark.parametrize("name", TASKS)
def test_a_card_is_whole(name):
    task, source = TASKS[name], read_source(TASKS[name])
    assert source.url.startswith("https://zenodo.org/records/")
    assert source.md5
    assert f"/{source.file}?" in source.url
    assert set(source.rows) == {"train", "val", "test"}
    assert task.licence
    assert task.caveats
    assert source.volume == (source.aggregation is not None) == name.split("-")[0].endswith("3d")


def test_every_set_is_there_at_every_size():
    found = {}
    for task in TASKS.values():
        stem, _, size = task.name.rpartition("-")
        found.setdefault(stem, set()).add(int(size))
    flat = [stem for stem, sizes in found.items() if sizes == {28, 64, 128, 224}]
    deep = [stem for stem, sizes in found.items() if sizes == {28, 64}]
    masks = [stem for stem, sizes in found.items() if sizes == {128, 256, 512}]
    assert (len(flat), len(deep), len(masks)) == (12, 6, 34 + 4)
    assert {base(t.name) for t in TASKS.values() if t.left_out} == LEFT_OUT


def test_facts_agree_with_the_medmnist_package():
    info = pytest.importorskip("medmnist").INFO
    for task in TASKS.values():
        if task.kind == "dense":
            continue
        stem, _, size = task.name.rpartition("-")
        source, suffix = read_source(task), "" if size == "28" else f"_{size}"
        assert source.md5 == info[stem][f"MD5{suffix}"]
        assert source.url == info[stem][f"url{suffix}"]
        assert source.rows == info[stem]["n_samples"]
        assert len(task.classes) == len(info[stem]["label"])


def test_caveats_that_matter():
    def said(name):
        return " ".join(TASKS[name].caveats)

    assert "Never by accuracy" in said("chestmnist-224")
    assert TASKS["chestmnist-224"].metric == "auroc"
    assert "lesion" in said("dermamnist-28")
    assert "Colour shortcut" in said("pathmnist-64")
    assert "Duplicates" in said("breastmnist-128")
    assert TASKS["retinamnist-224"].target == "ordinal"
    origins = {TASKS[f"{n}-64"].origin for n in ("organamnist", "organcmnist", "organsmnist", "organmnist3d")}
    assert origins == {"lits-organs"}


def test_the_core_board_is_balanced():
    suite = read_suite("core-v1")
    tasks = [TASKS[name] for name in suite.tasks]
    assert len(tasks) >= 30
    assert len({t.modality for t in tasks}) >= 8
    assert sum(t.kind == "global" for t in tasks) == sum(t.kind == "dense" for t in tasks)
    assert not [t.name for t in tasks if t.left_out]
    cells = {}
    for t in tasks:
        cells.setdefault((t.modality, t.kind), []).append(t.name)
    assert max(map(len, cells.values())) <= 5
    assert any("Contamination-prone" in c for t in tasks for c in t.caveats)


@pytest.mark.parametrize("name", ["core-v1", "medmnist2d-v1", "medmnist3d-v1", "medseg-v1"])
def test_a_suite_names_known_tasks_once(name):
    suite = read_suite(name)
    assert len(set(suite.tasks)) == len(suite.tasks)
    assert set(suite.tasks) <= set(TASKS)
    assert not suite.synthetic
    known = members("bench.protocols", "PROTOCOL")
    assert {use.name for use in suite.protocols} <= set(known)
    for kind in {TASKS[task].kind for task in suite.tasks}:
        assert any(known[use.name].kind == kind for use in suite.protocols)


def official_looking(task, rows=(24, 12, 12)):
    """Arrays with the keys, number types and shapes of the official file, tiny."""
    source, rng, k, arrays = read_source(task), np.random.default_rng(0), len(task.classes), {}
    for split, n in zip(("train", "val", "test"), rows, strict=True):
        shape = (n, 16, 16, 16) if source.volume else (n, 16, 16)
        arrays[f"{split}_images"] = rng.integers(0, 256, shape, dtype=np.uint8)
        if task.kind == "dense":
            key = (source.labels or "{split}_label").replace("{split}", split)
            arrays[key] = rng.integers(0, k, (n, 16, 16), dtype=np.uint8)
        elif task.target == "multi-label":
            arrays[f"{split}_labels"] = rng.integers(0, 2, (n, k), dtype=np.uint8)
        else:
            arrays[f"{split}_labels"] = (np.arange(n, dtype=np.uint8) % k)[:, None]
    return arrays


@pytest.mark.parametrize("name", [n for n in TASKS if n.endswith(("-64", "-256"))] + ["breastmnist-28", "kvasir-512"])
def test_official_looking_files_run_through_the_official_cards(name, tmp_path):
    task = TASKS[name]
    np.savez(tmp_path / task.source["file"], **official_looking(task))
    with pytest.raises(DataError, match="the card says"):
        load_task(task, folder=tmp_path)
    data = load_task(task, folder=tmp_path, accept_checksum=True)
    assert data.checksum_override
    assert len(data.train) == 24
    assert data.train.images.shape[1:] == ((16, 16, 16, 1) if task.source.get("volume") else (16, 16, 1))
    assert any("where the card says" in note for note in data.notes)
    if task.target == "mask":
        assert data.train.labels.max() == len(task.classes) - 1


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(DataError, match=r"kvasir_256\.npz is not here yet \(run 'medssl data fetch kvasir-256'"):
        load_task(TASKS["kvasir-256"], folder=tmp_path)
