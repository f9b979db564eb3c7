"""`adapter = "torch-export"`: a `torch.export` program (`.pt2`); runs only with `--trust-code`.

Reading one is not safe: the archive's shape expressions are evaluated as Python while it loads, so that a call
written in their place is made (tests/encoders/test_refusals.py has such an archive).
"""

from typing import Annotated, Literal

import torch
from pydantic import Field

from bench.encoders.base import Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.programs import ProgramEncoder
from bench.encoders.source import EncoderSource, Place
from bench.encoders.trust import refuse_code
from bench.encoders.weights import inside, verify
from bench.errors import EncoderError
from bench.strict import Sha256


class TorchExportSource(EncoderSource):
    """Keys of the `[source]` table."""

    name = "torch-export"
    runs_code = True
    places = frozenset({"weights", "sha256"})
    adapter: Literal["torch-export"]
    weights: Annotated[str, Field(min_length=1, max_length=500)]
    sha256: Sha256 | None = None
    prefix_tokens: Annotated[int, Field(ge=0, le=1024)] = 0

    def load(self, card: EncoderCard, place: Place) -> Encoder:
        refuse_code("a torch.export program", card, place)
        path = inside(self.weights, place, where=card.name)
        sha256 = verify(path, self.sha256, where=card.name)
        try:
            program = torch.export.load(path)
        except Exception as error:
            raise EncoderError(f"is not a torch.export program: {str(error)[:200]}", where=card.name) from None
        encoder = ProgramEncoder(card, program.module(), self.prefix_tokens, _fixed_batch(program))
        encoder.weights_sha256 = sha256
        return encoder


def _fixed_batch(program: torch.export.ExportedProgram) -> int | None:
    """The batch size the program was traced with, or None when it was left dynamic."""
    names = set(program.graph_signature.user_inputs)
    inputs = [n for n in program.graph.nodes if n.op == "placeholder" and n.name in names]
    size = inputs[0].meta["val"].shape[0] if inputs else None
    return size if isinstance(size, int) else None


SOURCE = TorchExportSource
