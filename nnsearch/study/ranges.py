"""Check one value of a study file: a literal or a range. Knows no component, only what fits."""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from nnsearch import components
from nnsearch.study.complaints import (
    MAX_INTEGER,
    Spot,
    misfit,
    quote,
    show,
    trouble,
)
from nnsearch.study.spec import Choice, FloatRange, IntRange, Range

MAX_CHOICES = 256
# A range of more values is checked at its ends only.
MAX_CHECKED = 1000
KINDS = ("int", "float", "choice")
KEYS = (*KINDS, "log", "step")


def check_value(value: object, spot: Spot) -> Any:
    """A literal or a range, checked against `fits`; None where something was wrong."""
    if isinstance(value, dict):
        return _range(value, spot)
    return check_literal(value, spot)


def check_literal(value: object, spot: Spot) -> Any:
    """A literal, arrays as tuples; None where something was wrong."""
    if isinstance(value, dict) and any(kind in value for kind in KINDS):
        message = f"{spot.subject} is a range, but nothing is searched there."
        spot.add("E310", message, "Write one value.")
        return None
    what = f"{spot.subject} = {show(value)}"
    for item in value if isinstance(value, list) else [value]:
        fault = trouble(item)
        if fault:
            inside = f": {show(item)}" if isinstance(value, list) else ""
            spot.add(fault[0], f"{what}{inside} {fault[1]}.")
            return None
    plain = tuple(value) if isinstance(value, list) else value
    return None if misfit(plain, spot, what) else plain


def _range(table: Mapping[str, Any], spot: Spot) -> Range | None:
    kinds = [kind for kind in KINDS if kind in table]
    unknown = [key for key in table if key not in KEYS]
    for key in unknown:
        hint = components.nearest(key, list(KEYS))
        spot.complaints.add(
            "E301", (*spot.at, key), f"unknown key {show(key)} in the range {spot.subject}.", hint
        )
    if unknown:
        return None
    if len(kinds) != 1:
        message = f"the range {spot.subject} has {quote(kinds) or 'no kind'}."
        spot.add("E301", message, "Give one of int, float and choice.")
        return None
    if kinds == ["choice"]:
        return _choice(table, spot)
    return _interval(kinds[0], table, spot)


def _choice(table: Mapping[str, Any], spot: Spot) -> Choice | None:
    choices, before = table["choice"], len(spot.complaints.found)
    what = spot.subject
    if len(table) > 1:
        spot.add("E301", f"{what}: log and step go with int and float only.")
    if not isinstance(choices, list):
        spot.add("E301", f"{what}: choice must be an array.")
        return None
    if not choices:
        spot.add("E306", f"{what}: there is no choice.")
    if len(choices) > MAX_CHOICES:
        message = f"{what}: {len(choices)} choices, more than {MAX_CHOICES}."
        spot.add("E309", message, "Search a range of int or float.")
        return None
    for index, choice in enumerate(choices):
        fault = trouble(choice)
        if isinstance(choice, list | dict):
            spot.add("E308", f"{what}: the choice {show(choice)} is nested.")
        elif fault:
            spot.add(fault[0], f"{what}: the choice {show(choice)} {fault[1]}.")
        elif choice in choices[:index]:
            spot.add("E307", f"{what}: the choice {show(choice)} is given twice.")
        else:
            misfit(choice, spot, f"the choice {show(choice)} of {what}")
    return Choice(tuple(choices)) if len(spot.complaints.found) == before else None


def _interval(kind: str, table: Mapping[str, Any], spot: Spot) -> IntRange | FloatRange | None:
    ends = _ends(kind, table[kind], spot)
    log, step = table.get("log", False), table.get("step")
    if not isinstance(log, bool):
        spot.add("E301", f"{spot.subject}: log must be true or false.")
        return None
    if ends is None:
        return None
    low, high = ends
    before = len(spot.complaints.found)
    if low > high:
        message = f"{spot.subject}: the lower end {low} is above the upper end {high}."
        spot.add("E302", message, f"Write {kind} = [{high}, {low}].")
        return None
    for name, end in (("lower", low), ("upper", high)):
        misfit(end, spot, f"the {name} end {end} of {spot.subject}")
    if log and low <= 0 and len(spot.complaints.found) == before:
        message = f"{spot.subject}: log needs a lower end above 0, not {low}."
        spot.add("E303", message)
    if log and step is not None:
        spot.add("E304", f"{spot.subject}: log and step exclude each other.", "Drop one.")
    elif step is not None:
        _check_step(kind, step, (low, high), spot)
    if len(spot.complaints.found) > before:
        return None
    if kind == "int":
        found: IntRange | FloatRange = IntRange(int(low), int(high), log=log, step=step or 1)
    else:
        found = FloatRange(low, high, log=log, step=None if step is None else float(step))
    return None if _has_misfit(_values(found), spot) else found


def _values(interval: IntRange | FloatRange) -> list[int] | list[float]:
    """Every value that may be drawn; none where they are too many, or not countable."""
    if interval.step is None:
        return []
    low, step = Decimal(str(interval.low)), Decimal(str(interval.step))
    number = int((Decimal(str(interval.high)) - low) / step) + 1
    if number > MAX_CHECKED:
        return []
    if isinstance(interval, IntRange):
        return list(range(interval.low, interval.high + 1, interval.step))
    return [float(low + place * step) for place in range(number)]


def _has_misfit(values: Sequence[int | float], spot: Spot) -> bool:
    """Whether a value between two good ends does not fit; the first is noted."""
    faults = {value: fault for value in values if (fault := spot.fits(value))}
    if not faults:
        return False
    value, fault = next(iter(faults.items()))
    good = [each for each in values if each not in faults]
    hint = f"Write choice = {show(good)}."
    spot.add("E201", f"the value {value} in the range {spot.subject}: {fault}.", hint)
    return True


def _ends(kind: str, ends: object, spot: Spot) -> tuple[int, int] | tuple[float, float] | None:
    """The two ends, as numbers of the range's kind; None where they are no such numbers."""
    if not isinstance(ends, list) or len(ends) != len(("low", "high")):
        message = f"{spot.subject}: {kind} must be an array of two ends."
        spot.add("E301", message, f"Write {kind} = [low, high].")
        return None
    good = [_is_number(kind, end, "an end", spot) for end in ends]
    if not all(good):
        return None
    return (ends[0], ends[1]) if kind == "int" else (float(ends[0]), float(ends[1]))


def _is_number(kind: str, value: object, role: str, spot: Spot) -> bool:
    fault = trouble(value)
    what = f"{spot.subject}: {role}, {show(value)},"
    wanted = int if kind == "int" else (int, float)
    if isinstance(value, str):
        spot.add("E202", f"{what} is text.", "Write numbers without quotes.")
    elif isinstance(value, int | float) and fault:
        spot.add(fault[0], f"{what} {fault[1]}.")
    elif isinstance(value, bool) or not isinstance(value, wanted):
        noun = "an integer" if kind == "int" else "a number"
        spot.add("E301", f"{what} must be {noun}.")
    else:
        return True
    return False


def _check_step(kind: str, step: object, ends: tuple[float, float], spot: Spot) -> None:
    if not _is_number(kind, step, "the step", spot):
        return
    if not isinstance(step, int | float) or step <= 0:
        spot.add("E305", f"{spot.subject}: step must be above 0, not {show(step)}.")
        return
    low, high = ends
    if not math.isfinite(high - low) or (high - low) / step > MAX_INTEGER:
        spot.add("E305", f"{spot.subject}: step {step} is too small for {low} to {high}.")
        return
    start, stride = Decimal(str(low)), Decimal(str(step))
    last = start + (Decimal(str(high)) - start) // stride * stride
    if last != Decimal(str(high)):
        text = str(int(last)) if kind == "int" else str(float(last))
        message = f"{spot.subject}: step {step} does not divide {low} to {high}"
        hint = f"Write {kind} = [{low}, {text}]."
        spot.add("E305", f"{message}; the last value would be {text}.", hint)
