"""Collect what is wrong with a study file, each fault with its place. Knows no rule itself."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from nnsearch.errors import Problem, StudyError

CODES = {
    # The file
    "E001": "there is no such file",
    "E002": "not a plain file: a folder, a device",
    "E003": "the file is too large",
    "E004": "the file is not UTF-8",
    "E005": "the file is empty",
    "E006": "the file is not TOML",
    "E007": "tables or arrays are nested too deep",
    "E008": "the file cannot be read",
    "E009": "a --set cannot be read",
    # Names
    "E101": "unknown option of a component",
    "E102": "unknown table or key",
    "E103": "a table or key is missing",
    "E104": "a component's option is missing",
    "E105": "unknown component",
    "E106": "code of the user's that may not run",
    "E107": "a component cannot be loaded or is no component",
    "E108": "a table was expected, or a table where there is none",
    "E109": "a table belongs to a component that is not chosen",
    "E110": "an option is given twice",
    "E111": "an option is shared, but an alternative does not know it",
    "E112": "one_of is no array of different names",
    "E113": "name and one_of are both given",
    # Values
    "E201": "a value does not fit its option",
    "E202": "a number is given as text",
    "E203": "a number is not finite",
    "E204": "an integer is beyond 2^53",
    "E205": "not a number, a text, true, false or a flat array of them",
    # Ranges
    "E301": "a range is not written as ranges are",
    "E302": "the lower end is above the upper end",
    "E303": "log with a lower end that is not above 0",
    "E304": "log with step",
    "E305": "step is not above 0 or does not divide the range",
    "E306": "there is no choice",
    "E307": "a choice is doubled",
    "E308": "a choice is an array or a table",
    "E309": "there are too many choices",
    "E310": "a range where nothing is searched",
    "E311": "a grid over a range without step",
    "E312": "a grid that is too large",
    # The study as a whole
    "E401": "the study's name cannot be used",
    "E402": "the shares of the split are not given whole, or not above 0",
    "E403": "the shares of the split do not sum to 1",
    "E404": "the split's column is missing or not used",
    "E405": "neither trials nor timeout",
    "E406": "a timeout that is no time",
    "E407": "objectives that cannot be searched together",
    "E408": "a metric that the task does not have",
    "E409": "several tables of sources or transforms, and none is chosen",
    "E411": "a constraint that cannot be read",
    "E412": "an objective or a constraint on a cost that is not known",
    "E413": "constraints that do not go together",
    "E414": "several objectives with a pruner",
    "E415": "a confirmation on one seed",
    "E416": "a confirmation on other divisions of rows that time divides",
    "E417": "one fold",
    "E418": "folds of rows that time divides",
    "E420": "a model that does not take the data",
    # Files
    "E501": "a file of weights to start from that there is not, or that may not be read",
}

MAX_INTEGER = 2**53
MAX_BITS = 200
MAX_TEXT = 60
MAX_ITEMS = 6
MAX_MESSAGE = 400

At = tuple[str, ...]
Fits = Callable[[object], str]


@dataclass(frozen=True, slots=True)
class Complaints:
    """The problems found so far in `file`; `lines` and `overrides` say where each key stands."""

    file: str
    lines: Mapping[At, int] = field(default_factory=dict)
    overrides: dict[At, str] = field(default_factory=dict)
    found: list[tuple[int, Problem]] = field(default_factory=list)

    def add(self, code: str, at: At, message: str, hint: str = "") -> None:
        """Note a problem of the key at `at`, once."""
        line, where = self._place(at)
        entry = (line, Problem(code, _one_line(message), where, _one_line(hint)))
        if code not in CODES:
            raise KeyError(code)
        if entry not in self.found:
            self.found.append(entry)

    def raise_any(self) -> None:
        """Raise StudyError with every problem, in the order of the file; do nothing without."""
        if self.found:
            raise StudyError([each for _, each in sorted(self.found, key=lambda pair: pair[0])])

    def stop(self, code: str, at: At, message: str, hint: str = "") -> NoReturn:
        """Note a problem after which nothing more can be read, and raise."""
        self.add(code, at, message, hint)
        raise StudyError([each for _, each in self.found])

    def where(self, at: At) -> str:
        """The file and line of the key at `at`, or of the nearest table around it."""
        return self._place(at)[1]

    def _place(self, at: At) -> tuple[int, str]:
        for length in range(len(at), 0, -1):
            if at[:length] in self.overrides:
                return MAX_INTEGER, f"--set {self.overrides[at[:length]]}"
            if at[:length] in self.lines:
                line = self.lines[at[:length]]
                return line, f"{self.file}:{line}"
        return 0, self.file


@dataclass(frozen=True, slots=True)
class Spot:
    """One key of the file: where it stands, what is wrong with a value for it, who is told."""

    at: At
    fits: Fits
    complaints: Complaints

    @property
    def subject(self) -> str:
        """The key in a message."""
        return subject(self.at)

    def add(self, code: str, message: str, hint: str = "") -> None:
        """Note a problem of this key, once."""
        self.complaints.add(code, self.at, message, hint)


def dotted(at: Sequence[str]) -> str:
    """A path as TOML writes it: `model.mlp`, `model."parts.py:residual"`."""
    short = [key if len(key) <= MAX_TEXT else key[: MAX_TEXT - 3] + "..." for key in at]
    return ".".join(key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"' for key in short)


def subject(at: At) -> str:
    """What a message is about: `width in [model.mlp]`, or `seed` at the top of the file."""
    return f"{dotted(at[-1:])} in [{dotted(at[:-1])}]" if len(at) > 1 else dotted(at)


def show(value: object) -> str:
    """A value as TOML writes it, never longer than a line can bear."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int) and value.bit_length() > MAX_BITS:
        return f"a number of {value.bit_length()} bits"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return repr(value if len(value) <= MAX_TEXT else value[: MAX_TEXT - 3] + "...")
    if isinstance(value, list | tuple):
        items = ["[...]" if isinstance(each, list) else show(each) for each in value[:MAX_ITEMS]]
        return f"[{', '.join([*items, '...'] if len(value) > MAX_ITEMS else items)}]"
    return "a table" if isinstance(value, dict) else str(value)[:MAX_TEXT]


def quote(names: Sequence[str]) -> str:
    """Names in a sentence: `'mlp', 'cnn'`."""
    return ", ".join(f"'{name}'" for name in names)


def trouble(value: object) -> tuple[str, str] | None:
    """The code and phrase of what no option of any component takes, or None."""
    if isinstance(value, float) and not math.isfinite(value):
        return "E203", "must be a finite number"
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        return "E204", "is beyond 2^53, where floating-point numbers skip integers"
    if not isinstance(value, bool | int | float | str):
        return "E205", "must be a number, a text, true, false or a flat array of them"
    return None


def misfit(value: object, spot: Spot, what: str) -> bool:
    """Whether `value` does not fit the option at `spot`; it is noted then, as a fault of `what`."""
    complaint = spot.fits(value)
    if not complaint:
        return False
    number = _number(value)
    if number is not None and not spot.fits(number):
        hint = f"Write {show(number)} without quotes."
        spot.add("E202", f"{what}: a number given as text.", hint)
    else:
        spot.add("E201", f"{what}: {complaint}.")
    return True


def _one_line(text: str) -> str:
    """`text` without what would break the line, colour the terminal or fill the screen."""
    plain = "".join(each if each.isprintable() else repr(each)[1:-1] for each in text[:MAX_MESSAGE])
    return plain if len(text) <= MAX_MESSAGE else plain + "..."


def _number(text: object) -> int | float | None:
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None
