"""Many encoders through one suite: which, what they will download, how long they will take, and one after the other."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.checks.cost import flops_per_image
from bench.encoders import catalogue
from bench.encoders.card import EncoderCard, OpenCard
from bench.encoders.hub import OutOfReachError
from bench.encoders.load import find_card, load_card, load_encoder, open_card
from bench.encoders.open_card import pinned
from bench.encoders.source import Place
from bench.encoders.weights_on_disk import Stock, download_bytes, is_here
from bench.errors import RunError, UserError
from bench.features.extract import extract
from bench.runs.estimate import estimate
from bench.runs.fingerprint import fingerprint_of
from bench.runs.journal import Journal
from bench.runs.options import RunSpec
from bench.runs.plan import Plan
from bench.runs.records import Record

MAX_LIST_BYTES = 1 << 20
YARDSTICK = "random-init-vit"
IMAGES = 4


@dataclass(frozen=True)
class Expected:
    """What one encoder will take, as far as it can be told before anything is fetched."""

    encoder: str
    download: int | None
    """Bytes still to be fetched; None where nobody says."""
    seconds: float | None
    access: str = ""


@dataclass(frozen=True)
class Left:
    """How one encoder ended: its records, or why it was left out."""

    encoder: str
    records: list[Record]
    reason: str = ""


def names_of(text: str) -> list[str]:
    """Encoders of `catalogue:WORDS`, of a list with commas, or of a file with a name a line ("#" begins a comment).

    Raises CardError for words of no card, RunError for an empty list.
    """
    if text.startswith("catalogue:"):
        return list(catalogue.chosen(text.removeprefix("catalogue:")))
    path = Path(text)
    if path.is_file():
        if path.stat().st_size > MAX_LIST_BYTES:
            raise RunError("is no list of encoders: it is too large", where=path)
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
        names = [line.split("#")[0].strip() for line in lines]
    else:
        names = [name.strip() for name in text.split(",")]
    if not (names := list(dict.fromkeys(name for name in names if name))):
        raise RunError("names no encoder", where=text[:80], fix="catalogue:small, a,b,c or a file with a name a line")
    return names


def expected(names: list[str], plan: Plan, *, accept_checksum: bool = False) -> list[Expected]:
    """What each encoder will take: solving as of a small encoder here, encoding by its floating-point operations."""
    whole = estimate(load_encoder(YARDSTICK), plan, accept_checksum=accept_checksum)
    images, solve = sum(t.images for t in whole.tasks), sum(t.solve_seconds for t in whole.tasks)
    rate, ask = _flops_a_second(), True
    found = []
    for name in names:
        card = open_card(name)
        flops = _flops(card) if card else _flops_here(name)
        seconds = None if flops is None else images * flops / rate + solve
        try:
            coming = download_bytes(card, ask=ask) if card else 0
        except OutOfReachError:
            ask = False
            coming = download_bytes(card, ask=ask) if card else 0
        found.append(Expected(name, coming, seconds, (card and card.access) or ""))
    return found


def _flops_a_second() -> float:
    """Measured on a ViT-S/16 with random weights, which keeps a processor as busy as most of the catalogue."""
    tiny, folder = find_card(YARDSTICK)
    source = tiny.source | {"model": "vit_small_patch16_224", "options": {}}
    size = tiny.preprocessing.model_copy(update={"size": 224, "dense_size": None})
    encoder = load_card(tiny.model_copy(update={"source": source, "preprocessing": size}), Place(folder))
    images = np.zeros((IMAGES, 224, 224, 3), np.uint8)
    extract(encoder, images[:1], dense=False)
    started = time.perf_counter()
    extract(encoder, images, dense=False)
    return IMAGES * (flops_per_image(encoder) or 1) / (time.perf_counter() - started)


def _flops(card: OpenCard) -> int | None:
    """Floating-point operations an image, counted on a skeleton; None where the card does not say the network."""
    from bench.encoders.architectures import build
    from bench.encoders.networks import TimmEncoder

    if card.source["adapter"] != "timm" or "model" not in card.source or card.preprocessing is None:
        return None
    whole = EncoderCard.parse(card.model_dump(mode="json", by_alias=True, exclude_none=True), where=card.name)
    try:
        bones = build(whole, card.source["model"], options=card.source.get("options"), skeleton=True)
        return flops_per_image(TimmEncoder(whole, bones).to("meta"))
    except UserError:
        return None


def _flops_here(name: str) -> int | None:
    """Of an encoder whose files are on this machine; None where it cannot be loaded, or counted."""
    try:
        return flops_per_image(load_encoder(name))
    except UserError:
        return None


def run_many(
    names: list[str], spec: RunSpec, plan: Plan, one: Callable[[RunSpec], list[Record]], disk: int | None = None
) -> Iterator[Left]:
    """Run each encoder with `one`; what cannot be had is left out with its reason, and the rest goes on.

    disk: bytes of weights that this run may download and keep; its oldest downloads are removed for the next.
    """
    stock = Stock(disk)
    for name in names:
        try:
            if (records := _finished(name, spec, plan)) is not None:
                yield Left(name, records)
                continue
            with stock.room_for(name, open_card(name)):
                yield Left(name, one(spec.but(encoder=name)))
        except UserError as error:
            yield Left(name, [], str(error))


def _finished(name: str, spec: RunSpec, plan: Plan) -> list[Record] | None:
    """Records of a run that is complete and whose weights are gone since, so that they are not fetched once more."""
    card = open_card(name)
    if card is None or is_here(card) is not False:
        return None
    whole, fingerprint = pinned(card), fingerprint_of(plan)
    records = Journal(Path(spec.what.out) / whole.name / plan.suite.name).records()
    same = all(r.card_sha256 == whole.sha256 and r.made_by.suite_fingerprint == fingerprint for r in records.values())
    wanted = {unit.key for task in plan.selected for unit in plan.units(plan.tasks[task])}
    return list(records.values()) if same and records and wanted <= records.keys() else None
