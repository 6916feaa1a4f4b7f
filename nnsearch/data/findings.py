"""What the audit has to say, and what of it may be let pass. Knows no data."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from nnsearch.errors import Problem

# What allow_leaky lets pass: whatever tells the answer beforehand, or how the test rows lie.
LEAKS = frozenset({"E351", "E352", "E353", "E354", "E358", "E359"})
_LISTED = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about the data that a person should know; an "error" stops the study.

    `column` names the one column that it is about, if it is about one; `where` is a place in code
    of the user's own.
    """

    level: Literal["error", "warning"]
    code: str
    message: str
    hint: str = ""
    column: str = ""
    where: str = ""

    def __str__(self) -> str:
        hint = f" {self.hint}" if self.hint else ""
        return f"{self.level}[{self.code}]: {self.message}{hint}"

    def as_problem(self) -> Problem:
        """The same as a Problem, to be raised."""
        return Problem(self.code, self.message, self.where, self.hint)


def allowed(finding: Finding) -> Finding:
    """A leak as a study with allow_leaky has it: it stops nothing, and stays one."""
    hint = "allow_leaky lets it pass: the results will look better than they are."
    return replace(finding, level="warning", hint=hint)


def listed(names: Sequence[str]) -> str:
    """The first few names in quotes."""
    more = ", ..." if len(names) > _LISTED else ""
    return ", ".join(f"'{name}'" for name in names[:_LISTED]) + more
