"""Score against cost: one page a suite."""

from bench.publish.charts import cost_chart
from bench.publish.model import BoardView, Estimate, SiteView, SuiteView
from bench.publish.writer import Page, Site
from bench.words import PARADIGM_TITLES


def write(site: Site) -> None:
    """A chart for each cost, and who is on the front: nobody cheaper scores higher."""
    for suite in site.view.suites:
        if not suite.boards:
            continue
        board = suite.boards[0]
        rows = _rows(site.view, board)
        costs = {"parameters": "Parameters", "flops": f"FLOPs per {'volume' if board.volumes else 'image'}"}
        charts = [
            (title, cost_chart(rows, front(rows, key), x=key, x_title=title, score_title=f"{board.title} score"))
            for key, title in costs.items()
            if len({r[key] for r in rows if r[key]}) > 1
        ]
        known = next((key for key in ("flops", "parameters") if all(r[key] for r in rows)), "parameters")
        site.page(
            address(suite), "pages/cost.html", suite=suite, board=board, charts=charts, rows=rows,
            front=front(rows, known), by=costs[known], flops=costs["flops"],
        )  # fmt: skip


def address(suite: SuiteView) -> str:
    """Address of a suite's cost page."""
    return f"boards/{suite.name}/cost.html"


def _rows(view: SiteView, board: BoardView) -> list[dict]:
    rows = []
    for row in board.rows:
        e, score = view.encoders[row.encoder], Estimate.of(row)
        rows.append({
            "encoder": row.encoder, "title": e.title, "paradigm": PARADIGM_TITLES[e.card.paradigm],
            "word": e.card.paradigm, "score": score.value, "low": score.low, "high": score.high,
            "parameters": e.parameters, "flops": board.flops(e), "seconds": e.seconds, "memory": e.peak_memory_mb,
        })  # fmt: skip
    return rows


def front(rows: list[dict], cost: str) -> set[str]:
    """Encoders of a known cost that no other beats at a lower or the same one."""
    known = sorted((r[cost], -r["score"], r["encoder"]) for r in rows if r[cost] and r["score"] == r["score"])
    best = float("-inf")
    found: set[str] = set()
    for _, negative, encoder in known:
        if -negative > best:
            best, found = -negative, {*found, encoder}
    return found


PAGE = Page("cost", write)
