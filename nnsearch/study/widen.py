"""A range made wider at one end, as far as its option allows. Pure; knows no study."""

import math
from collections.abc import Callable, Iterator
from typing import Literal

from nnsearch.study.spec import Choice, FloatRange, IntRange, Range

End = Literal["low", "high"]
Number = int | float
# How far a range grows, as a share of its width; smaller steps where the option has a limit.
GROWTH, SMALLEST = 0.5, 0.02


def widened(searched: Range, end: End, complaint: Callable[[object], str]) -> Range | None:
    """The range with `end` moved outwards by half its width, or by what `complaint` lets pass.

    Widths are ratios where the range is logarithmic. Choices of numbers get one more, in the
    ratio or at the distance of the last two. None where nothing lies beyond: `complaint` says of
    a value, in words, why an option cannot have it.
    """
    for value in _beyond(searched, end):
        if complaint(value):
            continue
        if isinstance(searched, Choice):
            choices = (value, *searched.choices) if end == "low" else (*searched.choices, value)
            return Choice(choices)
        ends = {"low": searched.low, "high": searched.high} | {end: value}
        kind = IntRange if isinstance(searched, IntRange) else FloatRange
        return kind(ends["low"], ends["high"], searched.log, searched.step)  # type: ignore[arg-type]
    return None


def _beyond(searched: Range, end: End) -> Iterator[Number]:
    """Values outside of the range, the farthest first."""
    if isinstance(searched, Choice):
        yield from _next_choice(searched, end)
        return
    share = GROWTH
    while share >= SMALLEST:
        value = _moved(searched, end, share)
        if value is not None:
            yield value
        share /= 2


def _moved(searched: FloatRange | IntRange, end: End, share: float) -> Number | None:
    limit, sign = (searched.low, -1) if end == "low" else (searched.high, 1)
    if searched.log:
        far = limit * (searched.high / searched.low) ** (sign * share)
        value = _round_beyond(far, limit, digits=1)
        value = max(round(value), 1) if isinstance(searched, IntRange) else value
    elif searched.step is not None:
        steps = max(1, round((searched.high - searched.low) / searched.step * share))
        value = limit + sign * steps * searched.step
    else:
        far = limit + sign * share * (searched.high - searched.low)
        value = _round_beyond(far, limit, digits=3)
    return value if sign * (value - limit) > 0 else None


def _round_beyond(value: float, limit: float, *, digits: int) -> float:
    """The roundest number near `value` that is on its side of the limit."""
    for number in range(digits, 17):
        found = float(f"{value:.{number}g}")
        if (found > limit) == (value > limit) and found != limit:
            return found
    return value


def _next_choice(searched: Choice, end: End) -> Iterator[Number]:
    numbers = [
        each
        for each in searched.choices
        if isinstance(each, int | float) and not isinstance(each, bool)
    ]
    if len(numbers) < max(2, len(searched.choices)):
        return
    ordered = sorted(numbers, reverse=end == "low")
    last, before = ordered[-1], ordered[-2]
    are_whole = all(isinstance(each, int) for each in numbers)
    if before and last / before > 0 and _is_geometric(ordered):
        value = last * last / before
    else:
        value = 2 * last - before
    whole = math.floor(value) if end == "low" else math.ceil(value)
    found: Number = whole if are_whole else float(f"{value:.3g}")
    if found not in numbers:
        yield found


def _is_geometric(ordered: list[Number]) -> bool:
    ratios = [ordered[at + 1] / ordered[at] for at in range(len(ordered) - 1) if ordered[at]]
    return len(ratios) == len(ordered) - 1 and max(ratios) - min(ratios) < 0.01 * max(ratios)
