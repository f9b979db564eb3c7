"""The contract of a text tower: the half of an image-text encoder that reads sentences."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

from torch import Tensor


class TextTower(ABC):
    """Puts sentences, and the image features of its encoder, into one space. Computes in float32 on the CPU."""

    sha256: str
    """Of everything it computes with: weights, scale, tokenizer."""
    sigmoid: bool
    """Whether the sigmoid of a logit is a probability: it was trained pair by pair, with a bias (SigLIP)."""

    @abstractmethod
    def embed(self, sentences: Sequence[str]) -> Tensor:
        """float32 (m, d), rows of length one. Raises NotForThisEncoderError for a sentence it cannot read whole."""

    @abstractmethod
    def logits(self, pooled: Tensor, texts: Tensor) -> Tensor:
        """float32 (n, m): scale x cosine (+ bias) of the encoder's global vectors (n, c) and of texts (m, d), rows of
        length one, with the scale and the bias the model learnt."""
