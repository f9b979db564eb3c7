"""Text towers: our logits are those of the transformers models themselves, and no sentence is read in part."""

from __future__ import annotations

import json

import pytest
import torch

from bench.encoders.preprocess import prepare
from bench.errors import EncoderError, NotForThisEncoderError
from tests.encoders import two_towers

pytest.importorskip("transformers")
SENTENCES = ["a dark mass", "no lesion", "an image of a benign mass"]
NATIVE = {"features": {"pooling": "native"}}


@pytest.fixture(params=["clip", "siglip"])
def kind(request):
    return request.param


def own_logits(kind, encoder, images, folder):
    """What the model of the library itself answers, sentence by sentence."""
    from transformers import AutoModel

    reader, network = two_towers.tokenizer(kind), AutoModel.from_pretrained(folder).eval()
    x, found = prepare(images, encoder.card.preprocessing), []
    for sentence in SENTENCES:
        padding = {"padding": "max_length", "max_length": two_towers.CONTEXT} if kind == "siglip" else {}
        ids = reader(sentence, return_tensors="pt", truncation=False, **padding)["input_ids"]
        with torch.inference_mode():
            found.append(network(input_ids=ids, pixel_values=x).logits_per_image)
    return torch.cat(found, dim=1)


def test_logits_are_those_of_the_model_itself(kind, images, load, tmp_path):
    encoder = load(two_towers.write(tmp_path / "m", kind), tmp_path, **NATIVE)
    tower = encoder.text_tower()
    pooled, right = encoder.encode(images).pooled, own_logits(kind, encoder, images, tmp_path / "m")
    assert right.std(0).min() > 0.01
    one_by_one = torch.cat([tower.logits(pooled, tower.embed([sentence])) for sentence in SENTENCES], dim=1)
    assert torch.equal(one_by_one, right)
    torch.testing.assert_close(tower.logits(pooled, tower.embed(SENTENCES)), right, rtol=0, atol=1e-5)
    assert tower.sigmoid == (kind == "siglip")


def test_a_sentence_is_read_whole_or_refused(kind, load, tmp_path):
    tower = load(two_towers.write(tmp_path / "m", kind), tmp_path, **NATIVE).text_tower()
    marks = 2 if kind == "clip" else 1
    whole = " ".join(["dark"] * (two_towers.CONTEXT - marks))
    assert tower.embed([whole]).norm() == pytest.approx(1, abs=1e-6)
    with pytest.raises(NotForThisEncoderError, match=r"has 10 tokens, the text tower reads 9 \(shorten it"):
        tower.embed([whole + " dark"])
    with pytest.raises(NotForThisEncoderError, match="'a purple mass' holds what the tokenizer does not know"):
        tower.embed(["a purple mass"])


def test_the_hash_tells_weights_and_tokenizer_apart(kind, load, tmp_path):
    folder = tmp_path / "m"
    first = load(two_towers.write(folder, kind), tmp_path, **NATIVE).text_tower().sha256
    assert load(two_towers.source(folder), tmp_path, **NATIVE).text_tower().sha256 == first
    said = json.loads((folder / "tokenizer.json").read_text())
    vocabulary = said["model"]["vocab"]
    vocabulary["dark"], vocabulary["bright"] = vocabulary["bright"], vocabulary["dark"]
    (folder / "tokenizer.json").write_text(json.dumps(said))
    other = load(two_towers.source(folder), tmp_path, **NATIVE)
    assert other.text_tower().sha256 != first
    network = two_towers.model(kind)
    torch.nn.init.constant_(network.logit_scale, 2.0)
    network.save_pretrained(folder)
    two_towers.tokenizer(kind).save_pretrained(folder)
    assert load(two_towers.source(folder), tmp_path, **NATIVE).text_tower().sha256 != first


def test_a_tokenizer_without_the_end_mark_of_the_tower(load, tmp_path):
    source = two_towers.write(tmp_path / "m", "clip")
    two_towers.tokenizer("siglip").save_pretrained(tmp_path / "m")
    load(source, tmp_path, **NATIVE).text_tower().embed(["a mass"])  # it ends where the tower looks
    said = json.loads((tmp_path / "m" / "tokenizer.json").read_text())
    (tmp_path / "m" / "tokenizer.json").write_text(json.dumps(said | {"post_processor": None}))
    with pytest.raises(EncoderError, match=r"does not end sentences with the mark that the text tower looks for \(1\)"):
        load(source, tmp_path, **NATIVE).text_tower().embed(["a mass"])


def test_an_end_mark_that_is_asked_for_and_not_set(load, tmp_path):
    source = two_towers.write(tmp_path / "m", "siglip")
    for name, change in (("tokenizer.json", {"post_processor": None}), ("tokenizer_config.json", {"add_eos_token": 1})):
        path = tmp_path / "m" / name
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(EncoderError, match=r"sets no end mark, and tokenizer_config\.json asks for one"):
        load(source, tmp_path, **NATIVE).text_tower()


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("tokenizer.json", "{", "tokenizer.json cannot be read"),
        ("tokenizer_config.json", "[]", "tokenizer_config.json is not an object"),
        ("tokenizer_config.json", "{}", "names no 'pad_token'"),
    ],
)
def test_broken_tokenizers(name, text, message, load, tmp_path):
    source = two_towers.write(tmp_path / "m", "siglip")
    (tmp_path / "m" / name).write_text(text)
    with pytest.raises(EncoderError, match=message):
        load(source, tmp_path, **NATIVE).text_tower()


def test_encoders_without_a_text_tower_that_can_be_used(kind, load, tmp_path, images):
    from transformers import ViTConfig, ViTModel

    source = two_towers.write(tmp_path / "m", kind)
    pooled = load(source, tmp_path)  # pooling "mean"
    with pytest.raises(NotForThisEncoderError, match=r"the card chooses another \(pooling = 'native'"):
        pooled.text_tower()
    (tmp_path / "m" / "tokenizer.json").unlink()
    with pytest.raises(NotForThisEncoderError, match=r"no tokenizer.json of a fast tokenizer \(transformers writes it"):
        load(source, tmp_path, **NATIVE).text_tower()
    ViTModel(ViTConfig(**two_towers.VISION)).save_pretrained(tmp_path / "v")
    alone = {k: v for k, v in two_towers.source(tmp_path / "v").items() if k != "part"}
    with pytest.raises(NotForThisEncoderError, match=r"has no text tower \(CLIP and SigLIP have one"):
        load(alone, tmp_path, **NATIVE).text_tower()


def test_other_models_of_two_towers_are_refused_by_name(load, tmp_path):
    from transformers import AltCLIPConfig, AltCLIPModel

    towers = {"text_config": {**two_towers.TEXT, "project_dim": 16}, "vision_config": two_towers.VISION}
    AltCLIPModel(AltCLIPConfig(**towers, projection_dim=16)).save_pretrained(tmp_path / "m")
    two_towers.tokenizer("clip").save_pretrained(tmp_path / "m")
    encoder = load(two_towers.source(tmp_path / "m"), tmp_path, **NATIVE)
    with pytest.raises(NotForThisEncoderError, match="text tower of model_type 'altclip'"):
        encoder.text_tower()
