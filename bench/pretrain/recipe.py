"""A recipe: everything about a pretraining run but the objective, the images and the seed."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from bench.errors import CardError
from bench.strict import Name, Strict, did_you_mean, read_toml

FOLDER = Path(__file__).parent / "recipes"

_NOT_DECIDING = {
    "tuning", "learning_rate", "learning_rates", "track", "corpus", "corpus_sha256", "seeded", "cnn_objectives",
}  # fmt: skip
Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(gt=0, le=1)]


class Vit(Strict):
    """Vision transformer without a class token; the image vector is the mean of the patch tokens."""

    patch: Count
    dim: Count
    depth: Count
    heads: Count


class Cnn(Strict):
    """A ResNet of basic blocks with these widths and an output stride equal to the transformer's patch."""

    model: Literal["resnet10t", "resnet18"] = "resnet10t"
    """timm's name: one or two blocks of each width."""
    widths: Annotated[list[Count], Field(min_length=4, max_length=4)]


class Heads(Strict):
    """Widths of the throw-away heads, shared by all objectives."""

    hidden: Count
    out: Count
    prototypes: Count
    decoder_dim: Count
    decoder_depth: Count


class Tuning(Strict):
    """The equal tuning budget: each objective is tried briefly at each of these learning rates."""

    learning_rates: Annotated[list[Rate], Field(min_length=1)]
    fraction: Rate
    """Length of a trial as a fraction of the full schedule."""
    noise_seeds: Annotated[int, Field(ge=0)] = 0
    """Further seeds of each trial of `noise_objectives`: what the probe's outcome owes to chance."""
    noise_objectives: list[Name] = []


class Recipe(Strict):
    """Read from `bench/pretrain/recipes/<name>.toml`, or from a user's own file."""

    schema_: Annotated[Literal[1], Field(alias="schema")]
    name: Name
    track: Name | Literal[""] = ""
    """Name of the controlled comparison it is for; default: "phantom-", the recipe's name and "-v1"."""
    corpus: Name = "phantom-v1"
    """The images of that comparison."""
    corpus_sha256: Annotated[str, StringConstraints(pattern="^([0-9a-f]{64})?$")] = ""
    """Of a corpus that is packed into one file: other bytes are refused."""
    seeded: list[Name] = []
    """Objectives with three pretraining seeds."""
    cnn_objectives: list[Name] = []
    """Objectives that also train the CNN."""
    size: Count
    """Side of a training view in pixels."""
    corpus_size: Count
    """Side, in pixels, at which the corpus is kept; crops are taken from there, and encoders run on whole images."""
    crop_area: Annotated[list[Rate], Field(min_length=2, max_length=2)]
    """Smallest and largest share of an image that a view shows."""
    corpus_images: Count
    """Images of a procedural corpus; other corpora are taken whole."""
    steps: Count
    views_per_step: Count
    """Gradient views in each step: an objective with two views an image sees half as many images."""
    warmup: Annotated[float, Field(ge=0, lt=1)]
    """Fraction of the steps in which the learning rate rises linearly; a cosine to 0 follows."""
    weight_decay: Annotated[float, Field(ge=0)]
    clip_norm: Annotated[float, Field(gt=0)]
    ema: Rate
    """Momentum of the teacher at the first step; a cosine takes it to 1."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """`bfloat16` is autocast, on a GPU only."""
    evaluations: Count
    """How often the diagnostics are taken after the start; a single one, at the end, leaves out the start too."""
    checkpoints: Count
    vit: Vit
    cnn: Cnn
    heads: Heads
    tuning: Tuning
    learning_rate: Rate
    learning_rates: dict[Name, Rate] = {}
    """Tuned rates by objective; `learning_rate` is for the others."""

    def rate(self, objective: str) -> float:
        """Peak learning rate of an objective."""
        return self.learning_rates.get(objective, self.learning_rate)

    @property
    def comparison(self) -> str:
        """Name of the recipe's controlled comparison, as it stands in the cards."""
        return self.track or f"phantom-{self.name}-v1"

    def deciding(self) -> dict[str, Any]:
        """What decides the weights, but for the rate of an objective. Keys that came later count once they are set."""
        values = self.model_dump(mode="json", by_alias=True, exclude=_NOT_DECIDING)
        if self.cnn.model == "resnet10t":
            del values["cnn"]["model"]
        return values

    @property
    def views(self) -> int:
        """Gradient views of a whole run: the same for every objective."""
        return self.steps * self.views_per_step


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(p.stem for p in FOLDER.glob("*.toml"))


def read_recipe(name_or_path: str | Path) -> Recipe:
    """A shipped recipe by name, or one from a TOML file. Raises CardError that offers the nearest name."""
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = FOLDER / f"{name_or_path}.toml"
        if str(name_or_path) not in recipe_names():
            fix = did_you_mean(str(name_or_path), recipe_names())
            raise CardError(f"unknown recipe {str(name_or_path)[:80]!r}", fix=fix)
    return Recipe.parse(read_toml(path), where=path)
