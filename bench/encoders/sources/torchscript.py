"""`adapter = "torchscript"`: a TorchScript archive; runs only with `--trust-code`.

The archive holds source text that TorchScript compiles and runs, some of it while loading (`__setstate__`), and
its operators reach files (`torch.from_file` writes one). That is code, whatever the reader.
"""

from typing import Annotated, Literal

from pydantic import Field

from bench.encoders.base import Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.programs import ProgramEncoder, read_torchscript
from bench.encoders.source import EncoderSource, Place
from bench.encoders.trust import refuse_code
from bench.encoders.weights import inside, verify
from bench.strict import Sha256


class TorchScriptSource(EncoderSource):
    """Keys of the `[source]` table."""

    name = "torchscript"
    runs_code = True
    places = frozenset({"weights", "sha256"})
    adapter: Literal["torchscript"]
    weights: Annotated[str, Field(min_length=1, max_length=500)]
    sha256: Sha256 | None = None
    prefix_tokens: Annotated[int, Field(ge=0, le=1024)] = 0

    def load(self, card: EncoderCard, place: Place) -> Encoder:
        refuse_code("a TorchScript program", card, place)
        path = inside(self.weights, place, where=card.name)
        sha256 = verify(path, self.sha256, where=card.name)
        encoder = ProgramEncoder(card, read_torchscript(path, card.name), self.prefix_tokens)
        encoder.weights_sha256 = sha256
        return encoder


SOURCE = TorchScriptSource
