"""Axes, drawn once: a frame with its grid and ticks, and where data goes in it. Knows no trial."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nnsearch.reports.canvas import (
    GRID,
    MINUS,
    QUIET,
    SMALL,
    TEXT,
    Figure,
    Floats,
    Words,
    stroke,
    width_of,
    write,
)

_LOG_SPAN = 30.0
_FEW_DECADES = 2.5
_LARGE = 1e5


@dataclass(frozen=True, slots=True)
class Scale:
    """One axis: its ends (as logarithms where `is_log`), and its ticks with what they say."""

    low: float
    high: float
    ticks: tuple[float, ...]
    labels: tuple[str, ...]
    is_log: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a panel lies on its figure, in points: the inside, without ticks and labels."""

    left: float
    bottom: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Panel:
    """A frame with two scales, into which data can be placed."""

    frame: Frame
    x: Scale
    y: Scale

    def place(self, xs: ArrayLike, ys: ArrayLike) -> tuple[Floats, Floats]:
        """Data as points of the figure; NaN stays NaN."""
        frame = self.frame
        return (
            frame.left + _share(self.x, xs) * frame.width,
            frame.bottom + _share(self.y, ys) * frame.height,
        )


def scale(
    values: Iterable[float], *, whole: bool = False, may_log: bool = False, most: int = 6
) -> Scale:
    """The axis that holds the finite values, between round ticks or a little beyond the data.

    `whole` has ticks at whole numbers only. `may_log` is logarithmic where the values are all
    positive and the largest is more than 30 times the smallest. `most` bounds the ticks' gaps.
    """
    found = np.fromiter(values, np.float64)
    found = found[np.isfinite(found)]
    low, high = (float(found.min()), float(found.max())) if len(found) else (0.0, 1.0)
    if may_log and low > 0 and high > _LOG_SPAN * low:
        return _log_scale(low, high)
    if not high - low > 1e-12 * max(abs(low), abs(high), 1e-300):
        room = 0.5 if whole else abs(low) * 0.1 or 1.0
        low, high = low - room, high + room
    margin = (high - low) * 0.04
    low, high = low - margin, high + margin
    ticks = _round_ticks(low, high, most=most, whole=whole)
    return Scale(low, high, tuple(ticks), tuple(tick_labels(ticks)))


def shares() -> Scale:
    """The axis from 0 to 1, with room for a line that runs along an end."""
    ticks = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    return Scale(-0.02, 1.02, ticks, tuple(tick_labels(ticks)))


def panel(drawn: Figure, frame: Frame, x: Scale, y: Scale, *, x_label: str, y_label: str) -> Panel:
    """Draw the grid, ticks and labels of a panel, and give back where data goes."""
    made = Panel(frame, x, y)
    right, top = frame.left + frame.width, frame.bottom + frame.height
    across, _ = made.place([10**t if x.is_log else t for t in x.ticks], [np.nan] * len(x.ticks))
    _, up = made.place([np.nan] * len(y.ticks), [10**t if y.is_log else t for t in y.ticks])
    for places, ends, is_up in (
        (across, (frame.bottom, top), True),
        (up, (frame.left, right), False),
    ):
        along = np.repeat(places, 3)
        between = np.tile([*ends, np.nan], len(places))
        stroke(drawn, *((along, between) if is_up else (between, along)), color=GRID, width=0.8)
    corner = ([frame.left, frame.left, right], [top, frame.bottom, frame.bottom])
    stroke(drawn, *corner, color="#8a8a8a", width=0.9)
    words = [
        Words(label, at, frame.bottom - 13)
        for label, at in zip(x.labels, across.tolist(), strict=True)
    ]
    words += [
        Words(label, frame.left - 5, at - 3, "right")
        for label, at in zip(y.labels, up.tolist(), strict=True)
    ]
    write(drawn, words, size=SMALL, color=QUIET)
    widest = max((width_of(label, SMALL) for label in y.labels), default=0.0)
    middle = (frame.left + frame.width / 2, frame.bottom + frame.height / 2)
    names = [
        Words(x_label, middle[0], frame.bottom - 28),
        Words(y_label, frame.left - max(38, widest + 12), middle[1], turned=True),
    ]
    write(drawn, names, size=TEXT)
    return made


def tick_labels(ticks: Iterable[float]) -> list[str]:
    """Ticks as text, all with the fewest decimals that tell the truth."""
    ticks = list(ticks)
    largest = max((abs(tick) for tick in ticks), default=0.0)
    if largest < _LARGE:
        for decimals in range(5):
            texts = [f"{tick:.{decimals}f}" for tick in ticks]
            near = [
                abs(float(text) - tick) <= 1e-6 * largest
                for text, tick in zip(texts, ticks, strict=True)
            ]
            if all(near):
                return ["0" if float(text) == 0 else text.replace("-", MINUS) for text in texts]
    return [_short(tick) for tick in ticks]


def _round_ticks(low: float, high: float, *, most: int, whole: bool) -> list[float]:
    """Multiples, between the ends, of the smallest 1, 2, 2.5 or 5 x 10^n that makes few gaps."""
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    steps = [part * power for part in (1, 2, 2.5, 5, 10)]
    if whole:
        steps = [max(1.0, np.ceil(each)) for each in steps]
    step = next((each for each in steps if each >= rough), steps[-1])
    first, last = int(np.ceil(low / step)), int(np.floor(high / step))
    return [float(place * step) for place in range(first, last + 1)]


def _log_scale(low: float, high: float) -> Scale:
    ends = (np.log10(low), np.log10(high))
    margin = (ends[1] - ends[0]) * 0.04
    low, high = ends[0] - margin, ends[1] + margin
    every = max(1, int((high - low) // 6))
    decades = range(int(np.floor(low)), int(np.ceil(high)) + 1, every)
    parts = (1, 2, 5) if high - low < _FEW_DECADES else (1,)
    values = [part * 10.0**decade for decade in decades for part in parts]
    ticks = [float(np.log10(value)) for value in values if low <= np.log10(value) <= high]
    return Scale(low, high, tuple(ticks), tuple(_short(10**tick) for tick in ticks), is_log=True)


def _short(value: float) -> str:
    return f"{value:.3g}".replace("e+0", "e").replace("e-0", "e-").replace("-", MINUS)


def _share(scale: Scale, values: ArrayLike) -> Floats:
    found = np.asarray(values, np.float64)
    if scale.is_log:
        found = np.log10(np.where(found > 0, found, np.nan))
    return (found - scale.low) / (scale.high - scale.low)
