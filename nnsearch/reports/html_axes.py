"""An axis for a searched parameter, of a number or of a choice. Pure; draws nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from nnsearch.events import Scalar
from nnsearch.reports.html_advice import share_of
from nnsearch.reports.html_content import Report, Trial
from nnsearch.reports.html_svg import LETTER, cut, share
from nnsearch.reports.panels import Scale, scale
from nnsearch.reports.tables import number
from nnsearch.study.spec import Choice, Range

NOTHING = float("nan")
# As many letters of ticks have room beside each other on a phone.
_ROOM, _MARGIN = 300.0, 0.06


@dataclass(frozen=True, slots=True)
class Axis:
    """Ticks and trials from 0 to 1. `note` says what kind of axis it is."""

    name: str
    ticks: tuple[tuple[float, str], ...]
    note: str = ""
    searched: Range | None = None
    values: Scale | None = None
    places: Mapping[str, float] = field(default_factory=dict)

    def place(self, trial: Trial) -> float:
        """Where a trial lies; not a number where it has no such parameter."""
        if self.values is not None:
            found = float(share(self.values, NOTHING if trial.value is None else trial.value))
            return min(max(found, 0.0), 1.0) if np.isfinite(found) else NOTHING
        value = trial.params.get(self.name)
        if value is None:
            return NOTHING
        if isinstance(self.searched, Choice):
            return self.places.get(str(value), NOTHING)
        assert self.searched is not None  # noqa: S101 - it has one scale or the other
        return share_of(self.searched, float(value))


def axis_of(report: Report, name: str) -> Axis:
    """The axis of a parameter, from one end of its range to the other."""
    searched = report.ranges[name]
    if isinstance(searched, Choice):
        return _choices(name, searched)
    ends: list[float] = [searched.low, searched.high]
    if searched.log:
        inside = _decades(float(searched.low), float(searched.high))
        note = "log scale"
    else:
        made = scale(ends, whole=isinstance(searched.low, int), most=4)
        inside = [each for each in made.ticks if ends[0] <= each <= ends[1]]
        note = ""
    found = _told(sorted({*ends, *inside}), searched)
    return Axis(name, tuple(found), note, searched)


def value_axis(report: Report) -> Axis:
    """The axis of the objective."""
    trials = [each for each in report.trials if each.value is not None]
    made = value_scale(report, trials)
    ticks = [10**each if made.is_log else each for each in made.ticks]
    places = share(made, ticks).tolist()
    return Axis(report.objective.key, tuple(zip(places, made.labels, strict=True)), values=made)


def value_scale(report: Report, trials: Sequence[Trial]) -> Scale:
    """An axis for objective values on which a few wild ones do not flatten all others."""
    found = np.array([each.value for each in trials if each.value is not None], np.float64)
    found = found[np.isfinite(found)]
    if not len(found):
        return scale([0, 1], most=5)
    if found.min() > 0 and found.max() > 30 * found.min():
        return scale(found.tolist(), may_log=True, most=5)
    low, middle, high = np.quantile(found, [0.0, 0.5, 1.0])
    reach = 3 * (np.quantile(found, 0.75) - np.quantile(found, 0.25)) or high - low
    if report.objective.direction == "maximize":
        low = max(low, min(middle - reach, found.max()))
    else:
        high = min(high, max(middle + reach, found.min()))
    return scale([low, high], most=5)


def _choices(name: str, searched: Choice) -> Axis:
    count = len(searched.choices)
    shown = [number(each) for each in searched.choices]
    most = max(3, int(_ROOM / LETTER / count) - 1)
    places = [
        _MARGIN + (1 - 2 * _MARGIN) * place / (count - 1) if count > 1 else 0.5
        for place in range(count)
    ]
    ticks = tuple((place, cut(text, most)) for place, text in zip(places, shown, strict=True))
    keys = map(_key, searched.choices)
    return Axis(name, ticks, "", searched, places=dict(zip(keys, places, strict=True)))


def _key(value: Scalar) -> str:
    return str(value)


def _decades(low: float, high: float) -> list[float]:
    powers = range(int(np.ceil(np.log10(low))), int(np.floor(np.log10(high))) + 1)
    every = max(1, len(powers) // 5)
    return [10.0**each for each in list(powers)[::every]]


def _told(values: list[float], searched: Range) -> list[tuple[float, str]]:
    """Ticks with their text, without those whose text would run into that of an end."""
    ends = (values[0], values[-1])
    found: list[tuple[float, str]] = []
    for value in values:
        place, text = share_of(searched, value), f"{value:.3g}"
        room = (len(text) + 2) * LETTER / _ROOM
        is_free = all(abs(place - other) > room for other, _ in found)
        is_end = value in ends
        if not is_end and (not is_free or 1 - place < room * 1.5 or place < room):
            continue
        found.append((place, text))
    return found
