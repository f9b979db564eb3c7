"""Evidence behind the numbers of linear-v2, dense-linear-v2, dense-retrieval-v2 and the temperature, on public files.

    python benchmarks/choices.py --cache FOLDER [--images FOLDER] [clip strength temperature dense empty]

Files are read from MEDSSL_REAL_DATA and from --images; where one is absent its rows are. Features are computed once
and kept in --cache. Each table says which cells were seen when the rule was made and which were not.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from choices_data import REAL, Cell, Store, units
from choices_dense import dense, empty
from solver_data import table

from bench.data.budgets import Subset
from bench.metrics import calibration
from bench.protocols import _logistic, knn, linear, linear_v1
from bench.protocols._select import link, one_hot, primary, probabilities
from bench.protocols.base import Prediction, Problem, Protocol

SCALES = ("none", "clip 5", "clip 10", "floor .3")
SEEN = [(s, e) for s in ("brainmri", "breastus", "cxrpneumonia", "octdme", "oralhist", "pocuslung") for e in
        ("lite0", "raw", "mae")]  # fmt: skip
NEW = [(s, e) for s in ("ph2", "rbc") for e in ("lite0", "raw", "hist", "mae", "simclr")]
NEW += [("cxrpneumonia", e) for e in ("cnnrand", "cnnsimclr", "vitrand")]
CLIPPED = [(s, e) for s in ("brainmri", "breastus", "octdme") for e in ("lite0", "mae", "raw")]
SCALED = [(s, e) for s in ("brainmri", "breastus", "cxrpneumonia", "lunanodule") for e in ("lite0", "raw")]
SCALED_NEW = [(s, e) for s in ("octdme", "oralhist", "pocuslung", "rbc") for e in ("lite0", "raw")]


class Scale(linear.Standard):
    """`linear.Standard`, or with no spread below a share of the median spread."""

    def __init__(self, x: np.ndarray, how: str) -> None:
        super().__init__(x, float(how[5:]) if how.startswith("clip") else None)
        if how.startswith("floor"):
            spread = 1 / self.scale[self.scale > 0]
            self.scale[self.scale > 0] = 1 / np.maximum(spread, float(how[6:]) * np.median(spread))


Curve = tuple[np.ndarray, np.ndarray]
"""AUROC of a unit at each C: of the held-out folds (f, 12), and on test (12,), refitted as the protocol does."""


def curves(store: Store, cell: Cell, budget: str, how: str) -> list[Curve]:
    """The curve of each unit."""

    def make() -> list[np.ndarray]:
        found = store.problem("global", cell)
        return [part for s in units(found[0], budget) for part in _curve(*found, s, how)] if found else []

    flat = store.kept(f"curves-{'-'.join(cell)}-{how}-{budget}", make)
    return list(zip(flat[::2], flat[1::2], strict=True))


def _curve(given: Problem, truth: np.ndarray, subset: Subset, how: str) -> Curve:
    task, train, grid = given.task, given.train, linear.DECADES
    x, labels = train.features.pooled[subset.rows], train.labels[subset.rows]
    scale = Scale(x, how)
    if subset.full:
        x, labels = np.concatenate([x, given.val.features.pooled]), np.concatenate([labels, given.val.labels])
        held = (np.arange(len(x)) >= len(subset.rows))[None]
    else:
        groups = None if train.groups is None else train.groups[subset.rows]
        held = linear.held_out(one_hot(task, labels), groups, subset.seed)
    y, z = one_hot(task, labels), scale(x)
    rows = np.concatenate([~held, np.ones((1, len(x)), bool)]).astype(float)
    fit = _logistic.Design(z, y, link(task)).fit(grid * len(rows), np.repeat(rows, len(grid), 0), tolerance=1e-7)
    parts = [fit.part(slice(i * len(grid), (i + 1) * len(grid))) for i in range(len(rows))]

    def auroc(part: _logistic.LogisticFit, z: np.ndarray, y: np.ndarray) -> np.ndarray:
        return primary(task, probabilities(task, part.logits(z)), y)

    folds = np.array([auroc(part, z[h], y[h]) for part, h in zip(parts[:-1], held, strict=True)]).reshape(-1, len(grid))
    return folds, auroc(parts[-1], scale(given.tests["test"].features.pooled), one_hot(task, truth))


def by(protocol: linear.Linear, curve: Curve) -> float:
    """Test AUROC at the C that a protocol takes."""
    folds, test = curve
    folds = folds[~np.isnan(folds).any(1)]
    return test[protocol._pick(folds)[0]] if len(folds) else test[linear.DECADES.index(protocol.untuned)]


def clip(store: Store) -> None:
    rows = []
    for cell in CLIPPED:
        for budget in ("10%", "100%"):
            if (cell[1], budget) == ("raw", "100%"):  # minutes of solving for a column that the others tell
                continue
            found = [[by(linear.PROTOCOL, c) for c in curves(store, cell, budget, how)] for how in SCALES]
            if found[0]:
                rows.append([*cell, budget, *(f"{np.mean(v):.4f}" for v in found)])
    table(
        "Test AUROC of the linear probe by the scaling of its features",
        f"set | encoder | labels | {' | '.join(SCALES)}",
        rows,
    )


TENTH = linear.DECADES.index(0.1)
RULES: dict[str, Callable[[Curve], float]] = {
    "best mean over folds (linear-v1)": lambda c: by(linear_v1.PROTOCOL, c),
    "nearest to .01 within one standard error (linear-v2)": lambda c: by(linear.PROTOCOL, c),
    "C = .01": lambda c: c[1][TENTH - 1],
    "C = .1": lambda c: c[1][TENTH],
}
BEST = "best C on test (no rule can)"


def strength(store: Store) -> None:
    """Rules for C at 10 % of the labels beside C = .1: on cells seen, on cells not seen, and by halves of all sets."""
    seen = {cell: c for cell in SEEN if (c := curves(store, cell, "10%", "clip 10"))}
    new = {cell: c for cell in NEW if (c := curves(store, cell, "10%", "clip 10"))}
    for name, found in (("cells seen when the rule was made", seen), ("cells not seen", new)):
        if not found:
            continue
        fixed = np.mean([np.mean([RULES["C = .1"](u) for u in c]) for c in found.values()])
        rows = []
        for rule in (*list(RULES)[:-1], BEST):
            d = np.array(list(gains(found, rule).values()))
            rows.append([rule, f"{(d > 1e-9).sum()}-{(d < -1e-9).sum()}", f"{d.mean():+.4f}", f"{d.min():+.4f}"])
        title = f"C at 10 % beside C = .1 (mean AUROC {fixed:.4f}), {len(found)} {name}: {said(found)}"
        table(title, "rule | wins-losses | mean difference | worst cell", rows)
    halves(seen | new)


def gains(found: dict[Cell, list[Curve]], rule: str) -> dict[Cell, float]:
    """What a rule gains over C = .1 in each cell, mean over its units."""
    choose = RULES.get(rule, lambda c: np.nanmax(c[1]))
    return {cell: float(np.mean([choose(u) - u[1][TENTH] for u in c])) for cell, c in found.items()}


def halves(found: dict[Cell, list[Curve]]) -> None:
    """The rule that gains most on half of the sets, and what it gains on the other half, for every halving."""
    sets = sorted({s for s, _ in found})
    gained = {rule: gains(found, rule) for rule in RULES}

    def mean(rule: str, among: tuple[str, ...]) -> float:
        return float(np.mean([g for (s, _), g in gained[rule].items() if s in among]))

    kept: dict[str, list[float]] = {rule: [] for rule in RULES}
    for half in combinations(sets, len(sets) // 2):
        best = max(RULES, key=lambda rule: mean(rule, half))
        kept[best].append(mean(best, tuple(s for s in sets if s not in half)))
    rows = [[rule, str(len(k)), f"{np.mean(k):+.4f}" if k else "-", f"{mean(rule, tuple(sets)):+.4f}"]
            for rule, k in kept.items()]  # fmt: skip
    everywhere = np.mean([x for k in kept.values() for x in k])
    title = (
        f"C at 10 %: the rule chosen on half of the {len(sets)} sets gains {everywhere:+.4f} over C = .1 on the others"
    )
    table(title, "rule | chosen in halvings | gain on the other half | gain on all sets", rows)


def said(cells: dict[Cell, object]) -> str:
    """ "a (x, y), b (x)"."""
    return ", ".join(f"{s} ({', '.join(e for t, e in cells if t == s)})" for s in dict.fromkeys(s for s, _ in cells))


def temperature(store: Store) -> None:
    """Calibration error without a temperature, with one always, and by the rule."""
    head = "protocol | labels | units | none | always | rule | worse by > .01: always, rule | most: always, rule"
    for name, cells in (("cells seen when the rule was made", SCALED), ("cells not seen", SCALED_NEW)):
        rows = []
        for protocol, budget in ((linear.PROTOCOL, "10%"), (linear.PROTOCOL, "100%"), (knn.PROTOCOL, "100%")):
            used = [c for c in cells if protocol is knn.PROTOCOL or c[1] != "raw"]
            if not (found := [v for c in used for v in errors(store, c, protocol, budget)]):
                continue
            e = np.stack(found)
            by = e[:, 1:] - e[:, :1]
            worse, most = (by > 0.01).sum(0), by.max(0)
            told = (*(f"{m:.3f}" for m in e.mean(0)), f"{worse[0]}, {worse[1]}", f"{most[0]:+.3f}, {most[1]:+.3f}")
            rows.append([protocol.name, budget, str(len(e)), *told])
        if rows:
            table(f"Calibration error by temperature, {name}: {said(dict.fromkeys(cells))}", head, rows)


def errors(store: Store, cell: Cell, protocol: Protocol, budget: str) -> list[np.ndarray]:
    """Calibration error of each unit without a temperature, with one always, and by the rule, (3,) each."""

    def both(task: object, p: np.ndarray, y: np.ndarray) -> dict[str, float]:
        with patch.object(calibration, "SURE", -1e9):
            always = calibration.fit_temperature(p, y)
        return {"always": always, "temperature": calibration.fit_temperature(p, y)}

    def make() -> list[np.ndarray]:
        if (found := store.problem("global", cell)) is None:
            return []
        with patch.object(linear, "calibrated", both), patch.object(knn, "calibrated", both):
            done = list(protocol.predict(found[0], units(found[0], budget)))
        return [scaled_errors(d, found[1]) for d in done if "always" in d.chosen]

    return store.kept(f"errors-{'-'.join(cell)}-{protocol.name}-{budget}", make)


def scaled_errors(done: Prediction, truth: np.ndarray) -> np.ndarray:
    """The corrected calibration error at the temperatures 1, always and by the rule."""
    used = (1.0, done.chosen["always"], done.chosen["temperature"])
    scaled = [calibration.apply_temperature(done.outputs["test"], t) for t in used]
    ones = np.ones((1, len(truth)))
    return np.array([calibration.corrected_calibration_error(truth, p, ones)[0] for p in scaled])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = {"clip": clip, "strength": strength, "temperature": temperature, "dense": dense, "empty": empty}
    parser.add_argument("parts", nargs="*", default=list(parts), metavar="part", help=", ".join(parts))
    parser.add_argument("--cache", type=Path, required=True, help="folder that keeps the features")
    parser.add_argument("--images", type=Path, default=REAL, help="folder of further files, NAME.npz")
    args = parser.parse_args()
    if wrong := set(args.parts) - set(parts):
        parser.error(f"no part {', '.join(sorted(wrong))}: {', '.join(parts)}")
    torch.set_num_threads(1)
    store = Store(args.cache, [REAL, args.images])
    for part in args.parts:
        parts[part](store)


if __name__ == "__main__":
    main()
