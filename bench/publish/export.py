"""Every table as CSV, JSON, Parquet and LaTeX, with one documented schema."""

import gzip
import io
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bench.leaderboard.frame import csv_text
from bench.publish.model import BoardView, SiteView, SuiteView
from bench.publish.writer import Site
from bench.recipes import AGGREGATION

DECIMALS = 6
"""Of a packed CSV: far below any interval, and half the size of all digits, which stand in the Parquet."""

BOARD_COLUMNS: dict[str, str] = {
    "suite": "name of the suite",
    "board": "overall, global, dense, low-label, fine-tune",
    "rank": "rank among all encoders that are not references; empty for a reference",
    "rank_low": "lower end of the 95 % interval of the rank",
    "rank_high": "upper end of it",
    "tier": "encoders of one tier cannot be told apart from its head",
    "encoder": "name on the card",
    "version": "version on the card",
    "title": "title on the card",
    "paradigm": "contrastive, predictive, generative, hybrid, reference",
    "objective": "finer kind of objective",
    "badge": "declared, rescored, reproduced",
    "local": "whether the result is the reader's own, not submitted",
    "score": "mean normalised score of the board, 0 chance, 1 perfect, below 0 worse than a guess",
    "low": "lower end of its 95 % interval",
    "high": "upper end of it",
    "weighting_rank_low": "rank at the 2.5th percentile of random weightings of the cells",
    "weighting_rank_high": "rank at the 97.5th percentile",
    "weighting_first": "share of random weightings at which the encoder is first",
    "iqm": "interquartile mean over tasks",
    "win_rate": "share of pairwise comparisons won (diagnostic)",
    "parameters": "number of parameters",
    "flops": "forward FLOPs per image, or per volume on a board of volumes",
    "licence": "licence on the card",
    "aggregation": "version of the way from scores to the board (docs/statistics.md)",
    "data": "fingerprint of the data the row was computed from",
}
"""Columns of a board; one column `cell:<modality>/<kind>` follows for each of its cells."""
OF_ROW = ("rank", "rank_low", "rank_high", "tier", "encoder", "score", "low", "high", "iqm", "win_rate")
"""Those that `bench.leaderboard.board.BoardRow` has under the same name."""

RESULT_COLUMNS: dict[str, str] = {
    "suite": "name of the suite",
    "encoder": "name on the card",
    "task": "name on the task card",
    "protocol": "name with version",
    "budget": "label fraction '10%', shots 'k=4', labelled images 'n=16'",
    "split": "test, or test-shift (a second site)",
    "metric": "name of the metric, a stratum in brackets",
    "primary": "whether it is the primary metric of the task",
    "value": "mean over seeds",
    "low": "lower end of the 95 % interval",
    "high": "upper end of it",
    "score": "(value - chance) / (1 - chance) of the primary metric; below 0 it is worse than a guess",
    "score_low": "lower end of its 95 % interval",
    "score_high": "upper end of it",
    "seeds": "number of seeds behind the mean",
    "n_labels": "labelled training images",
    "contaminated": "yes, no, unknown: pretraining corpora against the corpus of the task",
    "address": "address of the number within the site",
}
"""Columns of results.csv: one row a number of the site."""

ANCHOR_COLUMNS: dict[str, str] = {
    "suite": "name of the suite",
    "task": "name on the task card",
    "metric": "primary metric of the task",
    "kind": "chance, floor (an answer without looking), ceiling (of a patch grid)",
    "title": "what it is",
    "value": "in the primary metric",
    "score": "(value - chance) / (1 - chance)",
}
"""Columns of anchors.csv: what scores are to be read against."""

DIAGNOSTIC_COLUMNS: dict[str, str] = {
    "suite": "name of the suite",
    "encoder": "name on the card",
    "rankme": "effective rank of the global vectors: exp of the entropy of their singular values",
    "alpha_req": "decay exponent of the spectrum of their covariance",
    "uniformity": "log mean Gaussian potential of their pairs on the unit sphere; lower is more even",
    "alignment": "mean squared distance of an image's vector to that of its mirror image, on the unit sphere",
    "token_locality": "rank correlation of the likeness of two patches with their nearness",
    "high_norm_share": "share of patches of outlying norm",
    "dse": "dense structure estimate: distance of patch clusters less spread inside, plus effective dimension",
    "pathology_contrast[...]": "likeness of lesion patches to each other less to their surroundings, by size of lesion",
}
"""Columns of diagnostics.csv: means over the dense tasks, measured without labels but for the last ones (masks)."""


def anchor_table(suite: SuiteView) -> pd.DataFrame:
    """The anchors of a suite's tasks with the columns of ANCHOR_COLUMNS."""
    rows = [
        {"suite": suite.name, "task": name, "metric": t.task.metric, **a.model_dump()}
        for name, t in suite.tasks.items() for a in t.anchors
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(ANCHOR_COLUMNS))


def diagnostics_table(suite: SuiteView) -> pd.DataFrame | None:
    """The label-free diagnostics of a suite's encoders with the columns of DIAGNOSTIC_COLUMNS, where there are any."""
    if suite.diagnostics is None:
        return None
    table = suite.diagnostics.rename_axis("encoder").reset_index()
    table.insert(0, "suite", suite.name)
    return table


def board_table(view: SiteView, suite: SuiteView, board: BoardView) -> pd.DataFrame:
    """A board as a table with the columns of BOARD_COLUMNS and one for each cell."""
    rows = []
    for row, cells in zip(board.rows, board.points, strict=True):
        e = view.encoders[row.encoder]
        rows.append(
            {
                "suite": suite.name,
                "board": board.name,
                **{name: getattr(row, name) for name in OF_ROW},
                **{name: getattr(e.card, name) for name in ("version", "paradigm", "objective", "licence")},
                **{name: getattr(e, name) for name in ("title", "badge", "local", "parameters")},
                "weighting_rank_low": row.weight_low,
                "weighting_rank_high": row.weight_high,
                "weighting_first": row.weight_first,
                "flops": board.flops(e),
                "aggregation": AGGREGATION,
                "data": view.fingerprint,
                **{f"cell:{c.key}": v for c, v in zip(board.columns, cells, strict=True)},
            }
        )
    frame = pd.DataFrame(rows, columns=[*BOARD_COLUMNS, *(f"cell:{c.key}" for c in board.columns)])
    whole = ["rank", "rank_low", "rank_high", "tier", "weighting_rank_low", "weighting_rank_high", "flops"]
    return frame.astype(dict.fromkeys(whole, "Int64"))


def write_table(site: Site, stem: str, frame: pd.DataFrame, *, latex: bool = False, packed: bool = False) -> None:
    """`stem`.csv, .json and .parquet (and .tex): full precision, the same bytes for the same table.

    packed: a table of many rows, as .csv.gz (rounded to DECIMALS) and .parquet alone.
    """
    if packed:
        site.file(f"{stem}.csv.gz", gzip.compress(csv_text(frame.round(DECIMALS)).encode(), 6, mtime=0))
    else:
        site.file(f"{stem}.csv", csv_text(frame))
        site.file(f"{stem}.json", frame.to_json(orient="records", double_precision=15, force_ascii=False))
    site.file(f"{stem}.parquet", parquet(frame))
    if latex:
        site.file(f"{stem}.tex", board_latex(frame))


def parquet(frame: pd.DataFrame) -> bytes:
    """The table as Parquet without pandas' own metadata (it names library versions)."""
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    buffer = io.BytesIO()
    # The bytes of floating-point numbers pack better apart.
    split = [f.name for f in table.schema if pa.types.is_floating(f.type)]
    words = [f.name for f in table.schema if f.name not in split]
    pq.write_table(table, buffer, compression="zstd", use_dictionary=words, use_byte_stream_split=split)
    return buffer.getvalue()


def board_latex(frame: pd.DataFrame) -> str:
    """A board as a booktabs table: rank with interval, encoder, score with interval, tier."""
    lines = [
        r"% needs \usepackage{booktabs}",
        f"% data fingerprint {frame['data'].iloc[0] if len(frame) else ''}",
        r"\begin{tabular}{rlllr}",
        r"\toprule",
        r"Rank & Encoder & Paradigm & Score [95\,\% interval] & Tier \\",
        r"\midrule",
    ]
    for r in frame.to_dict("records"):
        rank = "--" if pd.isna(r["rank"]) else f"{r['rank']} [{r['rank_low']}, {r['rank_high']}]"
        score = f"{r['score']:z.3f}" + ("" if pd.isna(r["low"]) else f" [{r['low']:z.3f}, {r['high']:z.3f}]")
        tier = "--" if pd.isna(r["tier"]) else r["tier"]
        lines.append(rf"{rank} & {tex(r['title'])} & {tex(r['paradigm'])} & {score} & {tier} \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


_TEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{c: rf"\{c}" for c in "&%$#_{}"},
}


def tex(text: Any) -> str:
    r"""Text made harmless for LaTeX.

    >>> print(tex(r"50% \input{x}_1"))
    50\% \textbackslash{}input\{x\}\_1
    """
    return "".join(_TEX.get(c, c) for c in str(text) if c.isprintable())
