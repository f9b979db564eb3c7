"""Every card of the catalogue with random weights, through our road and through timm's or transformers' own.

    python benchmarks/catalogue.py               # every card; writes the table into docs/catalogue.md
    python benchmarks/catalogue.py dinov2-small  # these only; prints

The weights are made here, saved as the card says they lie (entry, prefix) and loaded as any user's. A network of more
than 60 M parameters is compared by its skeleton (names and shapes of all weights), and as a sibling of fewer blocks.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from bench.encoders.architectures import build
from bench.encoders.card import EncoderCard
from bench.encoders.catalogue import cards
from bench.encoders.load import load_card
from bench.encoders.open_card import OpenCard
from bench.encoders.source import Place
from bench.errors import MedsslError
from bench.files import sha256_file, write_atomic

PAGE = Path(__file__).resolve().parents[1] / "docs" / "catalogue.md"
MARK = "<!-- made by python benchmarks/catalogue.py -->"
UNSAID = "its repository says which network"
WHOLE = 60_000_000
SHORTER: tuple[dict[str, Any], ...] = ({"depth": 1}, {"depths": [1, 1, 1, 1]}, {"stages": [1, 1, 1, 1]}, {})
"""Options that make a network shallow, by family; the first that it takes."""


@dataclass(frozen=True)
class Outcome:
    """One card tried. `pooled`, `grid`: largest absolute difference; None where there is nothing to compare."""

    card: str
    family: str
    route: str
    how: str
    pooled: float | None
    grid: float | None
    seconds: float
    problem: str = ""


def tried(card: OpenCard) -> Outcome:
    """Load the card's architecture through our road and compare it with the library's own output."""
    started = time.perf_counter()
    route = card.source["adapter"]
    how, pooled, grid, problem = "", None, None, ""
    try:
        if "model" not in card.source and card.name not in CONFIGS:
            problem = UNSAID
        else:
            how, pooled, grid = (_timm if route == "timm" else _transformers)(card)
    except (MedsslError, RuntimeError, ValueError, TypeError, AttributeError, AssertionError) as error:
        problem = f"{type(error).__name__}: {str(error)[:160]}"
    return Outcome(card.name, card.family or "", route, how, pooled, grid, time.perf_counter() - started, problem)


def _timm(card: OpenCard) -> tuple[str, float, float | None]:
    model, options = card.source["model"], card.source.get("options", {})
    if (card.parameters or 0) <= WHOLE:
        return "whole", *_compare_timm(card, model, options)
    whole = build(complete(card, {}), model, options=options, skeleton=True)
    _same_skeleton(whole, _timms_own(model, options, "meta"))
    for shorter in SHORTER[:-1]:
        try:
            _timms_own(model, options | shorter, "meta")
        except (TypeError, RuntimeError, ValueError, AssertionError):
            continue
        return "skeleton and sibling", *_compare_timm(card, model, options | shorter)
    return "skeleton", 0.0, None


def _same_skeleton(ours: nn.Module, theirs: nn.Module) -> None:
    a, b = ({n: tuple(v.shape) for n, v in net.state_dict().items()} for net in (ours, theirs))
    if a != b:
        raise ValueError(f"{len(a.items() ^ b.items())} weights differ in name or shape")


def _timms_own(model: str, options: dict[str, Any], device: str = "cpu") -> nn.Module:
    options = dict(options)
    for key in {"mlp_layer", "act_layer"} & options.keys():
        options[key] = getattr(timm.layers, options[key], None) or getattr(nn, options[key])
    with torch.device(device):
        try:
            return timm.create_model(model, num_classes=0, dynamic_img_size=True, **options).eval()
        except TypeError as error:
            if "dynamic_img_size" not in str(error):
                raise
            return timm.create_model(model, num_classes=0, **options).eval()


def _compare_timm(card: OpenCard, model: str, options: dict[str, Any]) -> tuple[float, float | None]:
    torch.manual_seed(0)
    theirs = _timms_own(model, options)
    _shake(theirs)
    with tempfile.TemporaryDirectory() as folder:
        sha256 = _saved(theirs, card, Path(folder) / "weights.safetensors")
        kept = {k: v for k, v in card.source.items() if k in ("adapter", "model", "prefix", "drop")}
        source = kept | {"weights": "weights.safetensors", "sha256": sha256, "options": options}
        ours = load_card(complete(card, source), Place(Path(folder)))
    images, x = pictures(ours.card)
    with torch.inference_mode():
        last = theirs.forward_features(x)
        pooled, grid = _timm_pooled(theirs, last, card.features.pooling), _timm_grid(theirs, last, x)
    return _difference(ours, images, pooled, grid)


def _shake(network: nn.Module) -> None:
    """Away from the zeros and ones that networks start from, where a wrong norm or layer scale would not show."""
    with torch.no_grad():
        for value in network.parameters():
            value.add_(0.02 * torch.randn_like(value))


def _saved(network: nn.Module, card: OpenCard, path: Path) -> str:
    prefix = card.source.get("prefix", "")
    state = {f"{prefix}{name}": value.contiguous().clone() for name, value in network.state_dict().items()}
    state |= {f"{prefix}{drop}": torch.zeros(1) for drop in card.source.get("drop", ())}
    save_file(state, path)
    return sha256_file(path)


def _timm_pooled(network: nn.Module, last: Tensor, pooling: str) -> Tensor:
    if pooling == "native":
        return network.forward_head(last, pre_logits=True).flatten(1)
    patches = last[:, network.num_prefix_tokens :].mean(1)
    return {"cls": last[:, 0], "mean": patches, "cls+mean": torch.cat([last[:, 0], patches], 1)}[pooling]


def _timm_grid(network: nn.Module, last: Tensor, x: Tensor) -> Tensor | None:
    """timm's own map of the last layer, (n, h, w, c): what a convolution gives, or its `forward_intermediates`."""
    if last.ndim == 4:
        return last if getattr(network, "output_fmt", "NCHW") == "NHWC" else last.permute(0, 2, 3, 1)
    options = {"indices": 1, "intermediates_only": True, "output_fmt": "NCHW"}
    try:
        return network.forward_intermediates(x, norm=True, **options)[-1].permute(0, 2, 3, 1)
    except (AssertionError, TypeError):
        return None


def _transformers(card: OpenCard) -> tuple[str, float, float | None]:
    import transformers

    kind, options = CONFIGS[card.name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(**options)
    theirs = transformers.AutoModel.from_config(config).eval()
    _shake(theirs)
    part = card.source.get("part")
    with tempfile.TemporaryDirectory() as folder:
        theirs.save_pretrained(Path(folder) / "model")
        sha256 = sha256_file(Path(folder) / "model" / "model.safetensors")
        source = {"adapter": "huggingface", "folder": "model", "sha256": sha256} | ({"part": part} if part else {})
        ours = load_card(complete(card, source, _side(options)), Place(Path(folder)))
    images, x = pictures(ours.card)
    with torch.inference_mode():
        out = (getattr(theirs, part) if part else theirs)(pixel_values=x)
    tokens = out.last_hidden_state
    side = x.shape[-1] // _patch(options)
    patches = tokens[:, tokens.shape[1] - side * side :]
    pooled = {"cls": tokens[:, 0], "mean": patches.mean(1)}.get(card.features.pooling, out.pooler_output)
    grid = patches.reshape(len(x), side, side, -1)
    return "sibling" if "num_hidden_layers" in str(options) else "whole", *_difference(ours, images, pooled, grid)


BASE = {"hidden_size": 768, "num_attention_heads": 12}
LARGE = {"hidden_size": 1024, "num_attention_heads": 16, "num_hidden_layers": 2}
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "rad-dino": ("Dinov2", BASE | {"image_size": 518, "patch_size": 14}),
    "rad-dino-maira-2": ("Dinov2", BASE | {"image_size": 518, "patch_size": 14, "num_hidden_layers": 2}),
    "cxformer-small": (
        "Dinov2WithRegisters",
        {"hidden_size": 384, "num_attention_heads": 6, "image_size": 518, "patch_size": 14},
    ),
    "cxformer-base": ("Dinov2WithRegisters", BASE | {"image_size": 518, "patch_size": 14}),
    "phikon": ("ViT", BASE | {"image_size": 224, "patch_size": 16}),
    "phikon-v2": ("Dinov2", LARGE | {"image_size": 224, "patch_size": 16}),
    "midnight-12k": (
        "Dinov2",
        {
            "hidden_size": 1536,
            "num_attention_heads": 24,
            "num_hidden_layers": 2,
            "image_size": 224,
            "patch_size": 14,
            "use_swiglu_ffn": True,
        },
    ),
    "usfm": ("Beit", BASE | {"image_size": 224, "patch_size": 16, "use_relative_position_bias": True}),
    "monet": ("CLIP", {"vision_config": LARGE | {"image_size": 224, "patch_size": 14, "intermediate_size": 4096}}),
    "medsiglip-448": (
        "Siglip",
        {
            "vision_config": {
                "hidden_size": 1152,
                "num_attention_heads": 16,
                "num_hidden_layers": 2,
                "intermediate_size": 4304,
                "image_size": 448,
                "patch_size": 14,
            }
        },
    ),
}
"""transformers class and shape of a card, as its facts say; the large ones with two layers."""


def _side(options: dict[str, Any]) -> int:
    return options.get("vision_config", options)["image_size"]


def _patch(options: dict[str, Any]) -> int:
    return options.get("vision_config", options)["patch_size"]


def complete(card: OpenCard, source: dict[str, Any], side: int = 224) -> EncoderCard:
    """The card with another source, and a preprocessing where it leaves that to its repository."""
    values = card.model_dump(mode="json", by_alias=True, exclude_none=True) | {"source": source or card.source}
    values.setdefault("preprocessing", {"size": side, "mean": [0.5], "std": [0.25]})
    return EncoderCard.parse(values, where=card.name)


def pictures(card: EncoderCard) -> tuple[Tensor, Tensor]:
    """Two images of noise, uint8 (2, s, s, 3), and what a network is to see of them."""
    side = card.preprocessing.size
    images = torch.randint(0, 256, (2, side, side, 3), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    mean, std = (torch.tensor(v).reshape(1, -1, 1, 1) for v in (card.preprocessing.mean, card.preprocessing.std))
    return images, (images.permute(0, 3, 1, 2).float() / 255 - mean) / std


def _difference(ours: Any, images: Tensor, pooled: Tensor, grid: Tensor | None) -> tuple[float, float | None]:
    one, both = ours.encode(images), ours.encode(images, dense=True)
    if one.pooled.shape != pooled.shape or (grid is not None and both.grid.shape != grid.shape):
        raise ValueError(f"shapes {tuple(one.pooled.shape)}, {tuple(both.grid.shape)} differ from the library's")
    apart = max(float((out.pooled - pooled).abs().max()) for out in (one, both))
    return apart, None if grid is None else float((both.grid - grid).abs().max())


def table(outcomes: list[Outcome]) -> str:
    """The table of the page, Markdown."""
    head = "| card | family | route | compared | global | grid | s |\n|---|---|---|---|---|---|---|"
    rows = [
        f"| {o.card} | {o.family} | {o.route} | {o.problem.replace('|', '/') or o.how} | {_number(o.pooled)} "
        f"| {_number(o.grid)} | {o.seconds:.1f} |"
        for o in outcomes
    ]
    return "\n".join([head, *rows])


def _number(value: float | None) -> str:
    return "–" if value is None else "0" if value == 0 else f"{value:.1e}"


def summary(outcomes: list[Outcome]) -> str:
    """One sentence: how many agree exactly, and which do not enter."""
    exact = sum(not o.problem and o.pooled == 0 and o.grid in (0, None) for o in outcomes)
    without = sum(bool(o.problem) for o in outcomes)
    return f"{len(outcomes)} cards: {exact} differ by exactly 0, {without} were not compared (the table says why)."


def main(names: list[str], say: Callable[[str], None] = print) -> int:
    """Try the named cards, or all and write the page. Returns how many differ or do not load."""
    outcomes = []
    for name in names or cards():
        outcomes.append(tried(cards()[name]))
        say(table(outcomes[-1:]).splitlines()[-1])
    say(summary(outcomes))
    if not names:
        text = PAGE.read_text(encoding="utf-8")
        write_atomic(PAGE, f"{text.split(MARK)[0]}{MARK}\n\n{summary(outcomes)}\n\n{table(outcomes)}\n")
    return sum(o.problem != UNSAID and (bool(o.problem) or o.pooled != 0 or o.grid not in (0, None)) for o in outcomes)


if __name__ == "__main__":
    sys.exit(1 if main(sys.argv[1:]) else 0)
