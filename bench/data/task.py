"""Task and suite cards: one data set, one target, fixed splits and a primary metric."""

import re
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from bench.budget import Budget
from bench.data.foreign import files_below
from bench.data.prompts import Prompts
from bench.errors import CardError
from bench.files import canonical_json, sha256_text
from bench.locate import shipped
from bench.metrics import SCORING, Scoring
from bench.metrics.set import primaries
from bench.strict import Grown, Line, Name, Prose, Strict, did_you_mean, read_toml
from bench.words import REQUIRED_SPLITS, SCALARS, SPLITS, Extent, Kind, Modality, Target, family


class Task(Grown):
    """The whole of a task card. `source` is checked by the module of `bench/data/sources` its `reader` names."""

    later: ClassVar[frozenset[str]] = frozenset({"prompts"})

    schema_: Annotated[Literal[1], Field(alias="schema")]
    name: Name
    title: Line
    kind: Kind
    modality: Modality
    target: Target
    classes: Annotated[list[Line], Field(min_length=1, max_length=200)]
    """Class names in label order; for a dense task the first is the background; for multi-label one a label; for a
    number the one quantity, with its unit; for survival the one event, with the unit of its time."""
    metric: Line
    """Name of the primary metric: one of `bench.metrics.set` that may be so for its target."""
    extent: Extent = "unknown"
    licence: Line
    corpus: Line
    """Name of the corpus the images come from (contamination is computed from it)."""
    origin: Line | None = None
    """Tasks that share an origin count as one source in the averages (OrganA/C/S). Default: the task itself."""
    synthetic: bool = False
    description: Prose = ""
    citation: Prose = ""
    caveats: Annotated[list[Prose], Field(max_length=20)] = []
    left_out: Prose | None = None
    """Why the task stays out of the averages (degenerate, saturated); None when it counts."""
    superseded_by: Name | None = None
    source: dict[str, Any]
    prompts: Prompts | None = None
    """What stands for each class in zero-shot classification."""

    @model_validator(mode="before")
    @classmethod
    def _usual(cls, values: Any) -> Any:
        """A short card may leave out what its target implies: the kind, and the usual metric."""
        if not isinstance(values, dict):
            return values
        target = values.get("target")
        metric = {"mask": "dice", "ordinal": "qwk", "number": "r2", "survival": "c_index"}.get(str(target), "auroc")
        return {"kind": "dense" if target == "mask" else "global", "metric": metric, **values}

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.kind == "dense") != (self.target == "mask"):
            raise ValueError("a dense task has target 'mask', a global task has another")
        if self.metric not in (fitting := primaries(self.target)):
            offered = " or ".join(repr(name) for name in sorted(fitting))
            raise ValueError(f"metric {self.metric!r} is not for target {self.target!r}, whose metric is {offered}")
        if (self.target in SCALARS) != (len(self.classes) == 1):
            what = "a number has one entry in 'classes', the quantity, and survival one, the event"
            raise ValueError(f"{what}; other targets have at least two")
        if self.target == "binary" and len(self.classes) != 2:
            raise ValueError("a binary task has two classes")
        if self.target == "ordinal" and not _in_order(self.classes):
            raise ValueError(f"the classes of an ordinal task are in order, these are not: {', '.join(self.classes)}")
        if len({folded(name) for name in self.classes}) < len(self.classes):
            raise ValueError("two of 'classes' have the same name (case, blanks, '_' and '-' do not count)")
        return self

    @model_validator(mode="after")
    def _prompted(self) -> Self:
        if self.prompts is None:
            return self
        if self.target in ("mask", *SCALARS):
            raise ValueError(f"prompts are for classes, not for target {self.target!r}")
        lacking, strange = set(self.classes) - set(self.prompts.classes), set(self.prompts.classes) - set(self.classes)
        if lacking or strange:
            what = f"have none for {sorted(lacking)[0]!r}" if lacking else f"name {sorted(strange)[0]!r}"
            raise ValueError(f"prompts {what}; they need words for each of 'classes', and for nothing else")
        return self

    @property
    def sentences(self) -> list[list[str]] | None:
        """The prompts of each class, in the order of `classes`; None where the card has none."""
        return None if self.prompts is None else self.prompts.sentences(self.classes)

    @property
    def bags(self) -> bool:
        """Whether a case is a bag: several images with one label."""
        return bool(self.source.get("bags"))

    @property
    def stated_counts(self) -> dict[str, int]:
        """Cases of each split as the card states them; {} where it does not state every one."""
        rows = self.source.get("rows")
        stated = rows if isinstance(rows, dict) else self.source | {"test-shift": self.source.get("shift")}
        known = {name: n for name in SPLITS if isinstance(n := stated.get(name), int) and n}
        return known if known.keys() >= {*REQUIRED_SPLITS} else {}

    @property
    def volume(self) -> bool:
        """Whether a case is a volume, whose slices lie above each other."""
        return bool(self.source.get("volume"))

    @property
    def aggregation(self) -> Literal["mean", "max"]:
        """How the vectors of a volume's slices, or of a bag's images, become one."""
        return "max" if self.source.get("aggregation") == "max" else "mean"

    @property
    def chance(self) -> float:
        """Expected primary metric of a guess: AUROC 0.5, balanced accuracy 1/K, QWK and Dice 0."""
        return primaries(self.target)[self.metric].chance(len(self.classes))

    @property
    def sha256(self) -> str:
        """Hash of the card's meaning, independent of key order and layout. Prompts are no part of what the data are."""
        return sha256_text(canonical_json(self.model_dump(mode="json", by_alias=True, exclude={"prompts"})))


def _in_order(names: list[str]) -> bool:
    """Whether numbers in the names, one in each, go up or down ("10" before "2" is an order of letters)."""
    found = [re.findall(r"\d+(?:\.\d+)?", name) for name in names]
    numbers = [float(each[0]) for each in found if len(each) == 1]
    return len(numbers) < len(names) or numbers in (sorted(numbers), sorted(numbers, reverse=True))


def folded(name: str) -> str:
    """The name of a class as it is compared: no case, and "_", "-" and blanks between words alike."""
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)", " ", unicodedata.normalize("NFKC", name).strip().casefold())


class ProtocolUse(Strict):
    """A protocol of a suite with the budgets and seeds at which it is run."""

    name: Name
    budgets: Annotated[list[Budget], Field(min_length=1)]
    seeds: Annotated[int, Field(ge=1, le=1000)] = 1
    """Seeds 0 .. seeds-1 at every budget below 100 %; a deterministic protocol runs one seed at 100 %."""


class Suite(Strict):
    """A named, versioned list of tasks and protocols."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    name: Name
    title: Line
    description: Prose = ""
    synthetic: bool = False
    scoring: Scoring = SCORING
    """Version of the set of metrics its results are scored with: the current one unless the suite says another."""
    tasks: Annotated[list[Name], Field(min_length=1, max_length=1000)]
    protocols: Annotated[list[ProtocolUse], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _one_version(self) -> Self:
        names = sorted(use.name for use in self.protocols)
        for one, other in pairwise(names):
            if one != other and family(one) == family(other):
                raise ValueError(f"{one} and {other} are versions of one protocol: their results do not compare")
        return self


OTHER_CARDS = {"preprocessing", "paradigm", "protocols", "withdrawn", "heads"}
"""Keys of encoders, suites, withdrawals and recipes, none of which a task card has."""


def read_task(path: Path) -> Task:
    """Read one task card. Raises CardError."""
    return Task.parse(read_toml(path), where=path)


def cards_in(folder: Path) -> dict[str, tuple[Task, Path]]:
    """Name -> (task, folder of its card, where its relative paths start) for every task card below `folder`, sorted.

    Passed over: cards of encoders and suites, tables of other programs, and whatever lies below `suites/`, a hidden
    folder or a run. Raises CardError, also on a shared name.
    """
    found: dict[str, tuple[Task, Path]] = {}
    for path in files_below(folder, ".toml"):
        if _passed_over(path.relative_to(folder)) or any(map(_is_run, _between(folder, path))):
            continue
        values = read_toml(path)
        if not is_task(values):
            continue
        task = Task.parse(values, where=path)
        if task.name in found:
            other = found[task.name][1]
            raise CardError(f"the name {task.name!r} is taken by another card", where=path, fix=f"one is in {other}")
        found[task.name] = task, path.parent
    return dict(sorted(found.items()))


def tasks_in(folder: Path) -> dict[str, Task]:
    """Name -> task for every task card below `folder`, as `cards_in`."""
    return {name: task for name, (task, _) in cards_in(folder).items()}


def is_task(values: dict[str, Any]) -> bool:
    """Whether a TOML file is meant to be a task card: it shares a key with one, and none tells of another card."""
    keys = {field.alias or name for name, field in Task.model_fields.items()}
    return bool(keys & set(values)) and not OTHER_CARDS & set(values)


def own_cards_in(folder: Path) -> dict[str, tuple[Task, Path]]:
    """As `cards_in`. Raises CardError where there are none."""
    if folder.is_file():
        fix = "--tasks takes a folder of cards, or one card (.toml); 'medssl data new FOLDER' writes one"
        raise CardError("is no task card", where=folder, fix=fix)
    if not (found := cards_in(folder)):
        raise CardError("holds no task cards (*.toml)", where=folder, fix="'medssl data new FOLDER' writes one")
    return found


def _passed_over(path: Path) -> bool:
    return path.name == "encoder.toml" or any(part == "suites" or part.startswith(".") for part in path.parts)


def _between(folder: Path, path: Path) -> list[Path]:
    """The folders from that of `path` up to `folder`."""
    inside = len(path.relative_to(folder).parts)
    return list(path.parents[:inside])


def _is_run(folder: Path) -> bool:
    return (folder / "run.json").is_file()


def shipped_tasks() -> dict[str, Task]:
    """Every task card that comes with the package."""
    return tasks_in(shipped("tasks"))


def suite_names() -> list[str]:
    """Names of the suites that come with the package."""
    return sorted(p.stem for p in (shipped("tasks") / "suites").glob("*.toml"))


def read_suite(name_or_path: str | Path) -> Suite:
    """A shipped suite by name, or one from a TOML file. Raises CardError that offers the nearest name."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = shipped("tasks") / "suites" / f"{name_or_path}.toml"
        if str(name_or_path) not in suite_names():
            if Path(name_or_path).is_dir():
                fix = f"--tasks {name_or_path} for a folder with your own task cards"
                raise CardError("is a folder, and a suite is a name or a TOML file", where=name_or_path, fix=fix)
            fix = did_you_mean(str(name_or_path), suite_names())
            raise CardError(f"unknown suite {str(name_or_path)[:80]!r}", fix=fix)
    return Suite.parse(read_toml(path), where=path)
