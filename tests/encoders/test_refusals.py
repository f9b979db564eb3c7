"""What each adapter refuses, with which message, and that nothing hostile runs."""

from __future__ import annotations

import json
import os
import pickle
import struct
import warnings
import zipfile

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from bench.encoders.features import Features
from bench.encoders.sources.embeddings import write_embeddings
from bench.errors import CardError, EncoderError, UserError
from bench.files import npz_bytes, sha256_file
from tests.encoders.hub_server import Repo


@pytest.fixture
def weights(vit, vit_source, tmp_path):
    """`weights(name, **changes)`: the source table of the known weights in a good file of that ending."""

    def make(name="w.safetensors", **changes):
        path = tmp_path / name
        save_file(vit.state_dict(), path) if path.suffix == ".safetensors" else torch.save(vit.state_dict(), path)
        return {**vit_source, "weights": name, "sha256": sha256_file(path), **changes}

    return make


class Bomb:
    """Unpickling it would create a file."""

    def __init__(self, path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


# --- finding and hashing the file


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"weights": "gone.pth"}, EncoderError, r"no such file: gone\.pth"),
        ({"weights": "a\0b.pth"}, CardError, r"invisible character U\+0000"),
        ({"sha256": "1" * 64}, EncoderError, r"has sha256 [0-9a-f]{64}, the card says 1{64}"),
        ({"package": "surely-not-a-package"}, EncoderError, "pip install surely-not-a-package"),
        ({"package": "numpy"}, EncoderError, r"no file called 'w\.safetensors' in the package 'numpy'"),
        ({"repository": "owner/model"}, EncoderError, "40 digits of a commit"),
        ({"repository": "owner/model", "revision": "main"}, CardError, "revision"),
        ({"adapter": "tim"}, UserError, r"unknown adapter 'tim' \(did you mean 'timm'"),
        ({"wieghts": "x"}, CardError, r"unknown key 'wieghts' \(did you mean 'weights'"),
        ({"model": "vit_tyny_patch16_224"}, EncoderError, r"_tyny_patch16_224' \(did you mean 'vit_tiny_patch16_224'"),
        ({"model": "hf-hub:owner/model"}, EncoderError, "unknown timm model"),
        ({"model": "local-dir:/tmp/x"}, EncoderError, "unknown timm model"),
        ({"model": "vit_tiny_patch16_224.augreg_in21k"}, EncoderError, "unknown timm model"),
        ({"model": "vit_gigantic_patch14_224", "options": {}}, EncoderError, "names do not match"),
        (
            {"model": "vit_giant_patch14_224", "options": {"depth": 64, "embed_dim": 8192}},
            EncoderError,
            "over the limit",
        ),
        ({"options": {"pretrained": True}}, EncoderError, "unknown option"),
        ({"options": {"checkpoint_path": "/x"}}, EncoderError, "unknown option"),
        ({"options": {"depth": 10**9}}, EncoderError, "out of range"),
        ({"options": {"depth": -1}}, EncoderError, "out of range"),
    ],
)
def test_a_source_that_is_refused(changes, error, message, weights, load, tmp_path):
    with pytest.raises(error, match=message):
        load(weights(**changes), tmp_path)


def test_zeros_of_a_template_are_a_blank(weights, load, tmp_path):
    right = weights()["sha256"]
    with pytest.raises(EncoderError, match=f'still the template\'s blank .write sha256 = "{right}"'):
        load(weights(sha256="0" * 64), tmp_path)


def test_missing_hash_says_what_to_add(weights, load, tmp_path):
    source = weights()
    expected = source.pop("sha256")
    with pytest.raises(EncoderError, match=f'add sha256 = "{expected}"'):
        load(source, tmp_path)


@pytest.mark.parametrize("name", ["../w.safetensors", "sub/../../w.safetensors"])
def test_path_out_of_the_folder(name, weights, load, tmp_path):
    source = weights()
    (tmp_path / "card" / "sub").mkdir(parents=True)
    with pytest.raises(EncoderError, match="leads out of the card's folder"):
        load({**source, "weights": name}, tmp_path / "card")


def test_absolute_path_only_when_allowed(weights, make_card, tmp_path):
    from bench.encoders.load import load_card
    from bench.encoders.source import Place

    source = {**weights(), "weights": str(tmp_path / "w.safetensors")}
    (tmp_path / "card").mkdir()
    with pytest.raises(EncoderError, match="leads out of the card's folder"):
        load_card(make_card(source), Place(tmp_path / "card"))
    assert load_card(make_card(source), Place(tmp_path / "card", allow_outside=True)).parameters > 0


def test_link_out_of_the_folder(weights, load, tmp_path):
    source = weights()
    (tmp_path / "card").mkdir()
    (tmp_path / "card" / "w.safetensors").symlink_to(tmp_path / "w.safetensors")
    with pytest.raises(EncoderError, match="leads out of the card's folder"):
        load(source, tmp_path / "card")


def test_link_in_a_circle(weights, load, tmp_path):
    (tmp_path / "loop.pth").symlink_to(tmp_path / "loop.pth")
    with pytest.raises(EncoderError, match=r"loop\.pth"):
        load(weights(weights="loop.pth"), tmp_path)


def test_pipe_is_not_opened(weights, load, tmp_path):
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(EncoderError, match="is not a regular file"):
        load(weights(weights="pipe.pth"), tmp_path)


def test_hub_file_goes_through_the_same_checks(weights, load, tmp_path, hub):
    source = weights(repository="owner/model", revision="a" * 40)
    hub.repos["owner/model"] = Repo({"a" * 40: {"w.safetensors": (tmp_path / "w.safetensors").read_bytes()}}, "a" * 40)
    assert load(source, tmp_path / "elsewhere").weights_sha256 == source["sha256"]
    with pytest.raises(EncoderError, match="the card says"):
        load({**source, "sha256": "1" * 64}, tmp_path)


# --- weights that are not weights


@pytest.mark.parametrize("name", ["w.pth", "w.pt", "w.bin", "w.ckpt", "w.safetensors"])
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickle_disguised_as_weights_never_runs(name, protocol, vit_source, load, tmp_path):
    trap = tmp_path / "sprung"
    (tmp_path / name).write_bytes(pickle.dumps({"weight": Bomb(trap)}, protocol=protocol))
    with pytest.raises(EncoderError, match=r"cannot be read as tensors only|not a valid safetensors"):
        load({**vit_source, "weights": name, "sha256": sha256_file(tmp_path / name)}, tmp_path)
    assert not trap.exists()


def test_pickle_inside_a_torch_archive_never_runs(vit_source, load, tmp_path):
    trap = tmp_path / "sprung"
    torch.save({"weight": torch.zeros(2), "more": Bomb(trap)}, tmp_path / "w.pth")
    with pytest.raises(EncoderError, match="cannot be read as tensors only"):
        load({**vit_source, "weights": "w.pth", "sha256": sha256_file(tmp_path / "w.pth")}, tmp_path)
    assert not trap.exists()


def test_torchscript_archive_disguised_as_weights(vit_source, load, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(torch.nn.ReLU(), torch.zeros(1)), str(tmp_path / "w.pth"))
    with pytest.raises(EncoderError, match="compressed archive"):
        load({**vit_source, "weights": "w.pth", "sha256": sha256_file(tmp_path / "w.pth")}, tmp_path)


def _safetensors(header: dict, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


LYING = {
    "longer than the file": _safetensors(
        {"a": {"dtype": "F32", "shape": [1000], "data_offsets": [0, 4000]}}, b"\0" * 8
    ),
    "shape against bytes": _safetensors({"a": {"dtype": "F32", "shape": [9, 9], "data_offsets": [0, 8]}}, b"\0" * 8),
    "huge shape": _safetensors({"a": {"dtype": "F32", "shape": [2**40, 2**40], "data_offsets": [0, 8]}}, b"\0" * 8),
    "overlap": _safetensors({k: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for k in "ab"}, b"\0" * 8),
    "backwards": _safetensors({"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}, b"\0" * 8),
    "header of 2^60 bytes": struct.pack("<Q", 1 << 60) + b"{}",
    "deep header": struct.pack("<Q", 200_000) + b"[" * 200_000,
    "empty": b"",
}


@pytest.mark.parametrize("case", LYING)
def test_safetensors_with_a_lying_header(case, vit_source, load, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(LYING[case])
    with pytest.raises(EncoderError, match=r"not a valid safetensors file|is empty"):
        load({**vit_source, "weights": "w.safetensors", "sha256": sha256_file(tmp_path / "w.safetensors")}, tmp_path)


def test_compressed_archive_is_refused_unread(vit_source, load, tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\0" * 10_000_000)
    with pytest.raises(EncoderError, match="compressed archive"):
        load({**vit_source, "weights": "w.pth", "sha256": sha256_file(tmp_path / "w.pth")}, tmp_path)


def test_truncated_archive(weights, load, tmp_path):
    source = weights("w.pth")
    data = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(data[: len(data) // 2])
    with pytest.raises(EncoderError, match=r"w\.pth is cut short.*copy or download it again"):
        load({**source, "sha256": sha256_file(tmp_path / "w.pth")}, tmp_path)


# --- timm


def test_size_must_fit_the_patches(weights, load, tmp_path):
    with pytest.raises(EncoderError, match="size 36 is not a multiple of the patch size 8"):
        load(weights(), tmp_path, preprocessing={"size": 36, "mean": [0.5], "std": [0.5]})


def test_layer_that_is_not_there(weights, load, tmp_path, images):
    encoder = load(weights(), tmp_path, features={"pooling": "mean", "layer": 7})
    with pytest.raises(EncoderError, match="has no feature layer 7"):
        encoder.encode(images)


def test_weights_that_make_nan(vit, vit_source, load, tmp_path, images):
    state = {k: v.clone() for k, v in vit.state_dict().items()}
    state["norm.weight"][0] = float("nan")
    save_file(state, tmp_path / "w.safetensors")
    source = {**vit_source, "weights": "w.safetensors", "sha256": sha256_file(tmp_path / "w.safetensors")}
    with pytest.raises(EncoderError, match="global features hold NaN"):
        load(source, tmp_path).encode(images)


# --- programs and code


def test_export_archive_that_would_run_on_load(load, tmp_path):
    trap = tmp_path / "sprung"
    call = f"__import__('os').mkdir('{trap}')"
    batch = {"input": {0: torch.export.Dim("b", min=1, max=64)}}
    program = torch.export.export(torch.nn.ReLU(), (torch.zeros(2, 3),), dynamic_shapes=batch)
    torch.export.save(program, tmp_path / "good.pt2")
    with zipfile.ZipFile(tmp_path / "good.pt2") as good, zipfile.ZipFile(tmp_path / "bad.pt2", "w") as bad:
        for info in good.infolist():
            text = good.read(info)
            if info.filename.endswith("models/model.json"):
                model = json.loads(text, object_hook=lambda d: {**d, "expr_str": call} if "expr_str" in d else d)
                text = json.dumps(model).encode()
            bad.writestr(info, text)
    source = {"adapter": "torch-export", "weights": "bad.pt2", "sha256": sha256_file(tmp_path / "bad.pt2")}
    with pytest.raises(EncoderError, match="runs code of its author"):
        load(source, tmp_path)
    assert not trap.exists()


def test_python_file_is_not_even_read_without_trust(load, tmp_path):
    trap = tmp_path / "sprung"
    (tmp_path / "mine.py").write_text(f"import os; os.mkdir({str(trap)!r})")
    source = {"adapter": "python", "file": "mine.py", "sha256": sha256_file(tmp_path / "mine.py")}
    with pytest.raises(EncoderError, match="pass --trust-code"):
        load(source, tmp_path)
    assert not trap.exists()


def test_python_file_that_returns_something_else(load, tmp_path):
    (tmp_path / "mine.py").write_text("def load(card, folder): return 3")
    source = {"adapter": "python", "file": "mine.py", "sha256": sha256_file(tmp_path / "mine.py")}
    with pytest.raises(EncoderError, match="returned int, expected an Encoder"):
        load(source, tmp_path, trust_code=True)


@pytest.mark.parametrize("value", ["__import__('os').mkdir('x')", "${oc.env:HOME}", "{{ 7 * 7 }}"])
def test_code_in_a_card_is_text(value, weights, make_card):
    assert make_card(weights(), title=value).title == value


# --- transformers


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ('{"model_type": "vit", "auto_map": {"AutoModel": "evil.Model"}}', "asks for code from elsewhere"),
        ('{"model_type": "vit", "transformers_weights": "other.safetensors"}', "or other weights"),
        ('{"model_type": "vit", "vision_config": {"attn_implementation": "owner/kernel"}}', "asks for code"),
        ('{"model_type": "no-such-model"}', "transformers cannot load it"),
        ('{"model_type": "vit", "num_hidden_layers": 1000000000}', "over the limit of 1024 layers"),
        ('{"model_type": "convnext", "depths": [900, 900]}', "over the limit of 1024 layers"),
        (
            '{"model_type": "vit", "hidden_size": 12000, "num_hidden_layers": 60}',
            "parameters, model.safetensors holds 1",
        ),
        ("[1]", "is not an object"),
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
    ],
)
def test_transformers_configs(config, message, load, tmp_path):
    pytest.importorskip("transformers")
    (tmp_path / "config.json").write_text(config)
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors")
    source = {"adapter": "huggingface", "folder": ".", "sha256": sha256_file(tmp_path / "model.safetensors")}
    with pytest.raises(EncoderError, match=message):
        load(source, tmp_path)


def test_transformers_weights_that_would_be_made_up(load, tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.ViTConfig(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, image_size=32, patch_size=8
    )
    model = transformers.ViTModel(config, add_pooling_layer=False)
    model.save_pretrained(tmp_path)
    state = {k: v for k, v in model.state_dict().items() if not k.startswith("layernorm")}
    save_file(state, tmp_path / "model.safetensors", metadata={"format": "pt"})
    source = {"adapter": "huggingface", "folder": ".", "sha256": sha256_file(tmp_path / "model.safetensors")}
    with pytest.raises(EncoderError, match="weights are missing or misshapen"):
        load(source, tmp_path)


def test_transformers_needs_one_place(load, tmp_path):
    with pytest.raises(EncoderError, match="either"):
        load({"adapter": "huggingface"}, tmp_path)


# --- ONNX


def _onnx(path, nodes, initialisers=(), opset=17, more_opsets=()):
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)], list(initialisers),
    )  # fmt: skip
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in more_opsets)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    onnx.save(model, path)
    return {"adapter": "onnx", "weights": path.name, "sha256": sha256_file(path)}


def _flat(**more):
    from onnx import helper

    return [helper.make_node("Flatten", ["x"], ["y"], **more)]


NATIVE = {"preprocessing": {"size": 8, "mean": [0.0], "std": [1.0]}, "features": {"pooling": "native"}}


def test_onnx_small_model_runs(load, tmp_path, images):
    encoder = load(_onnx(tmp_path / "w.onnx", _flat()), tmp_path, **NATIVE)
    assert encoder.encode(images).pooled.shape == (10, 192)
    with pytest.raises(EncoderError, match="fixed outputs"):
        load(_onnx(tmp_path / "w.onnx", _flat()), tmp_path, **{**NATIVE, "features": {"layer": 3}})


def test_onnx_with_the_batch_of_its_export_inside_runs_image_by_image(load, tmp_path, images):
    onnx = pytest.importorskip("onnx")
    shape = onnx.numpy_helper.from_array(np.array([1, 192]), "shape")
    source = _onnx(tmp_path / "w.onnx", [onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])], [shape])
    encoder = load(source, tmp_path, **NATIVE)
    whole = encoder.encode(images).pooled
    flat = load(_onnx(tmp_path / "f.onnx", _flat()), tmp_path, **NATIVE)
    torch.testing.assert_close(whole, flat.encode(images).pooled)
    assert "image by image" in encoder.notes[0]
    lost = onnx.numpy_helper.from_array(np.array([1, -1]), "shape")
    source = _onnx(tmp_path / "w.onnx", [onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])], [lost])
    torch.testing.assert_close(load(source, tmp_path, **NATIVE).encode(images).pooled, whole)
    wrong = onnx.numpy_helper.from_array(np.array([1, 7]), "shape")
    source = _onnx(tmp_path / "w.onnx", [onnx.helper.make_node("Reshape", ["x", "shape"], ["y"])], [wrong])
    with pytest.raises(EncoderError, match=r"refused|contradict"):
        load(source, tmp_path, **NATIVE).encode(images)


def test_onnx_custom_operator(load, tmp_path):
    source = _onnx(tmp_path / "w.onnx", _flat(domain="evil"), more_opsets=["evil"])
    with pytest.raises(EncoderError, match="custom operator evil::Flatten"):
        load(source, tmp_path, **NATIVE)


def test_onnx_loop(load, tmp_path):
    onnx = pytest.importorskip("onnx")
    body = onnx.helper.make_graph([], "body", [], [])
    source = _onnx(tmp_path / "w.onnx", [onnx.helper.make_node("Loop", ["", ""], ["y"], body=body)])
    with pytest.raises(EncoderError, match="uses Loop, which may run without end"):
        load(source, tmp_path, **NATIVE)


@pytest.mark.parametrize("location", ["/etc/passwd", "../secret.bin", "sub/../../secret.bin", "link.bin", ""])
def test_onnx_external_data_outside_the_folder(location, load, tmp_path):
    onnx = pytest.importorskip("onnx")
    (tmp_path / "secret.bin").write_bytes(b"\0" * 4096)
    folder = tmp_path / "card"
    folder.mkdir()
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    tensor = onnx.TensorProto(name="w", dims=[4], data_type=1, data_location=1)
    tensor.external_data.add(key="location", value=location)
    source = _onnx(folder / "w.onnx", _flat(), [tensor])
    with pytest.raises(EncoderError, match=r"outside its folder|leads out of"):
        load(source, folder, **NATIVE)


def test_onnx_external_data_in_a_subgraph_is_found(load, tmp_path):
    onnx = pytest.importorskip("onnx")
    tensor = onnx.TensorProto(name="w", dims=[4], data_type=1, data_location=1)
    tensor.external_data.add(key="location", value="../x.bin")
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    branch = onnx.helper.make_graph([constant], "b", [], [])
    chosen = onnx.helper.make_node("If", ["x"], ["y"], then_branch=branch, else_branch=branch)
    with pytest.raises(EncoderError, match="outside its folder"):
        load(_onnx(tmp_path / "w.onnx", [chosen]), tmp_path, **NATIVE)


def test_onnx_external_data_must_be_named_and_hashed(load, tmp_path, images):
    onnx = pytest.importorskip("onnx")
    (tmp_path / "w.bin").write_bytes(np.float32(2).tobytes())
    tensor = onnx.TensorProto(name="w", dims=[1], data_type=1, data_location=1)
    tensor.external_data.add(key="location", value="w.bin")
    nodes = [onnx.helper.make_node("Mul", ["x", "w"], ["m"]), onnx.helper.make_node("Flatten", ["m"], ["y"])]
    source = _onnx(tmp_path / "w.onnx", nodes, [tensor])
    with pytest.raises(EncoderError, match=r'external = \{ "w\.bin" = "[0-9a-f]{64}" \}'):
        load(source, tmp_path, **NATIVE)
    with pytest.raises(EncoderError, match="the card says"):
        load({**source, "external": {"w.bin": "1" * 64}}, tmp_path, **NATIVE)
    good = {**source, "external": {"w.bin": sha256_file(tmp_path / "w.bin")}}
    assert load(good, tmp_path, **NATIVE).encode(images).pooled.max() > 1.5


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07" * 10, pickle.dumps([1])])
def test_onnx_that_is_not(content, load, tmp_path):
    pytest.importorskip("onnx")
    (tmp_path / "w.onnx").write_bytes(content)
    source = {"adapter": "onnx", "weights": "w.onnx", "sha256": sha256_file(tmp_path / "w.onnx")}
    with pytest.raises(EncoderError, match=r"is not an ONNX model|holds no graph|is empty|is text, not weights"):
        load(source, tmp_path, **NATIVE)


def test_onnx_that_asks_for_all_memory(load, tmp_path):
    onnx = pytest.importorskip("onnx")
    shape = onnx.numpy_helper.from_array(np.array([1 << 20, 1 << 20]), "shape")
    node = onnx.helper.make_node("ConstantOfShape", ["shape"], ["y"])
    with pytest.raises(EncoderError, match=r"asks for a tensor of shape \[1048576, 1048576\]"):
        load(_onnx(tmp_path / "w.onnx", [node], [shape]), tmp_path, **NATIVE)
    lying = onnx.TensorProto(name="w", dims=[1 << 40], data_type=1, raw_data=b"\0" * 8)
    with pytest.raises(EncoderError, match=r"asks for a tensor of shape \[1099511627776\]"):
        load(_onnx(tmp_path / "w.onnx", _flat(), [lying]), tmp_path, **NATIVE)


# --- embeddings


def _embeddings(tmp_path, name="e.npz", n=3, **arrays):
    path = tmp_path / name
    default = {"test/ids": np.array([f"test/{i}" for i in range(n)]), "test/pooled": np.ones((n, 2), np.float32)}
    path.write_bytes(npz_bytes({**default, **arrays}))
    return {"adapter": "embeddings", "files": {"mini": {"path": name, "sha256": sha256_file(path)}}}


def test_embeddings_lookup_refusals(load, tmp_path, images):
    encoder = load(_embeddings(tmp_path), tmp_path)
    with pytest.raises(EncoderError, match=r"task 'mimi' \(did you mean 'mini'"):
        encoder.lookup("mimi", "test", ["test/0"])
    with pytest.raises(EncoderError, match="split 'val'"):
        encoder.lookup("mini", "val", ["val/0"])
    with pytest.raises(EncoderError, match=r"2 of 3 images have no features \(first: 'test/7'\)"):
        encoder.lookup("mini", "test", ["test/0", "test/7", "test/8"])
    with pytest.raises(EncoderError, match="precomputed"):
        encoder.encode(images)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"test/pooled": np.full((3, 2), np.nan, np.float32)}, "NaN"),
        ({"test/pooled": np.ones((4, 2), np.float32)}, "for 3 ids"),
        ({"test/pooled": np.ones((3, 2), np.int64)}, "int64"),
        ({"test/ids": np.array(["a", "a", "b"])}, "an id occurs twice"),
        ({"train_features": np.ones(3)}, r"expected '\{split\}/ids'"),
        ({"holdout/ids": np.array(["a"]), "holdout/pooled": np.ones((1, 2), np.float32)}, "unknown split 'holdout'"),
        ({"train/ids": np.array(["a"]), "train/pooled": np.ones((1, 5), np.float32)}, "differ in length"),
    ],
)
def test_embeddings_files_that_are_not(arrays, message, load, tmp_path):
    encoder = load(_embeddings(tmp_path, **arrays), tmp_path)
    with pytest.raises(EncoderError, match=message):
        encoder.lookup("mini", "test", ["test/0"])


def test_embeddings_with_a_pickle_inside(load, tmp_path):
    trap = tmp_path / "sprung"
    np.savez(tmp_path / "e.npz", **{"test/ids": np.array([Bomb(trap)], dtype=object)})
    source = {"adapter": "embeddings", "files": {"mini": {"path": "e.npz", "sha256": sha256_file(tmp_path / "e.npz")}}}
    with pytest.raises(EncoderError, match="not a readable npz"):
        load(source, tmp_path).lookup("mini", "test", ["a"])
    assert not trap.exists()


def test_embeddings_parquet_that_is_not(load, tmp_path):
    (tmp_path / "e.parquet").write_bytes(b"PAR1 nothing PAR1")
    digest = sha256_file(tmp_path / "e.parquet")
    source = {"adapter": "embeddings", "files": {"mini": {"path": "e.parquet", "sha256": digest}}}
    with pytest.raises(EncoderError, match="is not an embeddings file"):
        load(source, tmp_path).lookup("mini", "test", ["a"])


def test_embeddings_are_checked_when_written(tmp_path):
    with pytest.raises(EncoderError, match="NaN"):
        write_embeddings(tmp_path / "e.npz", {"test": (["a"], Features(np.array([[np.inf]], np.float32), None))})
    with pytest.raises(EncoderError, match=r"\.npz or \.parquet"):
        write_embeddings(tmp_path / "e.csv", {"test": (["a"], Features(np.ones((1, 1), np.float32), None))})
    assert not list(tmp_path.iterdir())
