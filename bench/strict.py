"""Strict, frozen schemas for cards and records, and bounded TOML reading.

An unknown key is an error that names the key and the nearest valid one.
"""

import difflib
import json
import re
import tomllib
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    StringConstraints,
    ValidationError,
    model_serializer,
)  # fmt: skip

from bench.errors import CardError, SubmissionError

MAX_CARD_BYTES = 256 * 1024
MAX_NESTING = 32
MAX_PROBLEMS = 20
"""How many problems of one file a message lists: a stranger's file may have thousands."""

_PART = r"""(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+"""
_DEEP_KEY = re.compile(rf"(?<![\w-])(?:{_PART}\.[ \t]*+){{{MAX_NESTING}}}")
"""A key of so many parts: one of 60,000, which a card has room for, keeps the parser busy for many minutes."""

NAME = r"^[a-z0-9][a-z0-9._-]{0,63}$"
SHA256 = r"^[0-9a-f]{64}$"
SPOKEN = {
    NAME: "a name of lower-case letters, digits, '.', '_' and '-', at most 64 of them",
    SHA256: "a SHA-256 (64 lower-case hexadecimal digits)",
}
"""What the patterns of the schemas mean."""

COUNTABLE = 1e15
"""No size, count or setting of an encoder is beyond it."""
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})
"""Unicode categories of what prints as nothing, or turns and hides what stands beside it."""
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
"""Letters and marks that print as nothing."""
MAX_MARKS = 4
"""Marks on one letter: no script has more, and many of them cover the lines above and below."""


def plain(text: str) -> str:
    """`text`, where all of it can be seen (line breaks and tabs may stand in it). Raises ValueError naming what cannot.

    Control characters act on terminals; marks of direction and of no width make text read as what it is not.
    """
    if text.isascii() and text.isprintable():  # the fast way
        return text
    if unseen := next(filter(_is_unseen, text), None):
        raise ValueError(f"holds the invisible character U+{ord(unseen):04X}")
    marks = 0
    for character in text:
        marks = marks + 1 if unicodedata.combining(character) else 0
        if marks > MAX_MARKS:
            raise ValueError(f"holds more than {MAX_MARKS} marks on one letter")
    return text


def _is_unseen(character: str) -> bool:
    """Whether it prints as nothing, acts on what stands beside it, or is none (U+FFFF: XML may not hold it)."""
    if character in "\n\t":
        return False
    none = ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
    return none or character in _BLANK or unicodedata.category(character) in _UNSEEN


def made_plain(text: str) -> str:
    """`text` with a "?" for each character that cannot be seen: for messages that are kept as they came."""
    if text.isascii() and text.isprintable():
        return text
    return "".join("?" if _is_unseen(c) else c for c in text)


def one_line(text: str) -> str:
    """`plain` text without line breaks and tabs, and with something to be seen in it. Raises ValueError."""
    if text.isascii() and text.isprintable() and text.strip():  # the fast way: records hold many short lines
        return text
    if any(c in "\n\t" for c in text):
        raise ValueError("holds a line break or a tab")
    if not any(unicodedata.category(c)[0] in "LNPS" for c in plain(text)):
        raise ValueError("holds nothing that can be seen")
    return text


def named(text: str) -> str:
    """`text`, where it is a name as `Name` has it. Raises ValueError."""
    if not re.fullmatch(NAME, text):
        raise ValueError(f"expected {SPOKEN[NAME]}")
    return text


def plain_values(values: dict[str, Any]) -> dict[str, Any]:
    """Values as read from TOML or JSON whose every text is `plain` and every number can be counted with.

    Raises ValueError.
    """
    left: list[Any] = [values]
    while left:
        value = left.pop()
        if isinstance(value, dict | list):
            left += [*value, *value.values()] if isinstance(value, dict) else value
        elif isinstance(value, str):
            plain(value)
        elif isinstance(value, int | float) and not abs(value) <= COUNTABLE:
            raise ValueError(f"holds a number beyond {COUNTABLE:.0e}")
    return values


class Strict(BaseModel):
    """Base of every schema: frozen, no unknown keys, no silent coercion of types, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    @classmethod
    def parse(cls, values: Any, *, where: object) -> Self:
        """Validate `values` (as read from TOML or JSON) or raise CardError listing its problems, at most 20."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            found = [_explain(cls, e) for e in error.errors()[:MAX_PROBLEMS]]
            if error.error_count() > MAX_PROBLEMS:
                found.append(f"and {error.error_count() - MAX_PROBLEMS:,} more")
            raise CardError("; ".join(found), where=where) from None


class Grown(Strict):
    """A schema whose keys of `later` are written only where they are set: what is older keeps its bytes and hashes."""

    later: ClassVar[frozenset[str]] = frozenset()

    @model_serializer(mode="wrap")
    def _as_before(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {key: value for key, value in write(self).items() if key not in self.later or getattr(self, key)}


def unaccented(text: str) -> str:
    """The letters a name may hold that are nearest: lower case, without accents; letters of other scripts are gone.

    >>> unaccented("Köln, Straße 3"), unaccented("肺")
    ('koln, strasse 3', '')
    """
    return unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of at most 256 KiB and nesting of at most 32. Raises CardError."""
    try:
        size = path.stat().st_size
        if size > MAX_CARD_BYTES:
            raise CardError(f"is {size:,} bytes, over the limit of {MAX_CARD_BYTES:,}", where=path)
        text = path.read_text(encoding="utf-8-sig")  # Notepad puts a byte-order mark before it
    except FileNotFoundError:
        raise CardError("no such file", where=path) from None
    except IsADirectoryError:
        raise CardError("is a folder, expected a TOML file", where=path) from None
    except UnicodeDecodeError as error:
        raise CardError(f"is not UTF-8 text (byte {error.start})", where=path) from None
    except OSError as error:
        raise CardError(f"cannot be read: {error.strerror}", where=path) from None
    if not text.strip():
        raise CardError("is empty, expected a card in TOML", where=path)
    return parse_toml(text, where=path)


def parse_toml(text: str, *, where: object) -> dict[str, Any]:
    """Parse TOML text; nesting deeper than 32 is refused. Raises CardError."""
    try:
        values = None if _DEEP_KEY.search(text) else tomllib.loads(text)
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise CardError(f"is not valid TOML: {error}", where=where) from None
    except RecursionError:
        values = None
    if values is None or _deeper_than(values, MAX_NESTING):
        raise CardError(f"is nested deeper than {MAX_NESTING} levels", where=where)
    return values


def parse_json(text: str, *, where: object) -> Any:
    """Parse JSON text; a key that is given twice, NaN and infinity are refused. Raises SubmissionError."""
    try:
        return _JSON.decode(text)
    except (ValueError, RecursionError) as error:
        raise SubmissionError(f"is not valid JSON: {str(error)[:200]}", where=where) from None


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is not a number a record may hold")


def _no_key_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"key {twice[:60]!r} is given twice")
    return found


_JSON = json.JSONDecoder(parse_constant=_no_number, object_pairs_hook=_no_key_twice)


def _deeper_than(value: Any, limit: int) -> bool:
    """Whether tables and arrays nest deeper than `limit`, found level by level, without recursion."""
    level = [value]
    for _ in range(limit):
        level = [inner for v in level if isinstance(v, dict | list) for inner in _inside(v)]
        if not level:
            return False
    return any(isinstance(v, dict | list) for v in level)


def _inside(value: dict | list) -> Any:
    return value.values() if isinstance(value, dict) else value


def nearest(word: str, choices: list[str] | tuple[str, ...]) -> str | None:
    """The valid word closest to a mistyped one, or None when nothing is close."""
    found = difflib.get_close_matches(word, choices, n=1, cutoff=0.6)
    return found[0] if found else None


def did_you_mean(word: str, choices: list[str] | tuple[str, ...], otherwise: str = "") -> str:
    """What to do about a mistyped word: take the nearest valid one; else `otherwise`, by default one of the choices."""
    near = nearest(word, choices)
    return f"did you mean {near!r}?" if near else otherwise or f"one of: {', '.join(choices)}"


def _explain(model: type[BaseModel], error: Any) -> str:
    path = [str(p)[:60] for p in error["loc"]]
    name = ".".join(path) or "(top level)"
    if error["type"] == "extra_forbidden":
        valid = sorted(_fields_at(model, path[:-1]))
        hint = did_you_mean(path[-1], valid, f"valid keys: {', '.join(valid)}")
        return f"unknown key {name!r} ({hint})"
    if error["type"] == "missing":
        return f"missing key {name!r}"
    if error["type"] == "literal_error":
        given = str(error["input"])[:80]
        return f"{name!r} is {given!r}, expected {error['ctx']['expected']}"
    given = repr(error["input"])
    if error["type"] == "string_pattern_mismatch" and (spoken := SPOKEN.get(error["ctx"]["pattern"])):
        return f"{name!r} is {given[:80]}, expected {spoken}"
    given = given if len(given) <= 80 else given[:77] + "..."
    message = error["msg"].removeprefix("Value error, ")
    return f"{name!r}: {message} (got {given})" if path else message  # of the whole: it need not be repeated


def _fields_at(model: Any, path: list[str]) -> list[str]:
    for step in path:
        fields = getattr(model, "model_fields", {})
        if step in fields:
            model = _model_of(fields[step].annotation)
    return list(getattr(model, "model_fields", {}))


def _model_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if found := _model_of(inner):
            return found
    return None


Name = Annotated[str, StringConstraints(pattern=NAME)]
Line = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(one_line)]
Prose = Annotated[str, StringConstraints(max_length=4000), AfterValidator(plain)]
Sha256 = Annotated[str, StringConstraints(pattern=SHA256)]
Millimetres = Annotated[float, Field(ge=0.01, le=100)]
"""A distance between voxels."""
