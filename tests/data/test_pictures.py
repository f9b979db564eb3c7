"""Squares, windows, slices and outlines against hand-made pictures."""

import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from bench.data.located import Located, located
from bench.data.outlines import Masks
from bench.data.pictures import PictureDecoder, axial, cut, resized, square, stretched
from bench.errors import DataError


def grey(values):
    return Image.fromarray(np.asarray(values, np.uint8))


def png(image):
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_pad_crop_and_squeeze():
    wide = grey([[1, 2, 3, 4], [5, 6, 7, 8]])
    assert np.asarray(square(wide, "pad")).tolist() == [[0] * 4, [1, 2, 3, 4], [5, 6, 7, 8], [0] * 4]
    assert np.asarray(square(wide, "crop")).tolist() == [[2, 3], [6, 7]]
    assert square(wide, "squeeze").size == (4, 2)


def test_a_window_outside_the_image_is_black():
    window = located("a.png#xywh=-1,0,3,2", where="test")
    assert np.asarray(cut(grey([[1, 2], [3, 4]]), window)).tolist() == [[0, 1, 2], [0, 3, 4]]


def test_resampling_follows_the_ratio():
    image = grey(np.random.default_rng(0).integers(0, 256, (12, 12)))
    for size, kind in ((16, "BICUBIC"), (8, "HAMMING"), (6, "BOX"), (3, "BOX")):
        expected = image.resize((size, size), getattr(Image.Resampling, kind))
        assert np.array_equal(resized(image, size, "adaptive"), expected)
    assert np.array_equal(resized(image, 8, "area"), image.resize((8, 8), Image.Resampling.BOX))


def test_transparency_lies_over_black():
    pixels = np.array([[[200, 200, 200, 0], [200, 200, 200, 255]]], np.uint8)
    content = png(Image.fromarray(pixels, "RGBA"))
    assert np.asarray(PictureDecoder(lambda place: content)(Located("a.png"), "L")).tolist() == [[0, 200]]


def test_a_slice_stands_anterior_up_and_is_stretched_over_the_volume():
    volume = np.zeros((2, 3, 4))
    volume[0, 2, 1] = 10.0  # left, most anterior, second slice
    shown = axial(stretched(volume), 1, where="v")
    assert shown.shape == (3, 2)
    assert shown[0, 0] == 255
    assert shown.sum() == 255
    with pytest.raises(DataError, match="asks for axial slice 9"):
        axial(volume, 9, where="v")


def test_frames_of_an_animation():
    out = io.BytesIO()
    frames = [grey(np.full((4, 4), value)) for value in (0, 90, 255)]
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    pictures = PictureDecoder(lambda place: out.getvalue())
    assert np.asarray(pictures(located("a.gif#frame=2", where="t"), "L")).max() == 255
    with pytest.raises(DataError, match=r"a\.gif: has no frame 3"):
        pictures(located("a.gif#frame=3", where="t"), "L")


def test_frames_of_a_video(tmp_path):
    cv2 = pytest.importorskip("cv2")
    path = tmp_path / "v.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 5, (32, 32))
    for value in (0, 100, 200):
        writer.write(np.full((32, 32, 3), value, np.uint8))
    writer.release()
    pictures = PictureDecoder(lambda place: path.read_bytes())
    shown = [np.asarray(pictures(located(f"v.avi#frame={n}", where="t"), "L")).mean() for n in (2, 0, 1)]
    assert np.allclose(shown, [200, 0, 100], atol=3)
    with pytest.raises(DataError, match="has no frame 3"):
        pictures(located("v.avi#frame=3", where="t"), "L")


def test_a_broken_file_is_one_message():
    with pytest.raises(DataError, match=r"a\.png: cannot be decoded"):
        PictureDecoder(lambda place: b"no picture")(Located("a.png"), "L")


def masks(files, target="lesion", level=128):
    def read(place):
        return files[place.path]

    return Masks(
        read, lambda folder: sorted(p for p in files if p.startswith(folder)), PictureDecoder(read), target, level
    )


def test_parts_are_united_and_later_classes_lie_on_top():
    first, second = grey([[255, 0], [0, 0]]), grey([[0, 255], [0, 200]])
    inner = grey([[0, 255], [0, 127]])
    read = masks({"a": png(first), "b": png(second), "c": png(inner)})
    assert np.asarray(read("a|b", (2, 2), where="t")).tolist() == [[1, 1], [0, 1]]
    assert np.asarray(read("b;c", (2, 2), where="t")).tolist() == [[0, 2], [0, 1]]
    with pytest.raises(DataError, match=r"is \(2, 2\), its image \(3, 2\)"):
        read("a", (3, 2), where="t")


def test_outlines_of_coco_count_only_the_class():
    table = {
        "categories": [{"id": 4, "name": "Lesion"}, {"id": 5, "name": "Ignore"}],
        "images": [{"id": 1, "file_name": "x.png"}],
        "annotations": [
            {"image_id": 1, "category_id": 4, "segmentation": [[1, 1, 3, 1, 3, 3, 1, 3]]},
            {"image_id": 1, "category_id": 5, "segmentation": "[[0, 0, 5, 0, 5, 5]]"},
        ],
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("output.json", json.dumps(table))
    mask = np.asarray(masks({"m.zip": out.getvalue()})("m.zip#image=x.png", (6, 6), where="t"))
    assert mask.sum() == 9
    assert mask[1:4, 1:4].all()
    with pytest.raises(DataError, match=r"names no image 'y\.png'"):
        masks({"m.zip": out.getvalue()})("m.zip#image=y.png", (6, 6), where="t")


def test_outlines_of_xml_in_a_window():
    corner = "".join(f'<Vertex X="{x}" Y="{y}"/>' for x, y in ((10, 10), (13, 10), (13, 13), (10, 13)))
    xml = f"<Annotations><Region><Vertices>{corner}</Vertices></Region></Annotations>".encode()
    mask = np.asarray(masks({"a.xml": xml})("a.xml#xywh=8,8,4,4", (4, 4), where="t"))
    assert mask.tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
