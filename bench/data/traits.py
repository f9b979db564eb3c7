"""What is known of the patient and the device: names of subgroups, as they are compared and kept."""

import re
from collections.abc import Mapping, Sequence

from bench.data.task import folded
from bench.errors import DataError

AGES = {"under 18": 18, "18-39": 40, "40-59": 60, "60-79": 80}
"""Group of ages -> the age below which it ends; older patients are "80 and over"."""
OLDEST = 125
UNKNOWN = frozenset({"", "nan", "none", "null", "na", "n/a", "unknown", "u", "?", "-"})
SEX = {"f": "female", "female": "female", "w": "female", "m": "male", "male": "male"}
YEARS = re.compile(
    r"[<>]?\s*0*(\d{1,3})(?:[.,]\d+)?\s*(y(?:ears?)?|m(?:onths?)?|w(?:eeks?)?|d(?:ays?)?)?\s*\+?", re.IGNORECASE
)
"""An age: 47, "047Y", "18M" (months, as DICOM has them), "47,5", "90+", ">89"."""
A_YEAR = {"y": 1, "m": 12, "w": 52, "d": 365}
NUMBER = re.compile(r"\d+(?:\.0+)?")
MAX_LETTERS = 60


def traits_of(columns: Mapping[str, Sequence[str]], *, where: object = None) -> dict[str, list[str]]:
    """Names of subgroups, one a row, "" where unknown; case, blanks and zeros before a number do not count.

    Ages ("47", "047Y", "18M") become groups; F and M sexes. Raises DataError where some cells are ages and others not.

    >>> traits_of({"age": ["47", "047Y", "80", ""], "sex": ["F", "male", "m", "?"]})
    {'age': ['40-59', '40-59', '80 and over', ''], 'sex': ['female', 'male', 'male', '']}
    """
    found = {trait: [_plain(value) for value in values] for trait, values in columns.items()}
    if "sex" in found:
        found["sex"] = [SEX.get(value.lower(), value) for value in found["sex"]]
    if "age" in found:
        found["age"] = _ages(found["age"], where)
    return {trait: _alike(values) for trait, values in found.items()}


def _plain(value: str) -> str:
    """A name as it can stand in the name of a metric: "auroc[site=Jena]"."""
    text = re.sub(r"[\[\]=\s]+", " ", value).strip()[:MAX_LETTERS]
    return "" if text.lower() in UNKNOWN else text


def same(name: str) -> str:
    """What names of one subgroup have in common: "Jena" and "JENA", "1", "01" and "1.0"."""
    return f"{float(name):g}" if NUMBER.fullmatch(name) else folded(name)


def _alike(values: Sequence[str]) -> list[str]:
    """The first spelling of each name."""
    spelled: dict[str, str] = {}
    return [spelled.setdefault(same(value), value) for value in values]


def _ages(values: Sequence[str], where: object) -> list[str]:
    years = {value: _years(value) for value in values if value}
    odd = next((value for value, age in years.items() if age is None), None)
    if odd is None:
        return [_group(years[value] or 0) if value else "" for value in values]
    if any(age is not None for age in years.values()):
        what = f"the age {odd!r} is no age in years, as others are"
        raise DataError(what, where=where, fix="write years (47), DICOM ages (047Y, 018M), or names of groups alone")
    return list(values)


def _years(text: str) -> float | None:
    """An age in years, or None."""
    if (match := YEARS.fullmatch(text)) is None:
        return None
    years = int(match[1]) / A_YEAR[(match[2] or "y")[0].lower()]
    return years if years <= OLDEST else None


def _group(years: float) -> str:
    return next((name for name, end in AGES.items() if years < end), "80 and over")
