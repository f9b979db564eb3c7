"""The small files that an image-text model is read from, beside its weights."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.errors import EncoderError, NotForThisEncoderError

TOKENIZER, ABOUT = "tokenizer.json", "tokenizer_config.json"
ABSENT = ("holds no", "lacks a file", "no such file")
"""What messages say of a file that is not there."""


def found(find: Callable[[str], Path], names: tuple[str, ...], where: str) -> dict[str, Path]:
    """Name -> path of each; `find` raises EncoderError. NotForThisEncoderError with the cure for one that is absent."""
    return {name: _found(find, name, where) for name in names}


def _found(find: Callable[[str], Path], name: str, where: str) -> Path:
    try:
        return find(name)
    except EncoderError as error:
        if not any(said in error.what for said in ABSENT):
            raise
        what, fix = f"has a text tower, but no {name}", "download it too; zero-shot reads it"
        if name in (TOKENIZER, ABOUT):
            what = f"{what} of a fast tokenizer"
            fix = "transformers writes it: AutoTokenizer.from_pretrained(NAME).save_pretrained(FOLDER)"
        raise NotForThisEncoderError(what, where=where, fix=fix) from None


@contextmanager
def alone(files: Mapping[str, Path]) -> Iterator[Path]:
    """A folder with these files and no other: a library can load nothing but what was looked over."""
    with tempfile.TemporaryDirectory(prefix="medssl-") as name:
        for relative, path in files.items():
            (Path(name) / relative).parent.mkdir(parents=True, exist_ok=True)
            (Path(name) / relative).symlink_to(path.resolve())
        yield Path(name)
