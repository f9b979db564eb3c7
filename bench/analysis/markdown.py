"""What `analyse` found, as Markdown tables for a page."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from bench.analysis.verdict import signed
from bench.markers import table


def tables(found: Mapping[str, Any]) -> dict[str, str]:
    """Name -> Markdown table (or a line that says what is missing) of every part of a report."""
    return {name: draw(found) for name, draw in _TABLES.items()}


def _verdicts(found: Mapping[str, Any]) -> str:
    rows = [
        [
            v["id"],
            v["title"],
            v["verdict"],
            _effect(v),
            v["measured_in"],
            _number(v["p_holm"], ".3f"),
            v["n_encoders"],
            v["n_tasks"],
        ]
        for verdict in found["verdicts"]
        for v in _halves(verdict)
    ]
    head = ["claim", "", "verdict", "effect [95 %]", "in", "p, corrected", "encoders", "data sets"]
    return _table(head, rows, right=(3, 5, 6, 7))


def _halves(verdict: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The verdict, or where it has parts a row for each below one without numbers."""
    if not verdict["parts"]:
        return [verdict]
    whole = {**verdict, "effect": None, "n_encoders": "", "n_tasks": "", "measured_in": ""}
    return [whole, *({**verdict, **part, "id": "", "title": part["name"], "verdict": "", "p_holm": None,
                      "n_encoders": sum(part["groups"].values())} for part in verdict["parts"])]  # fmt: skip


def _sensitivity(found: Mapping[str, Any]) -> str:
    rows = [
        [
            v["id"],
            f"{s['choice']}{': ' * bool(s['part'])}{s['part']}",
            _effect(s),
            _number(s["p"], ".3f"),
            s["n_encoders"],
            s["note"],
        ]
        for v in found["verdicts"]
        if v["family"] == "confirmatory"
        for s in v["sensitivity"]
    ]
    return _table(["claim", "under another choice", "effect [95 %]", "p", "encoders", ""], rows, right=(2, 3, 4))


def _variance(found: Mapping[str, Any]) -> str:
    rows = []
    for board, shares in found["variance"].items():
        if "missing" in shares:
            rows.append([board, shares["missing"], "", "", "", "", ""])
            continue
        names = ("encoder", "task", "rest", "noise", "paradigm_of_encoder", "paradigm_of_rest")
        rows.append([board, *(_number(shares[name], ".0%") for name in names)])
    head = ["board", "encoder", "task", "encoder x task", "of which noise", "encoder by paradigm", "x task by paradigm"]
    return _table(head, rows, right=range(1, 7))


def _concordance(found: Mapping[str, Any]) -> str:
    rows = [
        [board, where, _number(w, ".2f")]
        for board, found_w in found["concordance"].items()
        for where, w in found_w.items()
        if where != "missing"
    ]
    return _table(["board", "tasks of", "Kendall's W"], rows, right=(2,))


def _label_efficiency(found: Mapping[str, Any]) -> str:
    if "missing" in found["label_efficiency"]:
        return f"Not computed: {found['label_efficiency']['missing']}."
    rows = sorted(found["label_efficiency"], key=lambda row: -(row["alc"] or 0))
    head = ["encoder", "mean over the learning curve", "labels saved, times", "tasks crossed", "never reached"]
    cells = [
        [
            r["encoder"],
            _number(r["alc"], ".1f"),
            _number(r["savings"], ".2f"),
            f"{r['crossed']} of {r['tasks']}",
            r["never"],
        ]
        for r in rows
    ]
    return _table(head, cells, right=range(1, 5))


def _regret(found: Mapping[str, Any]) -> str:
    rows = found["advisor_regret"]
    return f"Not computed: {rows['missing']}." if "missing" in rows else regret(rows)


def regret(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table of regrets (`bench.analysis.regret.Regret` as mappings)."""
    cells = [
        [
            r["policy"],
            _number(r["mean"], ".2f"),
            f"{_number(r['low'], '.2f')} to {_number(r['high'], '.2f')}",
            r["n_tasks"],
        ]
        for r in rows
    ]
    return _table(["policy", "mean regret, points", "95 % interval", "tasks"], cells, right=(1, 2, 3))


def _foretelling(found: Mapping[str, Any]) -> str:
    rows = [
        [r["diagnostic"], r["board"], f"{'-' if r['tau'] is None else signed(r['tau'])} {_bracket(r)}", r["n"]]
        for r in found.get("foretelling", [])
    ]
    return _table(["diagnostic", "board", "Kendall's tau [95 %]", "encoders"], rows, right=(2, 3))


_TABLES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "verdicts": _verdicts,
    "sensitivity": _sensitivity,
    "variance": _variance,
    "concordance": _concordance,
    "label-efficiency": _label_efficiency,
    "regret": _regret,
    "foretelling": _foretelling,
}


def _effect(row: Mapping[str, Any]) -> str:
    return "-" if row["effect"] is None else f"{signed(row['effect'])} {_bracket(row)}".strip()


def _bracket(row: Mapping[str, Any]) -> str:
    return "" if row["low"] is None or row["high"] is None else f"[{signed(row['low'])}, {signed(row['high'])}]"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else f"{value:{form}}"


def _table(head: list[str], rows: list[list[Any]], right: Collection[int] = ()) -> str:
    return table(head, rows, right=right) if rows else "Nothing to show with these results."
