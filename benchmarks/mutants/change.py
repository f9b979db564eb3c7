"""The mutants of a module: its syntax tree with one operator, constant, comparison or function exchanged."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import CodeType

COMPARISONS = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.Pow: ast.Mult,
    ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd, ast.And: ast.Or,
    ast.Or: ast.And,
}  # fmt: skip
NAMES = {
    a: b for one, two in [
        ("min", "max"), ("any", "all"), ("argmin", "argmax"), ("minimum", "maximum"), ("floor", "ceil"),
        ("sum", "prod"), ("nanmin", "nanmax"), ("zeros", "ones"), ("first", "last"), ("mean", "median"),
        ("nanmean", "nanmedian"),
    ] for a, b in ((one, two), (two, one))
}  # fmt: skip
SILENT = {"strict", "slots", "frozen", "repr", "compare", "copy", "optimize", "observed"}
"""Keywords whose value no result depends on."""


@dataclass(frozen=True)
class Mutant:
    """One changed module. function: where, "" at the level of the module; `what` names the change."""

    module: str
    function: str
    line: int
    what: str
    code: CodeType

    @property
    def key(self) -> tuple[str, str, str]:
        """Names it whatever line it stands on."""
        return self.module, self.function, self.what


def mutants(module: str, source: str, filename: str) -> Iterator[Mutant]:
    """Every mutant of a module. filename: as tracebacks have it."""
    tree = ast.parse(source)
    seen: dict[tuple[str, str], int] = {}
    for function, node in _places(tree):
        for change, undo in _changes(node):
            before = ast.unparse(node)
            change()
            what = f"{_short(before)} -> {_short(ast.unparse(node))}"
            count = seen[function, what] = seen.get((function, what), 0) + 1
            what += f" ({count})" if count > 1 else ""
            yield Mutant(module, function, node.lineno, what, compile(tree, filename, "exec"))
            undo()


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 60 else f"{text[:40]} ... {text[-15:]}"


def _places(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Every expression that decides a result, with the function it stands in; no annotation, message or decorator."""

    def walk(node: ast.AST, names: tuple[str, ...], inside: str) -> Iterator[tuple[str, ast.expr]]:
        outside = inside
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            names = (*names, node.name)
            if isinstance(node, ast.FunctionDef):
                inside = inside or ".".join(names)
        if isinstance(node, ast.expr):
            yield inside, node
        for field, value in ast.iter_fields(node):
            if field in ("annotation", "returns", "decorator_list", "exc", "msg", "type_comment"):
                continue
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and not _silent(child):
                    # Defaults of arguments are made where the function is, not in it.
                    yield from walk(child, names, outside if isinstance(child, ast.arguments) else inside)

    yield from walk(tree, (), "")


def _silent(node: ast.AST) -> bool:
    """Docstrings, messages, typing, and keywords that change no result."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    if isinstance(node, ast.keyword):
        return node.arg in SILENT
    if isinstance(node, ast.Assign):
        return ast.unparse(node.targets[0]) == "__all__"
    return isinstance(node, ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Raise)


def _changes(node: ast.expr) -> Iterator[tuple[Callable[[], None], Callable[[], None]]]:
    """(do, undo) of each change of one node."""
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            yield _swap(node.ops, i, COMPARISONS[type(op)]())
    elif isinstance(node, ast.BinOp | ast.BoolOp) and (new := OPERATORS.get(type(node.op))) and not _is_text(node):
        yield _set(node, "op", new())
    elif isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.USub):
            yield _set(node, "op", ast.UAdd())
        elif isinstance(node.op, ast.Not):
            inner = node.operand
            yield _set(node, "operand", ast.copy_location(ast.UnaryOp(ast.Not(), inner), inner))
    elif isinstance(node, ast.Constant):
        if isinstance(node.value, bool):
            yield _set(node, "value", not node.value)
        elif isinstance(node.value, int):
            yield _set(node, "value", node.value + 1)
        elif isinstance(node.value, float):
            yield _set(node, "value", node.value * 1.05 if node.value else 1.0)
        elif isinstance(node.value, str):
            yield _set(node, "value", "~" + node.value)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in NAMES:
        if node.id in ("min", "max", "any", "all"):  # others may be anybody's
            yield _set(node, "id", NAMES[node.id])
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and node.attr in NAMES:
        yield _set(node, "attr", NAMES[node.attr])


def _is_text(node: ast.BinOp | ast.BoolOp) -> bool:
    parts = [node.left, node.right] if isinstance(node, ast.BinOp) else []
    return any(isinstance(p, ast.JoinedStr) or isinstance(getattr(p, "value", None), str) for p in parts)


def _set(node: ast.AST, field: str, new: object) -> tuple[Callable[[], None], Callable[[], None]]:
    old = getattr(node, field)
    return lambda: setattr(node, field, new), lambda: setattr(node, field, old)


def _swap(items: list, i: int, new: object) -> tuple[Callable[[], None], Callable[[], None]]:
    old = items[i]
    return lambda: items.__setitem__(i, new), lambda: items.__setitem__(i, old)
