"""Real images written as clinics keep them are read back to the same pixels, and score the same."""

import csv
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bench
from bench.data.check import check_task
from bench.data.load import load_task
from bench.data.task import Task
from bench.toml import to_toml
from tests.data.clinical import radiological, write_coco, write_dicom, write_nifti
from tests.data.conftest import one_protocol

ROWS = {"train": 24, "val": 12, "test": 12}
REAL_SETS = {"brainmri": "nifti", "breastus": "png16", "footulcer": "coco", "nuclei": "dicom"}
OPEN_SETS = {"lunanodule": "dicom", "hippocampus": "nifti", "rbc": "dicom"}
"""Set -> the format in which it is also scored; its pixels are compared in all."""
FORMATS = ("dicom", "nifti", "png16", "coco")


def taken(images, labels, n):
    """n rows of a split, the classes in turn where there are classes."""
    if labels.ndim == 3:
        return np.argsort(-(labels > 0).reshape(len(labels), -1).sum(1), kind="stable")[:n]
    names = labels.reshape(-1)
    places = [np.flatnonzero(names == c) for c in np.unique(names)]
    turns = [rows[i] for i in range(max(map(len, places))) for rows in places if i < len(rows)]
    return np.array(turns[:n])


def few(name: str, folder: Path):
    """Facts of a set, and (images, labels or masks) of some rows of each split."""
    about = json.loads((folder / ("real" if name in REAL_SETS else "open") / f"{name}.json").read_text())
    found = {}
    if name in REAL_SETS:
        with np.load(folder / "real" / f"{name}.npz") as arrays:
            for split, n in ROWS.items():
                labels = arrays[f"{split}_label" if about["kind"] == "segmentation" else f"{split}_labels"]
                images = arrays[f"{split}_images"]
                rows = taken(images, labels, n)
                found[split] = images[rows], labels[rows] if labels.ndim == 3 else labels.reshape(-1)[rows]
        return about, found
    with zipfile.ZipFile(folder / "open" / f"{name}.zip") as archive:
        rest = dict(np.load(io.BytesIO(archive.read("rest.npz"))))

        def picture(path):
            return np.asarray(Image.open(io.BytesIO(archive.read(path))))

        for split, n in ROWS.items():
            names = sorted(p for p in archive.namelist() if p.startswith(f"{split}/") and p.endswith(".webp"))
            dense = f"{split}_labels" not in rest
            labels = None if dense else rest[f"{split}_labels"].reshape(-1)
            rows = range(n) if dense else taken(names, labels, n)
            images = np.stack([picture(names[i]) for i in rows])
            images = images[..., 0] if about["channels"] == 1 and images.ndim == 4 else images
            masks = np.stack([picture(names[i].replace(".webp", ".mask.png")) for i in rows]) if dense else None
            found[split] = images, masks if dense else labels[list(rows)]
    return about, found


def image_as(form, path, pixels):
    """One image in a format; where the format has no colour, as PNG."""
    if form == "dicom":
        return write_dicom(path.with_suffix(".dcm"), pixels)
    if form == "nifti" and pixels.ndim == 2:
        return write_nifti(path.with_name(path.name + ".nii.gz"), *radiological(pixels[None]))
    path = path.with_suffix(".png")
    deep = form == "png16" and pixels.ndim == 2
    Image.fromarray(pixels.astype(np.uint16) * 257 if deep else pixels).save(path)
    return path


def mask_as(form, path, mask):
    if form == "nifti":
        return write_nifti(path.with_name(path.name + ".nii.gz"), *radiological(mask[None]))
    return image_as("dicom" if form == "dicom" else "png", path, mask)


def written(form, name, about, found, folder):
    """The card of a set whose files lie in `folder` in the given format."""
    dense, classes = found["train"][1].ndim == 3, about["classes"]
    rows, files = [], {}
    for split, (images, labels) in found.items():
        for i, (pixels, label) in enumerate(zip(images, labels, strict=True)):
            image = image_as(form, folder / f"{split}-{i:03d}", pixels)
            row = {"image": image.name, "split": split}
            if dense and form != "coco":
                row["mask"] = mask_as(form, folder / f"{split}-{i:03d}-mask", label).name
            elif not dense:
                row["label"] = classes[label]
            rows.append(row)
        if form == "coco":
            names = [row["image"] for row in rows if row["split"] == split]
            files[split] = write_coco(folder / f"{split}.json", labels, names, classes).name
    with open(folder / "t.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    source = {"reader": "coco", "files": files} if form == "coco" else {"reader": "csv", "file": "t.csv"}
    if form == "png16" and found["train"][0].ndim == 3:
        source["window"] = [0, 65535]
    return card(name, about, dense, source)


def card(name, about, dense, source):
    target = "mask" if dense else "binary" if len(about["classes"]) == 2 else "multi-class"
    given = {"schema": 1, "name": name, "title": name, "modality": "mixed", "target": target, "licence": "x"}
    return Task.parse(given | {"classes": about["classes"], "corpus": "x", "source": source}, where=name)


@pytest.mark.parametrize("name", [*REAL_SETS, *OPEN_SETS])
def test_pixels_and_scores_are_the_same_in_every_format(name, real_data, tmp_path):
    about, found = few(name, real_data.parent)
    dense = found["train"][1].ndim == 3
    keys = ("images", "label" if dense else "labels")
    arrays = {f"{split}_{key}": values for split, pair in found.items() for key, values in zip(keys, pair, strict=True)}
    (tmp_path / "npz").mkdir()
    np.savez(tmp_path / "npz" / "a.npz", **arrays)
    tasks = {"npz": card(name, about, dense, {"reader": "npz", "file": "a.npz"})}
    for form in FORMATS[: 4 if dense else 3]:
        (tmp_path / form).mkdir()
        tasks[form] = written(form, name, about, found, tmp_path / form)
    scores = {}
    for form, task in tasks.items():
        folder = tmp_path / form
        data = load_task(task, folder=folder)
        for split, (images, labels) in found.items():
            np.testing.assert_array_equal(data.splits[split].images.reshape(images.shape), images)
            np.testing.assert_array_equal(data.splits[split].labels, labels)
        problems = {f.kind for f in check_task(task, folder=folder).findings if f.severity == "problem"}
        assert not problems & {"missing", "unreadable", "mask", "unusable"}
        if form in ("npz", (REAL_SETS | OPEN_SETS)[name]):
            scores[form] = primary(task, folder, tmp_path / "runs" / form)
    first, second = scores.values()
    assert first
    assert first == second


def primary(task, folder, out):
    """Protocol and budget -> primary metric of a reference encoder."""
    (folder / "task.toml").write_text(toml_of(task))
    small = one_protocol(folder, task.name, "dense-retrieval-v2" if task.kind == "dense" else "linear-v2")
    frame = bench.run("colour-histogram", small, tasks=folder, out=out, say=lambda line: None).frame
    rows = frame[(frame.metric == task.metric) & (frame.split == "test")]
    return sorted(zip(rows.protocol, rows.budget, rows.seed, rows.value.round(12), strict=True))


def toml_of(task):
    return to_toml(task.model_dump(mode="json", by_alias=True, exclude_defaults=True))
