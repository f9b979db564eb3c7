"""Encoders by name: what a name stands for is pinned at first use, and stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save

from bench.encoders import lock
from bench.encoders.hub import snapshot
from bench.encoders.load import find_card, load_encoder
from bench.encoders.lock import Pin
from bench.encoders.names import timm_tag
from bench.errors import CardError, EncoderError
from tests.encoders.hub_server import Hub, Repo

A, B = "a" * 40, "b" * 40
TAG, REPOSITORY = "resnet10t.c3_in1k", "timm/resnet10t.c3_in1k"
PROCESSOR = {
    "do_center_crop": True, "crop_size": {"height": 28, "width": 28}, "size": {"shortest_edge": 32},
    "resample": 3, "image_mean": [0.1, 0.2, 0.3], "image_std": [0.4, 0.5, 0.6], "rescale_factor": 0.00392156862745098,
}  # fmt: skip


@pytest.fixture(scope="module")
def resnet() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return timm.create_model("resnet10t").eval()


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny transformers model, as `save_pretrained` writes it."""
    from transformers import Dinov2Config, Dinov2Model

    folder = tmp_path_factory.mktemp("dinov2")
    config = Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        Dinov2Model(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(PROCESSOR))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def weights(network: torch.nn.Module) -> bytes:
    return save({name: value.contiguous() for name, value in network.state_dict().items()})


def images(side: int) -> torch.Tensor:
    return torch.randint(0, 256, (2, side, side, 3), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def test_a_timm_tag_gives_what_timm_gives(hub: Hub, resnet: torch.nn.Module) -> None:
    hub.repos[REPOSITORY] = Repo({A: {"model.safetensors": weights(resnet)}}, A)
    encoder = load_encoder(f"timm:{TAG}")
    x = images(176)
    normal = (x.permute(0, 3, 1, 2) / 255 - torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)) / torch.tensor(
        [0.229, 0.224, 0.225]
    ).reshape(3, 1, 1)
    with torch.inference_mode():
        theirs = resnet.forward_head(resnet.forward_features(normal), pre_logits=True)
    assert torch.allclose(encoder.encode(x).pooled, theirs, atol=1e-5)
    assert (encoder.card.paradigm, encoder.card.pretraining) == ("unknown", None)
    assert encoder.card.preprocessing.interpolation == "bicubic"


def test_every_square_tag_of_timm_has_a_card() -> None:
    """1,826 of them in timm 1.0.31, none of which touches the network."""
    tags, refused = timm.list_pretrained(), []
    for tag in tags:
        try:
            timm_tag(tag)
        except EncoderError as error:
            refused.append((tag, error.what))
    assert all("takes images of 1024 x 768" in what for _, what in refused), refused
    assert len(tags) - len(refused) > 1000


def test_a_misspelt_tag_is_answered_with_the_nearest() -> None:
    with pytest.raises(CardError, match=r"did you mean 'resnet10t\.c3_in1k'"):
        load_encoder("timm:resnet10t.c3in1k")
    with pytest.raises(CardError, match=r"with its weights: resnet10t\.c3_in1k"):
        load_encoder("timm:resnet10t")


def test_the_first_use_is_pinned_and_a_moved_branch_changes_nothing(hub: Hub, resnet: torch.nn.Module) -> None:
    repo = hub.repos[REPOSITORY] = Repo({A: {"model.safetensors": weights(resnet)}}, A)
    first = load_encoder(f"timm:{TAG}")
    repo.commits[B], repo.main = {"model.safetensors": weights(timm.create_model("resnet10t"))}, B
    snapshot.cache_clear()
    again = load_encoder(f"timm:{TAG}")
    assert again.card == first.card
    assert again.card.source["revision"] == A
    assert again.weights_sha256 == first.weights_sha256 == again.card.source["sha256"]
    held = json.loads(lock.own().read_text())["pins"][REPOSITORY]
    assert (held["revision"], held["sha256"]) == (A, first.weights_sha256)


def test_a_pin_that_the_hub_no_longer_holds_is_refused(hub: Hub, resnet: torch.nn.Module) -> None:
    hub.repos[REPOSITORY] = Repo({B: {"model.safetensors": weights(resnet)}}, B)
    lock.keep(REPOSITORY, Pin(revision=A, weights="model.safetensors", sha256="0" * 64))
    with pytest.raises(EncoderError, match=f"has no commit {A} .*remove its pin"):
        load_encoder(f"timm:{TAG}")


def test_other_bytes_at_the_pinned_commit_are_refused(hub: Hub, resnet: torch.nn.Module) -> None:
    hub.repos[REPOSITORY] = Repo({A: {"model.safetensors": weights(resnet)}}, A)
    lock.keep(REPOSITORY, Pin(revision=A, weights="model.safetensors", sha256="1" * 64))
    with pytest.raises(EncoderError, match=f"the card says {'1' * 64}"):
        load_encoder(f"timm:{TAG}")


def test_a_shipped_lock_wins(hub, resnet, tmp_path, monkeypatch) -> None:
    hub.repos[REPOSITORY] = Repo({A: {"model.safetensors": weights(resnet)}, B: {}}, B)
    origin = REPOSITORY
    lock.keep(origin, Pin(revision=B, weights="model.safetensors", sha256="1" * 64))
    shipped = tmp_path / "shipped.json"
    pin = {"revision": A, "weights": "model.safetensors", "sha256": "2" * 64}
    shipped.write_text(json.dumps({"schema": 1, "pins": {origin: pin}}))
    monkeypatch.setattr(lock, "SHIPPED", shipped)
    assert find_card(f"timm:{TAG}")[0].source["revision"] == A


def test_a_damaged_lock_is_named(hub: Hub) -> None:
    lock.own().parent.mkdir(parents=True)
    lock.own().write_text("{")
    with pytest.raises(CardError, match=r"encoders\.lock\.json: is not valid JSON.*remove it"):
        load_encoder(f"timm:{TAG}")


def test_a_repository_says_itself_how_it_wants_images(hub: Hub, dinov2: Path) -> None:
    from transformers import Dinov2Model

    hub.repos["lab/Tiny-DINOv2"] = Repo({A: files(dinov2)}, A, licence="cc-by-nc-4.0")
    encoder = load_encoder("hf:lab/Tiny-DINOv2")
    card = encoder.card
    assert (card.name, card.version, card.licence, card.paradigm) == (
        "lab.tiny-dinov2", A[:12], "cc-by-nc-4.0", "unknown",
    )  # fmt: skip
    prepared = card.preprocessing
    assert (prepared.size, prepared.interpolation, prepared.mean) == (28, "bicubic", [0.1, 0.2, 0.3])
    x = images(28)
    normal = (x.permute(0, 3, 1, 2) / 255 - torch.tensor([0.1, 0.2, 0.3]).reshape(3, 1, 1)) / torch.tensor(
        [0.4, 0.5, 0.6]
    ).reshape(3, 1, 1)
    with torch.inference_mode():
        theirs = Dinov2Model.from_pretrained(dinov2).eval()(normal).last_hidden_state
    ours = encoder.encode(x, dense=True)
    assert torch.allclose(ours.pooled, theirs[:, 0], atol=1e-5)
    assert torch.allclose(ours.grid.flatten(1, 2), theirs[:, 1:], atol=1e-5)


def test_once_here_a_name_needs_no_network(hub: Hub, dinov2: Path) -> None:
    hub.repos["lab/tiny"] = Repo({A: files(dinov2)}, A)
    first = load_encoder("hf:lab/tiny")
    hub.stop()
    snapshot.cache_clear()
    assert load_encoder("hf:lab/tiny").card == first.card


def test_weights_in_several_files(hub: Hub, dinov2: Path, tmp_path: Path) -> None:
    from transformers import Dinov2Model

    Dinov2Model.from_pretrained(dinov2).save_pretrained(tmp_path / "s", max_shard_size="60KB")
    held = files(tmp_path / "s") | {"preprocessor_config.json": json.dumps(PROCESSOR).encode()}
    assert sum(name.endswith(".safetensors") for name in held) > 1
    hub.repos |= {"lab/whole": Repo({A: files(dinov2)}, A), "lab/shards": Repo({A: held}, A)}
    whole, shards = load_encoder("hf:lab/whole"), load_encoder("hf:lab/shards")
    assert torch.equal(whole.encode(images(28)).pooled, shards.encode(images(28)).pooled)
    assert whole.weights_sha256 != shards.weights_sha256
    name = next(n for n in held if n.endswith(".safetensors"))
    held[name] = held[name][:-1] + bytes([held[name][-1] ^ 1])
    hub.repos["lab/changed"] = Repo({A: held}, A)
    lock.keep("lab/changed", lock.find("lab/shards"))
    with pytest.raises(EncoderError, match=f"the card says {shards.weights_sha256}"):
        load_encoder("hf:lab/changed")


def test_a_bin_is_read_as_tensors_only(hub: Hub, dinov2: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    held = files(dinov2)
    torch.save(load_file(dinov2 / "model.safetensors"), tmp_path / "w.bin")
    del held["model.safetensors"]
    hub.repos |= {"lab/bin": Repo({A: held | {"pytorch_model.bin": (tmp_path / "w.bin").read_bytes()}}, A)}
    hub.repos |= {"lab/whole": Repo({A: files(dinov2)}, A)}
    one, other = load_encoder("hf:lab/bin"), load_encoder("hf:lab/whole")
    assert torch.equal(one.encode(images(28)).pooled, other.encode(images(28)).pooled)


class _Shell:
    def __reduce__(self):
        import os

        return os.mkdir, (str(_Shell.target),)


def test_a_bin_that_runs_code_is_refused_unrun(hub: Hub, dinov2: Path, tmp_path: Path) -> None:
    _Shell.target = tmp_path / "ran"
    torch.save({"weights": _Shell()}, tmp_path / "w.bin")
    held = files(dinov2)
    del held["model.safetensors"]
    hub.repos["lab/bin"] = Repo({A: held | {"pytorch_model.bin": (tmp_path / "w.bin").read_bytes() + b" " * 1000}}, A)
    with pytest.raises(EncoderError):
        load_encoder("hf:lab/bin")
    assert not _Shell.target.exists()


def test_a_timm_repository_by_its_hub_name(hub: Hub, resnet: torch.nn.Module) -> None:
    cfg = {"input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear"}
    config = {"architecture": "resnet10t", "num_classes": 1000, "pretrained_cfg": cfg | {"num_classes": 1000}}
    held = {"model.safetensors": weights(resnet), "config.json": json.dumps(config).encode()}
    hub.repos["lab/port"] = Repo({A: held}, A)
    encoder = load_encoder("hf:lab/port")
    assert (encoder.card.source["adapter"], encoder.card.preprocessing.size) == ("timm", 64)
    assert encoder.encode(images(64)).pooled.shape == (2, 512)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("preprocessor_config.json", "does not say how images are prepared"),
        ("config.json", r"holds no config\.json"),
        ("model.safetensors", r"holds no model\.safetensors or model\.safetensors\.index\.json or pytorch_model\.bin"),
    ],
)
def test_what_a_repository_lacks_is_named(hub: Hub, dinov2: Path, missing: str, message: str) -> None:
    held = files(dinov2)
    del held[missing]
    hub.repos["lab/tiny"] = Repo({A: held}, A)
    with pytest.raises(EncoderError, match=message):
        load_encoder("hf:lab/tiny")


def test_a_file_at_an_address(hub: Hub, resnet: torch.nn.Module, make_card) -> None:
    from bench.encoders.card import OpenCard
    from bench.encoders.open_card import pinned

    hub.repos["lab/net"] = Repo({A: {"model.safetensors": weights(resnet)}}, A)
    digest = snapshot("lab/net", None, where="x").files["model.safetensors"].sha256
    url = f"{hub.store}/cdn/lab/net/{digest}"
    values = make_card({"adapter": "timm", "model": "resnet10t", "url": url, "num_classes": 1000}).model_dump(
        by_alias=True
    )
    card = pinned(OpenCard.parse(values, where="x"))
    assert card.source["sha256"] == digest
    hub.stop()
    assert pinned(OpenCard.parse(values, where="x")) == card


def test_a_licence_that_the_card_does_not_know_is_the_repositorys(hub: Hub, resnet: torch.nn.Module, make_card) -> None:
    from bench.encoders.card import OpenCard
    from bench.encoders.open_card import pinned

    hub.repos[REPOSITORY] = Repo({A: {"model.safetensors": weights(resnet)}}, A, licence="cc-by-4.0")
    source = {"adapter": "timm", "model": "resnet10t", "repository": REPOSITORY, "weights": "model.safetensors"}
    said, silent = (
        pinned(OpenCard.parse(make_card(source, licence=word).model_dump(by_alias=True), where="x")).licence
        for word in ("MIT", "not stated")
    )
    assert (said, silent) == ("MIT", "cc-by-4.0")


@pytest.mark.parametrize("name", ["hf:net", "hf:../../etc", "hf:a/b/c", "hf:", "hf:https://example.org/a"])
def test_what_is_no_repository_is_refused_unasked(hub: Hub, name: str) -> None:
    with pytest.raises(CardError, match="is not a repository"):
        load_encoder(name)
    assert hub.requests == []


def test_an_image_text_encoder_of_the_catalogue_from_its_name_to_features(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """biomedclip, its image tower a tiny one: repository, names, prefix and preprocessing are the card's."""
    pytest.importorskip("open_clip", reason="pip install 'medssl-bench[clip]'")
    from safetensors.torch import load_file

    from bench.encoders import catalogue
    from bench.encoders.preprocess import prepare
    from tests.encoders.test_open_clip_text import numbers, write

    network = write("BiomedCLIP", tmp_path / "m")
    torch.save(
        load_file(tmp_path / "m" / "open_clip_model.safetensors"), tmp_path / "m" / "open_clip_pytorch_model.bin"
    )
    (tmp_path / "m" / "open_clip_model.safetensors").unlink()
    card = catalogue.cards()["biomedclip"]
    tiny = card.model_copy(update={"source": {**card.source, "model": "vit_tiny_patch16_224"}})
    monkeypatch.setitem(catalogue.cards(), "biomedclip", tiny)
    hub.repos[card.source["repository"]] = Repo({A: files(tmp_path / "m")}, A)
    encoder = load_encoder("biomedclip")
    x = images(224)
    found = encoder.encode(x, dense=True)
    tower = encoder.text_tower()
    with torch.inference_mode():
        prepared = prepare(x, card.preprocessing)
        torch.testing.assert_close(found.pooled, network.visual.trunk(prepared), atol=1e-5, rtol=0)
        right, _ = network.get_logits(prepared, numbers("BiomedCLIP", tmp_path / "m", ["dark mass"]))
    torch.testing.assert_close(tower.logits(found.pooled, tower.embed(["dark mass"])), right, atol=1e-5, rtol=0)
    assert (found.grid.shape, encoder.card.source["revision"]) == ((2, 14, 14, 192), A)
