"""Write the cards of the catalogue from the looked-up facts and timm's own table: `python tools/catalogue_cards.py`.

Run once for new facts; what it writes is kept under bench/encoders/catalogue and can be read and corrected there.
"""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import timm
import torch

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.encoders.catalogue import FOLDER
from bench.encoders.hub_config import timm_preprocessing
from bench.encoders.open_card import OpenCard
from bench.files import write_atomic

FACTS = Path(__file__).with_name("catalogue_facts.toml")
SOURCE = ("repository", "url", "model", "weights", "entry", "prefix", "drop", "options", "part", "num_classes")
KEPT = ("method", "paradigm", "objective", "authors", "domain", "family", "paper", "comparable", "access", "parameters")
CNN = ("ResNet", "ConvNeXt", "ConvNeXt V2", "EfficientNet")
OTHER = ("ResMLP", "Hiera", "Swin")
IMAGES = {"ImageNet-1k": 1281167}
DEFAULTS = {
    *('description = ""', 'citation = ""', "channels = 3", 'grey = "repeat"', "pad_to_square = false"),
    *("layer = -1", 'pooling = "native"', "num_classes = 0"),
}


def main() -> None:
    """Every card anew; cards whose facts are gone are removed."""
    cards = {c.name: c for group in tomllib.loads(FACTS.read_text())["group"] for c in of_group(group)}
    for stale in FOLDER.glob("*.toml"):
        if stale.stem not in cards:
            stale.unlink()
    for name, card in cards.items():
        write_atomic(FOLDER / f"{name}.toml", shortened(card.to_toml()))
    medical = sum(c.domain not in ("natural", "satellite") for c in cards.values())
    print(f"{len(cards)} cards, {medical} medical")


def shortened(text: str) -> str:
    """A card without the lines that say what is so by default."""
    lines = [line for line in text.splitlines() if line not in DEFAULTS]
    return "\n".join(lines).removesuffix("[features]").rstrip() + "\n"


def of_group(group: dict[str, Any]) -> list[OpenCard]:
    """The cards of one group of facts."""
    shared = {k: v for k, v in group.items() if k != "cards"}
    return [card_of(name, shared | own) for name, own in group["cards"].items()]


def card_of(name: str, facts: dict[str, Any]) -> OpenCard:
    """One card; what the facts do not say is left out."""
    if "tag" in facts:
        facts = of_tag(facts["tag"]) | facts
    source = {"adapter": facts.get("adapter", "timm")} | {k: facts[k] for k in SOURCE if k in facts}
    kept = {k: facts[k] for k in KEPT if k in facts}
    if "parameters" not in kept and "model" in source:
        kept["parameters"] = parameters(source)
    values: dict[str, Any] = {
        "schema": 1,
        "name": name,
        "version": "1",
        "title": title(name, facts),
        "licence": facts.get("licence", "not stated"),
        "architecture": architecture(facts),
        "source": source,
        "features": {"pooling": facts.get("pooling", "native")},
        **kept,
    }
    if facts.get("corpora"):
        values["pretraining"] = corpora(facts)
    if prepared := facts.get("preprocessing") or like(facts):
        values["preprocessing"] = prepared
    return OpenCard.parse(values, where=name)


def of_tag(tag: str) -> dict[str, Any]:
    """What timm says of a tag: network, place of the weights, preprocessing, licence."""
    cfg = timm.models.get_pretrained_cfg(tag)
    place = {"repository": cfg.hf_hub_id, "weights": "model.safetensors"} if cfg.hf_hub_id else {"url": cfg.url}
    model = {"model": cfg.architecture, "num_classes": cfg.num_classes or 0, "like": tag}
    return place | model | ({"licence": cfg.license} if cfg.license else {})


def like(facts: dict[str, Any]) -> dict[str, Any] | None:
    """The preprocessing of the timm tag `like`."""
    if "like" not in facts:
        return None
    cfg = timm.models.get_pretrained_cfg(facts["like"]).to_dict()
    return timm_preprocessing(cfg, where=facts["like"]).model_dump(exclude_unset=True)


def parameters(source: dict[str, Any]) -> int:
    """Of the network without its classifier, counted on torch's meta device."""
    options = dict(source.get("options", {}))
    for key in {"mlp_layer", "act_layer"} & options.keys():
        options[key] = getattr(timm.layers, options[key], None) or getattr(torch.nn, options[key])
    with torch.device("meta"):
        network = timm.create_model(source["model"], num_classes=0, **options)
    return sum(p.numel() for p in network.parameters())


def corpora(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """Corpora with the number of images where it is known."""
    medical = facts["domain"] not in ("natural", "satellite")
    tables = [{"corpus": c, "in_domain": medical} for c in facts["corpora"]]
    for table in tables:
        if table["corpus"] in IMAGES:
            table["images"] = IMAGES[table["corpus"]]
    if "images" in facts and len(tables) == 1:
        tables[0]["images"] = facts["images"]
    return tables


def architecture(facts: dict[str, Any]) -> str:
    family = facts["family"]
    return facts.get("architecture") or ("cnn" if family in CNN else "other" if family in OTHER else "vit")


def title(name: str, facts: dict[str, Any]) -> str:
    place = facts.get("tag") or facts.get("repository") or facts["url"].rsplit("/", 1)[-1]
    return f"{facts['method']}: {place}" if facts["method"] != "not stated" else f"{name}: {place}"


if __name__ == "__main__":
    main()
