"""What may run code of an encoder's author, and what may not."""

from bench.encoders.card import EncoderCard
from bench.encoders.source import Place
from bench.errors import EncoderError


def refuse_code(what: str, card: EncoderCard, place: Place) -> None:
    """EncoderError unless the caller has said that the author's code may run."""
    if not place.trust_code:
        raise EncoderError(
            f"{what} runs code of its author, so it is not loaded",
            where=card.name,
            fix="read it, then pass --trust-code; or send ONNX, timm weights or embeddings, which need no trust",
        )
