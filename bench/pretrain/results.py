"""What a run over a controlled comparison leaves: a few files that can be carried, and that merge with those of others.

OUT/ledger.json       which comparison, outcomes of trials, encoders that are finished and the file each is in
OUT/encoders-1.zip    folders of finished encoders: encoder.toml, training.json, weights.safetensors, log.jsonl
"""

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from bench.errors import RunError
from bench.files import UNREADABLE, sha256_file, write_atomic
from bench.pretrain.ledger import Finished, Ledger, read_ledger

FILES = 8
"""At most so many files, the ledger among them."""
FILE_BYTES = 16 << 20
MEMBERS = ("encoder.toml", "training.json", "weights.safetensors", "log.jsonl")


class ComparisonFolder:
    """The folder of one run, open for writing. Raises RunError when it holds another comparison."""

    def __init__(self, folder: Path, ledger: Ledger, *, room: int = FILES * FILE_BYTES) -> None:
        """room: bytes of all files together."""
        self.folder, self.ledger, self.room = folder, ledger, room
        if (folder / "ledger.json").exists():
            self.ledger.join(read_ledger(folder), where=folder)

    def know(self, ledger: Ledger, *, where: object) -> None:
        """Take over what an earlier run has settled and finished; its encoders are elsewhere. Raises RunError."""
        elsewhere = {name: finished.model_copy(update={"file": ""}) for name, finished in ledger.encoders.items()}
        self.ledger.join(ledger.model_copy(update={"encoders": elsewhere}), where=where)

    def add_trial(self, objective: str, rate: str, seed: int, score: float) -> None:
        """Keep the outcome of a trial."""
        self.ledger.trials.setdefault(objective, {}).setdefault(rate, {})[str(seed)] = score
        self.save()

    def add_failure(self, name: str, why: str) -> None:
        """Keep why an encoder has no weights."""
        self.ledger.failed[name] = " ".join(why.split())[:200]
        self.save()

    def add_encoder(self, name: str, run: str, source: Path) -> None:
        """Pack a finished encoder's folder. Raises RunError when there is no room left (see `has_room`)."""
        content = {f"{name}/{m}": (source / m).read_bytes() for m in MEMBERS if (source / m).exists()}
        for place in self._files():
            joined = _joined(place.read_bytes() if place.exists() else b"", content)
            if len(joined) <= FILE_BYTES:
                write_atomic(place, joined)
                digest = sha256_file(source / "weights.safetensors")
                self.ledger.encoders[name] = Finished(run=run, weights=digest, file=place.name)
                return self.save()
        raise RunError("is full", where=self.folder, fix="give another --out, and this one's ledger.json with --done")

    def has_room(self, size: int) -> bool:
        """Whether an encoder of `size` bytes still fits."""
        held = [path.stat().st_size if path.exists() else 0 for path in self._files()]
        return sum(held) + size <= self.room and any(length + size <= FILE_BYTES for length in held)

    def save(self) -> None:
        """Write the ledger, whole or not at all."""
        write_atomic(self.folder / "ledger.json", self.ledger.text())

    def _files(self) -> list[Path]:
        return [self.folder / f"encoders-{n}.zip" for n in range(1, FILES)]


def _joined(archive: bytes, members: Mapping[str, bytes]) -> bytes:
    """The zip with further members: fixed dates, so that the same members give the same bytes."""
    buffer = io.BytesIO(archive)
    with zipfile.ZipFile(buffer, "a" if archive else "w") as file:
        for name, data in members.items():
            if name not in file.namelist():
                info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
                info.compress_type = zipfile.ZIP_DEFLATED
                file.writestr(info, data, compresslevel=6)
    return buffer.getvalue()


def members_of(path: Path, name: str) -> dict[str, bytes]:
    """The members of one encoder; others are not looked at, so that no path of the archive is ever used."""
    try:
        with zipfile.ZipFile(path) as archive:
            found = {i.filename: i for i in archive.infolist() if i.file_size <= 4 * FILE_BYTES}
            return {m: archive.read(found[f"{name}/{m}"]) for m in MEMBERS if f"{name}/{m}" in found}
    except UNREADABLE as error:
        raise RunError(f"cannot be read: {str(error)[:100]}", where=path) from None
