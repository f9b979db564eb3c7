"""The two sides of a comparison within an encoder: kinds, extents, protocols, or lesion strata."""

import pandas as pd

from bench.analysis.measurement import NotEnough
from bench.metrics.lesions import SIZES
from bench.metrics.names import MetricName
from bench.words import family

CONTRASTS = ["contrast=low", "contrast=middle", "contrast=high"]
_BASES = {"size": "lesion_recall", "contrast": "dice"}


def strata_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of stratified metrics with two more columns, `facet` ("size", "contrast") and `level` (0: hardest).

    Size strata are read from lesion recall, contrast strata from Dice.
    """
    names = rows["metric"].astype(str).unique()
    found = {name: parsed for name in names if (parsed := _parse(name))}
    rows = rows[rows["metric"].isin(list(found))].copy()
    metric = rows["metric"].astype(str)
    rows["facet"] = metric.map({k: v[0] for k, v in found.items()})
    rows["level"] = metric.map({k: v[1] for k, v in found.items()}).astype(int)
    return rows


def _parse(name: str) -> tuple[str, int] | None:
    metric, stratum = MetricName.read(name)
    for facet, levels in (("size", list(SIZES)), ("contrast", CONTRASTS)):
        if stratum in levels and metric == _BASES[facet]:
            return facet, levels.index(stratum)
    return None


def subtlety(rows: pd.DataFrame) -> tuple[pd.DataFrame, pd.Series]:
    """Rows of the hardest and of the easiest stratum of each task and facet, and their side ("easy", "subtle").

    A task and facet that has only one stratum is left out. Raises NotEnough when none is left.
    """
    rows = strata_rows(rows)
    if rows.empty:
        raise NotEnough("no metric by lesion size or contrast in these results")
    group = rows.groupby([rows["task"].astype(str), "facet"])["level"]
    low, high = group.transform("min"), group.transform("max")
    rows = rows[(low < high) & ((rows["level"] == low) | (rows["level"] == high))]
    if rows.empty:
        raise NotEnough("no task has more than one lesion stratum")
    low = rows.groupby([rows["task"].astype(str), "facet"])["level"].transform("min")
    return rows, (rows["level"] == low).map({True: "subtle", False: "easy"})


def split_sides(rows: pd.DataFrame, more: str, less: str | None) -> tuple[pd.DataFrame, pd.Series]:
    """Rows of the two sides and the side of each ("more", "less"); `more` may be "all", with no other side.

    A side is written "field=value" with a field of the long table (kind, extent, protocol). Raises NotEnough.
    """
    if more == "all":
        return rows, pd.Series("more", index=rows.index)
    side = pd.Series("", index=rows.index)
    for name, rule in (("more", more), ("less", less)):
        if rule is None:
            continue
        key, _, value = rule.partition("=")
        found = rows[key].astype(str)
        if key == "protocol":  # in the version that was run
            found, value = found.map(family), family(value)
        side[found == value] = name
        if not (side == name).any():
            raise NotEnough(f"no results with {key} {value}")
    rows, side = rows[side != ""], side[side != ""]
    if less is not None and more.startswith("protocol="):
        tasks = [set(rows.loc[side == s, "task"].astype(str)) for s in ("more", "less")]
        both = rows["task"].astype(str).isin(tasks[0] & tasks[1])
        rows, side = rows[both], side[both]
        if rows.empty:
            raise NotEnough("no task was run under both protocols")
    return rows, side
