"""The text tower of a folder of open_clip: CLIP, SigLIP, and BERT beside an image tower (BiomedCLIP).

open_clip's own tokenizer is taken where the config names none, as open_clip does; else `tokenizer.json` of the folder,
after the cleaning that the config asks for. Nothing is cut off: a sentence longer than the context is refused.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from bench.encoders.base import Encoder, state_sha256
from bench.encoders.hub_config import read_object
from bench.encoders.open_clip_network import two_towers
from bench.encoders.text import TextTower
from bench.encoders.text_files import ABOUT, TOKENIZER, alone, found
from bench.encoders.transformers_text import Reader, refuse_long
from bench.errors import NotForThisEncoderError
from bench.files import canonical_json, sha256_text

OPEN_CLIP = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
ALIKE = 1e-4
"""How far the image vectors of the two towers may lie from those of the encoder: 1 - cosine."""


class OpenClipText(TextTower):
    """Two towers less the image tower, whose projection stays: from the encoder's global vector to the common space."""

    def __init__(
        self, network: Any, projection: nn.Module, numbers: Callable[[str], list[int]], tokenizer: str
    ) -> None:
        """network: of `two_towers`. numbers: of a sentence, filled up to the context. tokenizer: hash of its rules."""
        network.visual = projection.eval()
        self._network, self._numbers = network, numbers
        self.sigmoid = network.logit_bias is not None
        self.sha256 = sha256_text(canonical_json([state_sha256(network), tokenizer]))

    @torch.inference_mode()
    def embed(self, sentences: Sequence[str]) -> Tensor:
        numbers = [torch.tensor([self._numbers(sentence)]) for sentence in sentences]
        return torch.cat([self._network.encode_text(of_one, normalize=True) for of_one in numbers])

    @torch.inference_mode()
    def logits(self, pooled: Tensor, texts: Tensor) -> Tensor:
        images = nn.functional.normalize(self._network.visual(pooled), dim=-1)
        logits = self._network.logit_scale.exp() * images @ texts.t()
        return logits + self._network.logit_bias if self.sigmoid else logits


class Times(nn.Module):
    """Rows times a matrix."""

    matrix: Tensor

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix.detach())

    def forward(self, rows: Tensor) -> Tensor:
        return rows @ self.matrix


def open_clip_text(encoder: Encoder, find: Callable[[str], Path], state: Mapping[str, Tensor]) -> OpenClipText:
    """The text tower of the model whose image tower `encoder` is.

    find: from a name to a file beside the weights, or EncoderError. state: all that the weights file holds. Raises
    NotForThisEncoderError, also where the encoder's global vector is not the one that open_clip projects.
    """
    where = encoder.card.name
    model = read_object(found(find, (OPEN_CLIP,), where)[OPEN_CLIP], OPEN_CLIP, where=where).get("model_cfg")
    if not isinstance(model, dict) or not isinstance(model.get("text_cfg"), dict):
        raise NotForThisEncoderError(f"{OPEN_CLIP} describes no text tower", where=where)
    network: Any = two_towers(model, state, where)
    projection = _projection(network.visual)
    if projection is None or not _alike(encoder, network.visual, projection):
        what = "its text tower goes with the model's own global vector, and the card chooses another"
        raise NotForThisEncoderError(what, where=where, fix="'medssl new NAME --from FOLDER' writes a card that fits")
    return OpenClipText(network, projection, *_tokenizer(find, model["text_cfg"], where))


def _projection(visual: Any) -> nn.Module | None:
    """What open_clip does with the vector of the image tower; None where that is more than a projection."""
    if hasattr(visual, "trunk"):
        return visual.head
    if hasattr(visual, "attnpool"):
        return visual.attnpool.c_proj
    if not hasattr(visual, "ln_post"):
        return None
    return nn.Identity() if visual.proj is None else Times(visual.proj)


@torch.inference_mode()
def _alike(encoder: Encoder, visual: Any, projection: nn.Module) -> bool:
    """Whether the encoder's vectors of made-up images, projected, are those of open_clip's image tower."""
    channels, size = encoder.card.preprocessing.channels, visual.image_size  # an int for a ResNet
    images = torch.randn(
        (2, channels, *((size, size) if isinstance(size, int) else size)), generator=torch.Generator().manual_seed(0)
    )
    try:
        projected = projection(encoder.forward(images.to(encoder.device), False).pooled.cpu())
        return bool((1 - nn.functional.cosine_similarity(projected, visual(images)) < ALIKE).all())
    except RuntimeError:  # of another width
        return False


def _tokenizer(
    find: Callable[[str], Path], said: Mapping[str, Any], where: str
) -> tuple[Callable[[str], list[int]], str]:
    """(from a sentence to its numbers, hash of the rules)."""
    from open_clip.tokenizer import SimpleTokenizer, get_clean_fn

    context, options = said.get("context_length", 77), dict(said.get("tokenizer_kwargs") or {})
    if strange := [*(options.keys() - {"clean"}), *(["tokenizer_mode"] if said.get("tokenizer_mode") else [])]:
        raise NotForThisEncoderError(f"its tokenizer asks for {strange[0][:40]!r}, which is not read", where=where)
    if not said.get("hf_tokenizer_name"):
        own = SimpleTokenizer(context_length=context, **options)
        rules = sha256_text(canonical_json([sorted(own.encoder), str(own.clean_fn.__name__)]))
        return lambda sentence: _simple(own, sentence, where), rules
    clean = options.get("clean", "whitespace")
    cleaned = get_clean_fn(clean)
    with alone(found(find, (TOKENIZER, ABOUT), where)) as folder:
        reader = Reader(folder, context=context, padded=True, where=where)
    return lambda sentence: reader.numbers(cleaned(sentence)), f"{reader.sha256} {clean}"


def _simple(tokenizer: Any, sentence: str, where: str) -> list[int]:
    numbers = [tokenizer.sot_token_id, *tokenizer.encode(sentence), tokenizer.eot_token_id]
    refuse_long(sentence, len(numbers), tokenizer.context_length, where)
    return numbers + [0] * (tokenizer.context_length - len(numbers))
