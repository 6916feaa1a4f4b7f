"""Constraints on finished trials, such as `parameters <= 100_000`. Knows no file and no Optuna."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from nnsearch.components import nearest
from nnsearch.study.spec import COST, Objective, Study

# What a trial costs, and what it is measured in; a task's metrics stand under `valid/`.
COSTS = {
    "parameters": "numbers that are trained",
    "size": "bytes of the weights as an export holds them",
    "latency": "milliseconds for one row, on one thread of the CPU",
    "seconds": "seconds of training",
}
UNITS = {"size": "bytes", "latency": "ms", "seconds": "s"}

_FORM = re.compile(r"\s*(?P<name>[^\s<>=!]+)\s*(?P<sign>[<>=!]+)\s*(?P<bound>\S+)\s*", re.ASCII)
# As TOML writes numbers: `_` only between digits.
_NUMBER = re.compile(r"[+-]?\d+(_\d+)*(\.\d+(_\d+)*)?([eE][+-]?\d+)?", re.ASCII)
_THOUSAND, _MOST_WHOLE = 1e3, 1e15
_EXAMPLE = "Write a name, <= or >=, and a number: 'parameters <= 100_000'."


class LimitError(ValueError):
    """A text is no constraint; `hint` says what to do."""

    def __init__(self, message: str, hint: str = _EXAMPLE, *, is_name: bool = False) -> None:
        super().__init__(message)
        self.hint = hint
        self.is_name = is_name


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound on a cost, or on a metric where `name` begins with `valid/`."""

    name: str
    sign: Literal["<=", ">="]
    bound: float

    def __str__(self) -> str:
        is_whole = self.bound.is_integer() and abs(self.bound) < _MOST_WHOLE
        return f"{self.name} {self.sign} {int(self.bound) if is_whole else self.bound}"

    @property
    def key(self) -> str:
        """What is bounded, under its name in events."""
        return self.name if self.name.startswith("valid/") else f"{COST}{self.name}"

    def excess(self, value: float) -> float:
        """How far a value lies beyond the bound: above 0 the constraint is broken."""
        if math.isnan(value):
            return math.inf
        return value - self.bound if self.sign == "<=" else self.bound - value

    def share(self, excess: float) -> float:
        """The same as a share of the bound, so that constraints of different units add up."""
        return excess / (abs(self.bound) or 1.0)


def limit_of(text: str) -> Limit:
    """The constraint that a text states. Raises LimitError."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise LimitError("is no constraint")
    name, sign, bound = found["name"], found["sign"], found["bound"]
    if sign not in {"<=", ">="}:
        raise LimitError(f"has '{sign}', which is neither <= nor >=")
    name = name.removeprefix(COST)
    if name not in COSTS and not re.fullmatch(r"valid/.+", name):
        hint = nearest(name, list(COSTS))
        more = "" if hint.startswith("Did") else f" A metric is written valid/{name}."
        raise LimitError(f"names '{name}', which is no cost", hint + more, is_name=True)
    if _NUMBER.fullmatch(bound) is None or not math.isfinite(float(bound)):
        raise LimitError(f"has '{bound}', which is no number")
    return Limit(name, "<=" if sign == "<=" else ">=", float(bound))


def limits_of(study: Study) -> tuple[Limit, ...]:
    """The study's constraints."""
    return tuple(map(limit_of, study.search.constraints))


def costs_of(objectives: Sequence[Objective], limits: Sequence[Limit]) -> tuple[str, ...]:
    """The costs that have to be measured, such as `latency`, each once."""
    keys = [*(each.key for each in objectives), *(each.key for each in limits)]
    return tuple(dict.fromkeys(key.removeprefix(COST) for key in keys if key.startswith(COST)))


def excess_of(limits: Sequence[Limit], values: Mapping[str, float]) -> dict[str, float]:
    """How far each constraint is exceeded whose value is known."""
    return {str(each): each.excess(values[each.key]) for each in limits if each.key in values}


def heading(key: str) -> str:
    """What is measured and its unit, such as `latency (ms)` for `cost/latency`."""
    name = key.removeprefix(COST)
    if name == key:
        return key.removeprefix("valid/")
    return f"{name} ({UNITS[name]})" if name in UNITS else name


def countable(key: str, value: float) -> float | int:
    """A measured value for a person: a count as a whole number."""
    return int(value) if key.removeprefix(COST) in {"parameters", "size"} else value


def exceeded(excess: Mapping[str, float]) -> str:
    """The broken constraints for a person: `parameters <= 1000 by 250`."""
    return ", ".join(f"{name} by {_short(each)}" for name, each in excess.items() if each > 0)


def _short(value: float) -> str:
    return f"{value:,.0f}" if _THOUSAND <= value < _MOST_WHOLE else f"{value:.3g}"
