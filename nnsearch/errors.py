"""The errors a person may see, each with its exit code. Knows nothing of what raised it."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    r"""One fault in an input: where it is, what is wrong and what to do.

    `str(problem)` is one line such as
    `studies/x.toml:12: error[E101]: unknown option 'widht' in [model.mlp]. Did you mean 'width'?`
    What would break the line or colour the terminal stands there as an escape, such as `\x1b`.
    `at` is the path of the key of the study file that is at fault, for whoever knows the file.
    """

    code: str
    message: str
    where: str = ""
    hint: str = ""
    at: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        hint = f" {self.hint}" if self.hint else ""
        line = f"{place}error[{self.code}]: {self.message}{hint}"
        return "".join(each if each.isprintable() else repr(each)[1:-1] for each in line)


class NnsearchError(Exception):
    """Something the user can act on; `hint` says how. Never a bug of ours."""

    exit_code = 1

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class _ProblemsError(NnsearchError):
    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems[:20])) + _rest(len(problems) - 20))
        self.problems = tuple(problems)

    def __reduce__(self) -> tuple[type["_ProblemsError"], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)


class StudyError(_ProblemsError):
    """The study file or its options are wrong; carries every problem found."""

    exit_code = 2


class DataError(_ProblemsError):
    """The data cannot be used as asked; carries every problem found."""

    exit_code = 3


class UsageError(NnsearchError):
    """A command was asked for something that does not exist or does not fit."""

    exit_code = 2


class StoreError(NnsearchError):
    """A store or folder is unavailable, locked, full or read-only."""

    exit_code = 4


class TrialsFailedError(NnsearchError):
    """Too many trials failed for the search to go on."""

    exit_code = 5


class IntegrityError(NnsearchError):
    """Records, stores or files disagree with each other or with their hashes."""

    exit_code = 6


class NothingCompletedError(NnsearchError):
    """The budget is spent and no trial completed."""

    exit_code = 7


def _rest(count: int) -> str:
    return f"\n... and {count} more" if count > 0 else ""
