"""The encoder that comes with a submission: loaded where its weights are here, and held to the contract of encoders."""

from pathlib import Path

from bench.checks.contract import contract
from bench.discover import members
from bench.encoders.card import EncoderCard, read_card
from bench.encoders.load import load_encoder
from bench.errors import UserError
from bench.features.device import place
from bench.submissions import stored
from bench.submissions.report import VerificationReport

HOLDS = "contract holds"
NO_WEIGHTS = "no weights"


def is_at_hand(folder: Path) -> bool:
    """Whether a submission brings an encoder that can be run without code of its own; False where it cannot be read."""
    try:
        return (folder / "encoder.toml").is_file() and why_not_run(folder, read_card(folder)) is None
    except UserError:
        return False


def why_not_run(folder: Path, card: EncoderCard, *, trust_code: bool = False, fetch: bool = False) -> str | None:
    """Why the encoder of a submission is not run, or None. fetch: whether public weights may be fetched for it."""
    source = card.source
    adapter, file = source.get("adapter"), source.get("weights") or source.get("file") or source.get("folder")
    if adapter == "embeddings":
        return "features alone"
    kind = members("bench.encoders.sources", "SOURCE").get(str(adapter))
    if kind is not None and kind.runs_code and not trust_code:
        return "it is code"
    left_out = isinstance(file, str) and not (folder / file).exists() and (folder / stored.FILE).is_file()
    here = adapter == "reference" or (isinstance(file, str) and (folder / file).exists())
    if left_out:
        return "its weights lie in a store (--store)"
    elsewhere = not isinstance(file, str) or any(source.get(key) for key in ("package", "repository", "url"))
    return None if here or (fetch and elsewhere) else NO_WEIGHTS


def check_contract(
    folder: Path, card: EncoderCard, report: VerificationReport, *, trust_code: bool, fetch: bool
) -> str:
    """Hold the encoder to its contract where it can be run: what a badge says of it. Problems go to `report`."""
    if why := why_not_run(folder, card, trust_code=trust_code, fetch=fetch):
        return f"contract not run: {why}"
    try:
        encoder = place(load_encoder(folder, trust_code=trust_code), precision="fp32")
        broken = [found for found in contract(encoder) if found.level == "problem"]
    except UserError as error:
        report.problems.append(f"its encoder cannot be loaded: {error}")
        return "contract not run: it cannot be loaded"
    report.problems += [f"breaks the contract of encoders ({found.check}): {found.message}" for found in broken]
    report.checked.append(f"{card.name}: the contract of encoders, on known images")
    return "contract broken" if broken else HOLDS
