"""Encoders by a name of somebody else's: `timm:TAG`, `hf:OWNER/NAME`. What these do not say stays "unknown"."""

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from bench.encoders.card import OpenCard
from bench.encoders.catalogue import card_from
from bench.encoders.hub_config import CONFIG, preprocessing_of, read_json, timm_network, timm_preprocessing
from bench.encoders.open_card import NOT_STATED
from bench.errors import CardError, EncoderError
from bench.strict import did_you_mean

CNNS = ("resnet", "convnext", "regnet", "efficientnet", "mobilenet", "densenet", "bit", "resnetv2", "vgg", "dla")
CLASS_TOKEN = ("vit", "deit", "vit_msn", "vit_mae", "dinov2", "dinov2_with_registers", "dinov3_vit")
"""transformers models whose first token stands for the image; their pooler, where they have one, is often untrained."""


def named(name: str) -> OpenCard | None:
    """The card behind a prefixed name, the catalogue's own where it has one; None for a name without a prefix.

    Raises CardError for an unknown tag (with the nearest), EncoderError when the hub does not answer.
    """
    prefix, colon, rest = name.partition(":")
    return PREFIXES[prefix](rest) if colon and prefix in PREFIXES else None


def timm_tag(tag: str) -> OpenCard:
    """The card of a timm pretrained tag, from timm's own table; nothing is asked of a network."""
    import timm

    if tag not in timm_tags():
        raise CardError(f"timm has no pretrained {tag[:80]!r}", fix=_near_tag(tag))
    cfg: Any = timm.models.get_pretrained_cfg(tag)
    place: dict[str, Any] = {"repository": cfg.hf_hub_id} if cfg.hf_hub_id else {"url": cfg.url}
    if known := card_from(adapter="timm", **place):
        return known
    if cfg.hf_hub_id:
        place["weights"] = cfg.hf_hub_filename or "model.safetensors"
    source = {"model": cfg.architecture, "num_classes": cfg.num_classes or 0, **place}
    return timm_card(tag, source, cfg.to_dict(), cfg.license)


@cache
def timm_tags() -> list[str]:
    """Every pretrained tag of the installed timm."""
    import timm

    return timm.list_pretrained()


def timm_card(name: str, source: dict[str, Any], cfg: dict[str, Any], licence: str | None) -> OpenCard:
    """The card of a timm network: `cfg` is its pretrained_cfg. Raises EncoderError as `timm_preprocessing`."""
    return _card(
        name=name, title=f"{name} (timm)", authors=["as published by timm"], licence=licence,
        method=source["model"], architecture=_architecture(source["model"]), source={"adapter": "timm", **source},
        preprocessing=timm_preprocessing(cfg, where=name).model_dump(exclude_none=True),
    )  # fmt: skip


def hub_model(repository: str) -> OpenCard:
    """The card of a hub repository, from its config.json and preprocessor_config.json at the pinned commit."""
    from bench.encoders import lock
    from bench.encoders.open_card import first_pin

    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", repository):
        raise CardError(f"{repository[:80]!r} is not a repository", fix="write hf:OWNER/NAME")
    if known := card_from(repository=repository):
        return known
    where = f"hf:{repository}"
    pin = lock.find(repository) or lock.keep(repository, first_pin({"repository": repository}, where))
    config = read_json(repository, CONFIG, pin.revision or "", where=where)
    if "pretrained_cfg" in config:
        source = timm_network(config, where=where) | {"repository": repository, "weights": pin.weights}
        return timm_card(_plain(repository), source, config["pretrained_cfg"], pin.licence)
    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise EncoderError(f"{CONFIG} of {repository} names no model of timm or transformers", where=where)
    return _transformers_card(repository, kind, config, pin)


def _transformers_card(repository: str, kind: str, config: dict[str, Any], pin: Any) -> OpenCard:
    source = {"adapter": "huggingface", "repository": repository}
    if "vision_config" in config:
        source["part"] = "vision_model"
    prepared = preprocessing_of(repository, pin.revision, where=f"hf:{repository}")
    pooling = "cls" if kind in CLASS_TOKEN else "mean" if kind == "ijepa" else "native"
    return _card(
        name=_plain(repository), version=pin.revision[:12], title=f"{repository} (Hugging Face)",
        authors=[repository.split("/")[0]], licence=pin.licence, method=kind, architecture=_architecture(kind),
        url=f"https://huggingface.co/{repository}", source=source, features={"pooling": pooling},
        preprocessing=prepared.model_dump(exclude_none=True),
    )  # fmt: skip


def _card(**values: Any) -> OpenCard:
    """A card of what is known; paradigm, objective and corpora are in nobody's config, so they stay open."""
    values["licence"] = values.get("licence") or NOT_STATED
    fixed = {"schema": 1, "version": "1", "paradigm": "unknown", "objective": "unknown"}
    return OpenCard.parse(fixed | values, where=values["name"])


def _architecture(model: str) -> str:
    if model.startswith(CNNS):
        return "cnn"
    transformer = ("vit", "deit", "dinov2", "dinov3_vit", "beit", "eva", "clip", "siglip", "ijepa", "data2vec")
    return "vit" if model.startswith(transformer) else "other"


def _plain(repository: str) -> str:
    return re.sub(r"[^a-z0-9._-]", "-", repository.lower().replace("/", "."))[:64].strip(".-_")


def _near_tag(tag: str) -> str:
    import timm

    tags = timm_tags()
    if tag in timm.list_models():
        return f"with its weights: {', '.join(t for t in tags if t.split('.')[0] == tag) or 'timm has none'}"
    return did_you_mean(tag, tags, "timm.list_pretrained() has the names")


PREFIXES: dict[str, Callable[[str], OpenCard]] = {"timm": timm_tag, "hf": hub_model}
