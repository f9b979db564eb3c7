"""What the columns of a table are taken for, and where the paths in it start."""

import re

import numpy as np
import pytest
from PIL import Image

from bench.data.columns import image_table, labels_of
from bench.errors import DataError


@pytest.fixture
def seen(tmp_path):
    """A table about twelve images in img/, as it is understood; each line a path and the cells after it."""
    images = []
    for i in range(12):
        images.append(tmp_path / "img" / f"x{i}.png")
        images[-1].parent.mkdir(exist_ok=True)
        Image.fromarray(np.zeros((8, 8), np.uint8)).save(images[-1])

    def read(header, cells, path="img/x{}.png"):
        lines = [f"{path.format(i)},{cells[i % len(cells)]}" for i in range(12)]
        (tmp_path / "t.csv").write_text("\n".join([f"image,{header}", *lines]))
        return image_table(tmp_path / "t.csv", images)

    return read


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("img/x{}.png", "."),
        ("x{}.png", "img"),
        ("x{}", "img"),
        (r"img\x{}.png", "."),
        ("gone/x{}.png", None),
        ("y{}", None),
    ],
)
def test_paths_start_where_the_images_lie(seen, tmp_path, path, root):
    found = seen("label", "ab", path)
    assert (found and found.root) == (root and tmp_path / root)


def test_lines_without_an_image_are_counted(seen, tmp_path):
    found = seen("label", "ab")
    (tmp_path / "img/x3.png").unlink()
    assert image_table(found.table.path, [*(tmp_path / "img").iterdir()]).absent == 1


@pytest.mark.parametrize(
    ("header", "cells", "card", "source"),
    [
        ("label", ["0.0", "1.0"], {"target": "binary", "classes": ["0", "1"]}, {}),
        ("label", ["22298006", "22298007"], {"target": "binary", "classes": ["22298006", "22298007"]}, {}),
        ("label", ["a", "#N/A", "b"], {"target": "binary", "classes": ["a", "b"]}, {"blank": "drop"}),
        ("label", ["a", "b", "a / b"], {"target": "multi-label", "classes": ["a", "b"]}, {}),
        ("x,y,kind", ["31,0,a", "0,17,b"], None, {}),
        ("effusion,mass,is_test", ["1,0,1", "1,1,0"], {"target": "multi-label", "classes": ["effusion", "mass"]}, {}),
        ("label", ["10", "9", "1"], {"target": "multi-class", "classes": ["1", "9", "10"]}, {}),
        ("dx", ["Benign", "benign ", "MALIGNANT"], {"target": "binary", "classes": ["Benign", "MALIGNANT"]},
         {"columns": {"label": "dx"}}),
        ("label", ["1", "0", "-1"], {"target": "binary", "classes": ["0", "1"]}, {"blank": "drop"}),
        ("label", ["1", "-1"], {"target": "binary", "classes": ["-1", "1"]}, {}),
        ("label", ["a", "NaN", "b", ""], {"target": "binary", "classes": ["a", "b"]}, {"blank": "drop"}),
        ("label", ["a;b", "a", "No Finding"], {"target": "multi-label", "classes": ["a", "b"]}, {}),
        ("label", ["\"['a', 'b']\"", "['b']", "[]"], {"target": "multi-label", "classes": ["a", "b"]}, {}),
        ("age", [str(40 + i) for i in range(12)], None, None),
        ("label", [f'"{40 + i},5"' for i in range(12)], {"target": "number", "classes": ["label"]},
         {"columns": {"label": "label"}}),
        ("benign,malignant", ["1,0", "0,1"], {"target": "binary", "classes": ["benign", "malignant"]}, {}),
        ("sex,edema,mass", ["F,1.0,", "M,-1,1"], {"target": "multi-label", "classes": ["edema", "mass"]}, None),
        ("edema,mass", ["1.0,1", "-1,1", ",0"], {"target": "multi-label", "classes": ["edema", "mass"]},
         {"uncertain": "zeros", "blank": "zeros"}),
        ("months,died", ["3,1", "5,0"], {"target": "survival", "classes": ["died, months"]},
         {"columns": {"time": "months", "event": "died"}}),
    ],
)  # fmt: skip
def test_what_is_predicted(seen, header, cells, card, source):
    found = seen(header, cells)
    if card is None:
        with pytest.raises(DataError, match=r"has no column of labels .add one called 'label'.* or 'mask'"):
            labels_of(found)
        return
    meant = labels_of(found)
    assert meant.card == card
    assert source is None or meant.source == source


@pytest.mark.parametrize(
    ("header", "cells", "message"),
    [
        ("label", [f"{i} years" for i in range(12)], "12 different labels in 12 lines of the column 'label'"),
        ("EncodedPixels", ["1 3", ""], "masks as run lengths in the column 'EncodedPixels'"),
        ("label", ["a"], "one class alone: a"),
        ("note", ["x", "y"], "no column of labels"),
    ],
)
def test_what_is_no_target_is_refused(seen, header, cells, message):
    with pytest.raises(DataError, match=re.escape(message)):
        labels_of(seen(header, cells))


def test_a_table_without_names_of_columns_is_refused(seen):
    path = (found := seen("label", "ab")).table.path
    path.write_text(path.read_text().split("\n", 1)[1])
    with pytest.raises(DataError, match=r"begins with an image, img/x0\.png, not with names of columns"):
        image_table(path, found.root.glob("img/*"))


def test_what_is_taken_for_the_event_is_told(seen):
    assert (
        "1 in the column 'status' is taken for: it happened"
        in labels_of(seen("months,status", ["3,1", "5,0"])).chosen[0]
    )


def test_a_class_that_may_be_none_is_told(seen):
    assert labels_of(seen("label", ["a", "b", "unknown"])).chosen == [
        "classes: 'unknown': where nobody knows the label, remove these lines and the class"
    ]


def test_identifiers_that_images_share_are_named(seen):
    found = seen("label,lesion_id,exam_id", ["a,L1,E1", "b,L2,E2"])
    assert found.repeated == []  # too few of them to be patients
    assert labels_of(found).card["classes"] == ["a", "b"]
