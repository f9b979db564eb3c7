"""The text tower of CLIP and SigLIP as the transformers library builds them, and the reader of its sentences.

Of a tokenizer only `tokenizer.json` is read (rules and tables for the tokenizers library) and, for the name of the
padding token, `tokenizer_config.json`: data, never code. Nothing is cut off: a sentence longer than the tower's context
is refused, as is one with characters that the tokenizer does not know.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from bench.encoders.base import state_sha256
from bench.encoders.hub_config import read_object
from bench.encoders.mistaken import refuse_mistaken_json
from bench.encoders.text import TextTower
from bench.encoders.text_files import ABOUT, TOKENIZER
from bench.errors import EncoderError, NotForThisEncoderError
from bench.files import canonical_json, sha256_file, sha256_text

MAX_BYTES = 64 << 20


class Reader:
    """From a sentence to its numbers: those of its words between the marks of begin and end, as the file says."""

    def __init__(self, folder: Path, *, context: int, padded: bool, where: str) -> None:
        from tokenizers import Tokenizer

        file, self.context, self.where = folder / TOKENIZER, context, where
        if file.stat().st_size > MAX_BYTES:
            raise EncoderError(f"{TOKENIZER} is over the limit of {MAX_BYTES:,} bytes", where=where)
        refuse_mistaken_json(file, TOKENIZER, where=where)
        try:
            self._rules = Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises Exception itself
            raise EncoderError(f"{TOKENIZER} cannot be read: {str(error)[:200]}", where=where) from None
        self._rules.no_truncation()
        self._rules.no_padding()
        about = read_object(folder / ABOUT, ABOUT, where=where)
        if about.get("add_eos_token") and self._rules.encode("a").ids[-1:] != [self._number(about.get("eos_token"))]:
            raise EncoderError(f"{TOKENIZER} sets no end mark, and {ABOUT} asks for one", where=where)
        self._unknown = self._number(about.get("unk_token"))
        self._pad = self._number(about.get("pad_token")) if padded else None
        if padded and self._pad is None:
            raise EncoderError(f"{ABOUT} names no 'pad_token' of {TOKENIZER}", where=where)
        self.sha256 = sha256_text(canonical_json([sha256_file(file), self._pad]))

    def _number(self, token: Any) -> int | None:
        text = token.get("content") if isinstance(token, dict) else token
        return self._rules.token_to_id(text) if isinstance(text, str) else None

    def numbers(self, sentence: str) -> list[int]:
        """The numbers of a sentence, filled up to the context where the tower reads so.

        Raises NotForThisEncoderError for one that cannot be read whole."""
        found = self._rules.encode(sentence).ids
        refuse_long(sentence, len(found), self.context, self.where)
        if self._unknown in found[:-1] or not found:
            what = f"the prompt {sentence[:60]!r} holds what the tokenizer does not know"
            raise NotForThisEncoderError(what, where=self.where, fix="write it in other words")
        return found if self._pad is None else found + [self._pad] * (self.context - len(found))


def refuse_long(sentence: str, tokens: int, context: int, where: str) -> None:
    """NotForThisEncoderError for a sentence of more `tokens` than a tower of `context` reads."""
    if tokens > context:
        what = f"the prompt {sentence[:60]!r} has {tokens} tokens, the text tower reads {context}"
        raise NotForThisEncoderError(what, where=where, fix="shorten it on the task's card; nothing is cut off")


class TransformersText(TextTower):
    """A two-tower model less its image tower: projections, scale and bias are kept with the text tower."""

    padded: ClassVar[bool]

    def __init__(self, network: Any, folder: Path, where: str) -> None:
        """network: the whole model of transformers, which loses its image tower."""
        del network.vision_model
        self._network, self._where = network.eval(), where
        self._said = network.config.text_config
        context = self._said.max_position_embeddings
        self._reader = Reader(folder, context=context, padded=self.padded, where=where)
        self.sha256 = sha256_text(canonical_json([state_sha256(network), self._reader.sha256]))

    def embed(self, sentences: Sequence[str]) -> Tensor:
        return torch.cat([self._vector(self._reader.numbers(sentence)) for sentence in sentences])

    @torch.inference_mode()
    def _vector(self, numbers: list[int]) -> Tensor:
        """(1, d); alone, so that nothing has to be filled up that the tower was not trained to see filled up."""
        self._check(numbers)
        return self._unit(self._text(self._network.text_model(input_ids=torch.tensor([numbers])).pooler_output))

    @torch.inference_mode()
    def logits(self, pooled: Tensor, texts: Tensor) -> Tensor:
        return (texts @ self._unit(self._image(pooled)).t() * self._network.logit_scale.exp() + self._bias).t()

    def _unit(self, vectors: Tensor) -> Tensor:
        """Rows of length one, rounded as the model itself does."""
        return vectors / vectors.norm(p=2, dim=-1, keepdim=True)

    def _check(self, numbers: list[int]) -> None:
        """EncoderError where the tower would look elsewhere than at the end of a sentence."""

    def _text(self, vectors: Tensor) -> Tensor:
        return vectors

    def _image(self, vectors: Tensor) -> Tensor:
        return vectors

    @property
    def _bias(self) -> Tensor | float:
        return 0.0


class ClipText(TransformersText):
    """CLIP (Radford et al. 2021): the vector at the end mark, then a projection; of images too."""

    sigmoid, padded = False, False

    def _unit(self, vectors: Tensor) -> Tensor:
        return vectors / vectors.pow(2).sum(-1, keepdim=True).pow(0.5)

    def _check(self, numbers: list[int]) -> None:
        # Early configs say 2, and the library then takes the largest number for the end mark.
        end = max(numbers) if self._said.eos_token_id == 2 else self._said.eos_token_id
        if end not in numbers or numbers.index(end) != len(numbers) - 1:
            what = f"{TOKENIZER} does not end sentences with the mark that the text tower looks for ({end})"
            raise EncoderError(what, where=self._where, fix="take the tokenizer the model was trained with")

    def _text(self, vectors: Tensor) -> Tensor:
        return self._network.text_projection(vectors)

    def _image(self, vectors: Tensor) -> Tensor:
        return self._network.visual_projection(vectors)


class SiglipText(TransformersText):
    """SigLIP (Zhai et al. 2023): the vector at the last place of a context that is filled up, and a bias."""

    sigmoid, padded = True, True

    @property
    def _bias(self) -> Tensor | float:
        return self._network.logit_bias


TOWERS: dict[str, type[TransformersText]] = {"clip": ClipText, "siglip": SiglipText, "siglip2": SiglipText}
"""By `model_type` of the config."""


def text_tower(network: Any, folder: Path, where: str) -> TransformersText:
    """The text tower of a two-tower model; `folder` holds its tokenizer. Raises EncoderError.

    NotForThisEncoderError for other models than CLIP and SigLIP: what they do with a sentence differs.
    """
    kind = network.config.model_type
    if kind not in TOWERS:
        what = f"zero-shot is not known for the text tower of model_type {kind!r}"
        raise NotForThisEncoderError(what, where=where, fix=f"it is for {', '.join(TOWERS)}")
    return TOWERS[kind](network, folder, where)
