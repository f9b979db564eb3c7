"""What is known of the patient and the device: names of subgroups, as they are compared and kept."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

AGES = {"under 18": 18, "18-39": 40, "40-59": 60, "60-79": 80}
"""Group of ages -> the age below which it ends; older patients are "80 and over"."""
UNKNOWN = frozenset({"", "nan", "none", "null", "na", "n/a", "unknown", "u", "?"})
SEX = {"f": "female", "female": "female", "w": "female", "m": "male", "male": "male"}
YEARS = re.compile(r"0*(\d{1,3})(?:\.\d+)?\s*y?(?:ears)?", re.IGNORECASE)
MAX_LETTERS = 60


def traits_of(columns: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Names of subgroups, one a row, "" where unknown. Ages in years ("47", "047Y") become groups; F and M sexes.

    >>> traits_of({"age": ["47", "047Y", "80", ""], "sex": ["F", "male", "m", "?"]})
    {'age': ['40-59', '40-59', '80 and over', ''], 'sex': ['female', 'male', 'male', '']}
    """
    found = {trait: [_plain(value) for value in values] for trait, values in columns.items()}
    if "sex" in found:
        found["sex"] = [SEX.get(value.lower(), value) for value in found["sex"]]
    years = [YEARS.fullmatch(value) for value in found.get("age", ())]
    if all(match or not value for match, value in zip(years, found.get("age", ()), strict=True)) and years:
        found["age"] = [_age(int(match[1])) if match else "" for match in years]
    return found


def _plain(value: str) -> str:
    """A name as it can stand in the name of a metric: "auroc[site=Jena]"."""
    text = re.sub(r"[\[\]=\s]+", " ", value).strip()[:MAX_LETTERS]
    return "" if text.lower() in UNKNOWN else text


def _age(years: int) -> str:
    return next((name for name, end in AGES.items() if years < end), "80 and over")
