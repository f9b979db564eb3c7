"""What each board is made of."""

from collections.abc import Mapping
from dataclasses import dataclass

from bench.budget import FULL, Budget
from bench.words import Kind, family

AGGREGATION = 2
"""Version of the way from scores to a board. 2: scores below chance count as they are; 1 counted them as 0."""


@dataclass(frozen=True, slots=True)
class BoardRecipe:
    """A board's ingredients. `protocols` says, for each kind of task, which family of protocols counts.

    A suite runs one version of a family, and a board is of one suite: versions never mix.
    """

    name: str
    protocols: Mapping[Kind, str]
    budgets: tuple[Budget, ...]
    definition: str
    every_kind: bool = False
    """Whether it is made only for suites that have tasks of every kind."""

    @property
    def slug(self) -> str:
        """As a part of a file name or an address."""
        return self.name.lower()

    @property
    def frozen(self) -> bool:
        """Whether it is made of the probes on frozen features alone."""
        return self.protocols.items() <= FROZEN.items()


# One protocol a kind, so that a score answers one question; kNN and retrieval stand beside it on the pages.
FROZEN: dict[Kind, str] = {"global": "linear", "dense": "dense-linear"}
LOW_BUDGETS = Budget("1%"), Budget("5%"), Budget("10%")

RECIPES: tuple[BoardRecipe, ...] = (
    BoardRecipe("Overall", FROZEN, (FULL,), "Mean of Global and Dense.", every_kind=True),
    BoardRecipe(
        "Global", {"global": FROZEN["global"]}, (FULL,), "Linear probe on the frozen global vector, all labels."
    ),
    BoardRecipe("Dense", {"dense": FROZEN["dense"]}, (FULL,), "Linear probe on the frozen patch grid, all labels."),
    BoardRecipe(
        "Low-label", FROZEN, LOW_BUDGETS,
        "As Overall, with 1, 5 and 10 % of the labels: a task's score is the mean over the three.",
    ),
    BoardRecipe(
        "Volumes", {"dense": "dense-volume"}, (FULL,), "Linear probe on the frozen grid of volumes, all labels."
    ),
    BoardRecipe("Numbers", {"global": "ridge"}, (FULL,), "Ridge probe on the frozen global vector, all labels: R²."),
    BoardRecipe("Survival", {"global": "cox"}, (FULL,), "Cox probe on the frozen global vector, all labels: C index."),
    BoardRecipe("Fine-tune", {"global": "fine-tune"}, (FULL,), "The whole encoder is trained, all labels."),
)  # fmt: skip


def feeds_board(protocol: str, budget: Budget) -> bool:
    """Whether a unit counts on any board: of these a compact submission keeps what the primary metric reads."""
    return any(family(protocol) in r.protocols.values() and budget in r.budgets for r in RECIPES)


def feeds_full_board(protocol: str, budget: Budget) -> bool:
    """Whether a unit counts on a board that uses all labels: what a compact submission keeps predictions of."""
    return budget == FULL and any(family(protocol) in r.protocols.values() for r in RECIPES if FULL in r.budgets)
