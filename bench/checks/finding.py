"""What a check found, as data: the terminal and --json read the same object."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Level = Literal["ok", "warning", "problem", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its name, how it went, one sentence, and the numbers behind it."""

    check: str
    level: Level
    message: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """All findings about one encoder. `passed` is False as soon as one is a problem."""

    encoder: str
    findings: tuple[Finding, ...]

    @property
    def passed(self) -> bool:
        return all(f.level != "problem" for f in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {"encoder": self.encoder, "passed": self.passed, "findings": [asdict(f) for f in self.findings]}
