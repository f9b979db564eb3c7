"""`adapter = "python"`: a Python file of the author; runs only with `--trust-code`."""

from importlib.util import module_from_spec, spec_from_file_location
from typing import Annotated, Literal

from pydantic import StringConstraints

from bench.encoders.base import Encoder
from bench.encoders.card import EncoderCard
from bench.encoders.source import EncoderSource, Place
from bench.encoders.trust import refuse_code
from bench.encoders.weights import inside, verify
from bench.errors import EncoderError
from bench.strict import Sha256


class PythonSource(EncoderSource):
    """`file` defines `function(card, folder) -> Encoder`, a child of `bench.encoders.base.Encoder`."""

    name = "python"
    runs_code = True
    places = frozenset({"file", "sha256"})
    adapter: Literal["python"]
    file: Annotated[str, StringConstraints(pattern=r"\.py$", max_length=500)]
    function: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")] = "load"
    sha256: Sha256 | None = None

    def load(self, card: EncoderCard, place: Place) -> Encoder:
        refuse_code("a Python file", card, place)
        path = inside(self.file, place, where=card.name)
        sha256 = verify(path, self.sha256, where=card.name)
        spec = spec_from_file_location(f"medssl_encoder_{sha256[:16]}", path)
        if spec is None or spec.loader is None:
            raise EncoderError(f"{self.file} is not a Python file", where=card.name)
        module = module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
            encoder = getattr(module, self.function)(card, place.folder)
        except Exception as error:
            raise EncoderError(f"{self.file} failed: {type(error).__name__}: {error}", where=card.name) from error
        if not isinstance(encoder, Encoder):
            raise EncoderError(
                f"{self.function}() returned {type(encoder).__name__}, expected an Encoder", where=card.name
            )
        encoder.weights_sha256 = sha256
        return encoder


SOURCE = PythonSource
