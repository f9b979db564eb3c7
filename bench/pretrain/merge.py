"""Several runs over a controlled comparison into one folder of encoders."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from bench.errors import RunError
from bench.files import write_atomic
from bench.pretrain.ledger import Finished, Ledger, read_ledger
from bench.pretrain.results import members_of


def merge(folders: Sequence[Path], out: Path) -> Ledger:
    """Unpack the encoders of the runs in `folders` into `out/<name>` and write one ledger.json there.

    Nothing is written before all runs are known to fit together and every encoder is there, whole. Raises RunError.
    """
    ledgers = [read_ledger(folder) for folder in folders]
    merged = ledgers[0].model_copy(deep=True)
    for folder, found in zip(folders[1:], ledgers[1:], strict=True):
        merged.join(found, where=folder)
    runs = list(zip(folders, ledgers, strict=True))
    contents = {name: _members(name, finished, runs) for name, finished in merged.encoders.items()}
    for name, members in contents.items():
        for member in sorted(members, key="encoder.toml".__eq__):  # the card, which makes it an encoder, comes last
            write_atomic(out / name / member, members[member])
    bare = {name: finished.model_copy(update={"file": ""}) for name, finished in merged.encoders.items()}
    merged = merged.model_copy(update={"encoders": bare})
    write_atomic(out / "ledger.json", merged.text())
    return merged


def _members(name: str, finished: Finished, runs: list[tuple[Path, Ledger]]) -> dict[str, bytes]:
    """The files of an encoder, from whichever run holds it."""
    for folder, ledger in runs:
        mine = ledger.encoders.get(name)
        if mine is None or not mine.file:
            continue
        members = members_of(folder / mine.file, name)
        if sha256(members.get("weights.safetensors", b"")).hexdigest() != finished.weights:
            raise RunError(f"does not hold {name!r} with the weights of the ledger", where=folder / mine.file)
        return members
    raise RunError(f"{name!r} is in none of these runs", fix="name the folder of the run that trained it as well")
