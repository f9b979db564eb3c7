"""`medssl check`: everything that can be known about an encoder before a suite is run."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.allocator import freed_memory_kept
from bench.checks.contract import contract
from bench.checks.finding import CheckReport, Finding
from bench.encoders.base import Encoder
from bench.encoders.card import EncoderCard, read_card
from bench.encoders.load import CATALOGUE, card_path, open_card, source_of
from bench.encoders.open_card import pinned
from bench.encoders.source import Place
from bench.encoders.sources.embeddings import EmbeddingsEncoder
from bench.errors import MedsslError, UserError
from bench.features.device import pick_device


def _silent(done: int, total: int) -> None:
    """Nobody watches."""


def check(
    path_or_name: str | Path,
    *,
    suite: str | None = None,
    images: int | None = None,
    trust_code: bool = False,
    allow_outside: bool = False,
    device: str = "cpu",
    seen: Callable[[int, int], None] = _silent,
) -> Iterator[Finding]:
    """Findings one by one, as they come; the first problem with card or weights is the last finding.

    suite: name or file of the suite to forecast. images: for the alarms, a split and task; None: 40 to 120, by the
    network's FLOPs; 0 leaves them out. seen: called with the alarms' images encoded so far, and all there will be.
    Raises RunError for a device there is not.
    """
    chosen = pick_device(device)
    opened = open_card(path_or_name)
    path = CATALOGUE if opened else card_path(path_or_name)
    try:
        card = pinned(opened) if opened else read_card(path)
        source = source_of(card, where=path)
    except UserError as error:
        yield Finding("card", "problem", str(error))
        return
    yield _card(card)
    try:
        encoder = source.load(card, Place(path if opened else path.parent, trust_code, allow_outside)).to(chosen)
    except UserError as error:
        yield Finding("loads", "problem", str(error))
        return
    yield _weights(encoder)
    if isinstance(encoder, EmbeddingsEncoder):
        yield from _precomputed(encoder)
        return
    with freed_memory_kept():
        yield from contract(encoder)
    costs = {finding.check: finding for finding in _costs(encoder, suite)}
    yield from costs.values()
    yield from _alarms(encoder, images, costs, seen)


def report(path_or_name: str | Path, **options: Any) -> CheckReport:
    """All findings of `check` at once."""
    findings = tuple(check(path_or_name, **options))
    return CheckReport(str(path_or_name), findings)


def _card(card: EncoderCard) -> Finding:
    values = {"name": card.name, "version": card.version, "sha256": card.sha256}
    spoken = f"{card.name} {card.version}, {card.paradigm} ({card.objective})"
    if card.paradigm != "reference" and card.pretraining is None:
        return Finding("card", "warning", f"{spoken}; the pretraining corpora are not disclosed", values)
    if card.paradigm == "reference" and card.objective not in _NOT_SELF_SUPERVISED:
        return Finding("card", "warning", f"{spoken}: a self-supervised objective under 'reference'?", values)
    return Finding("card", "ok", spoken, values)


_NOT_SELF_SUPERVISED = ("supervised", "random-init", "raw-pixels", "colour-histogram", "other")


def _weights(encoder: Encoder) -> Finding:
    digest, adapter = encoder.weights_sha256, encoder.card.source["adapter"]
    if digest is None:
        return Finding("weights", "ok", f"none: made by hand ({adapter})")
    spoken = "; ".join([f"loaded through {adapter!r}, sha256 {digest[:12]}", *encoder.notes])
    return Finding("weights", "ok", spoken, {"sha256": digest, "notes": list(encoder.notes)})


def _precomputed(encoder: EmbeddingsEncoder) -> Iterator[Finding]:
    """One finding a file: it is read whole, with every check of `read_embeddings`."""
    yield Finding("contract", "skipped", "features are precomputed: there is no network to look at")
    for task in encoder.tasks:
        try:
            shapes = encoder.shapes(task)
        except MedsslError as error:
            yield Finding(f"features of {task}", "problem", str(error))
            continue
        _, dimension, grid = next(iter(shapes.values()))
        counts = ", ".join(f"{split} {n}" for split, (n, _, _) in shapes.items())
        spoken = f"{dimension} global features, " + ("no grid" if grid is None else f"grid {grid[0]} x {grid[1]}")
        yield Finding(f"features of {task}", "ok", f"{spoken}; images: {counts}", {"dimension": dimension})


def _alarms(
    encoder: Encoder, images: int | None, costs: Mapping[str, Finding], seen: Callable[[int, int], None]
) -> Iterator[Finding]:
    from bench.checks.alarms import LEAST, affordable, alarms, looks, neighbours
    from bench.checks.batchnorm import batch_norm, has_batch_norm
    from bench.checks.probe import PHANTOMS, phantom_images, phantom_probes

    if images == 0:
        yield Finding("alarms", "skipped", "not asked for")
        return
    if encoder.card.preprocessing.input is not None:
        yield Finding("alarms", "skipped", "they look at images of 8 bits; the score on a task with intensities tells")
        return
    if encoder.card.volumetric:
        yield Finding("alarms", "skipped", "they look at flat images; the score on a task of volumes tells")
        return
    flops = costs["size"].values["flops_per_image"] if "size" in costs else None
    number = affordable(encoder, flops) if images is None else images
    brief = images is None and number == LEAST and has_batch_norm(encoder)
    passes = 2 * len(PHANTOMS) * number * looks(encoder, brief=brief)
    if "speed" in costs:
        yield _forecast(passes, costs["speed"].values["images_per_second"])
    try:
        with freed_memory_kept():
            yield from alarms(encoder, phantom_probes(number), brief=brief, seen=lambda done: seen(done, passes))
            if has_batch_norm(encoder):
                yield batch_norm(encoder, phantom_images(number), neighbours(encoder.card.preprocessing))
    except MedsslError as error:
        yield Finding("alarms", "problem", str(error))


def _forecast(images: int, speed: float) -> Finding:
    """What is still to come, at the speed just measured."""
    seconds = images / speed
    spoken = f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    leave = "; --images 0 leaves them out" if seconds > 60 else ""
    message = f"the alarms encode at most {images:,} phantom images, about {spoken}{leave}"
    return Finding("forecast", "ok", message, {"images": images, "seconds": seconds})


def _costs(encoder: Encoder, suite: str | None) -> list[Finding]:
    from bench.checks.cost import costs
    from bench.data.task import read_suite, shipped_tasks

    if suite is None:  # reading two hundred cards takes seconds
        return costs(encoder, None, {})
    return costs(encoder, read_suite(suite), shipped_tasks())
