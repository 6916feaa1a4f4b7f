"""Charts as inline SVG, coloured by the page's style sheet. Knows no study.

Drawn at the width of a phone: on a wide screen charts stand beside each other instead of growing,
so that their text is as large as the page's. Each point is told by a `title` that a mouse shows;
who cannot see the chart gets its label, and the table behind it.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nnsearch.reports.html_markup import Content, Html, joined, tag
from nnsearch.reports.panels import Scale

WIDTH, WIDTHS = 340.0, (340.0, 720.0, 1180.0)
LETTER = 6.4
LINE = 15.0


@dataclass(frozen=True, slots=True)
class Plot:
    """An inside with two scales, on a drawing of `width` by `height`."""

    x: Scale
    y: Scale
    width: float = WIDTH
    height: float = 250.0
    left: float = 46.0
    top: float = 10.0
    right: float = 12.0
    bottom: float = 42.0

    def across(self, values: ArrayLike) -> NDArray[np.float64]:
        """Values of x as points from the left."""
        return self.left + share(self.x, values) * (self.width - self.left - self.right)

    def up(self, values: ArrayLike) -> NDArray[np.float64]:
        """Values of y as points from the top."""
        high = self.height - self.top - self.bottom
        return self.top + (1 - share(self.y, values)) * high


def share(scale: Scale, values: ArrayLike) -> NDArray[np.float64]:
    """Where values lie between the ends of a scale, 0 to 1; not a number where they cannot."""
    found = np.asarray(values, np.float64)
    if scale.is_log:
        found = np.log10(np.where(found > 0, found, np.nan))
    return (found - scale.low) / (scale.high - scale.low)


def ticks_of(scale: Scale) -> list[float]:
    """The values at a scale's ticks."""
    return [10**each if scale.is_log else each for each in scale.ticks]


def room_for(scale: Scale) -> float:
    """How much the labels of a vertical axis and its name need on the left."""
    return 30 + LETTER * max(map(len, scale.labels), default=0)


def svg(label: str, width: float, height: float, *children: Content, class_: str = "") -> Html:
    """A drawing that says `label` to who cannot see it."""
    return tag(
        "svg",
        *children,
        viewBox=f"0 0 {width:g} {height:g}",
        width=f"{width:g}",
        height=f"{height:g}",
        role="img",
        aria_label=label,
        class_=class_ or None,
    )


def axes(plot: Plot, x_label: str, y_label: str, *, has_x_ticks: bool = True) -> Html:
    """The grid, the ticks and the names of both axes."""
    right, floor = plot.width - plot.right, plot.height - plot.bottom
    parts: list[Html] = []
    for at, text in zip(plot.up(ticks_of(plot.y)).tolist(), plot.y.labels, strict=True):
        parts.append(straight((plot.left, at), (right, at), "grid"))
        parts.append(words(text, plot.left - 6, at + 4, anchor="end"))
    if has_x_ticks:
        for at, text in zip(plot.across(ticks_of(plot.x)).tolist(), plot.x.labels, strict=True):
            parts.append(straight((at, plot.top), (at, floor), "grid"))
            parts.append(words(text, at, floor + 16))
    parts.append(path([(plot.left, plot.top), (plot.left, floor), (right, floor)], "axis"))
    middle = (plot.left + right) / 2
    if x_label:
        parts.append(words(x_label, middle, plot.height - 8, class_="name"))
    turned = f"rotate(-90 12 {(plot.top + floor) / 2:g})"
    parts.append(words(y_label, 12, (plot.top + floor) / 2, class_="name", transform=turned))
    return joined(parts)


def words(text: str, x: float, y: float, *, anchor: str = "middle", **attributes: object) -> Html:
    """A piece of text."""
    side = None if anchor == "start" else anchor
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=side, **attributes)


def straight(start: tuple[float, float], end: tuple[float, float], class_: str) -> Html:
    """A line between two points."""
    return path([start, end], class_)


def path(
    points: Iterable[tuple[float, float]], class_: str, *, told: str = "", closed: bool = False
) -> Html:
    """A line through points; it is interrupted where one of them is not a number."""
    parts, is_open = [], False
    for x, y in points:
        if not (np.isfinite(x) and np.isfinite(y)):
            is_open = False
            continue
        parts.append(f"{'L' if is_open else 'M'}{x:.1f} {y:.1f}")
        is_open = True
    way = "".join(parts) + ("Z" if closed and parts else "")
    return tag("path", tag("title", told) if told else None, d=way, class_=class_)


def line(plot: Plot, xs: ArrayLike, ys: ArrayLike, class_: str, *, told: str = "") -> Html:
    """A line through values."""
    return path(zip(plot.across(xs).tolist(), plot.up(ys).tolist(), strict=True), class_, told=told)


def steps(plot: Plot, xs: Sequence[float], ys: Sequence[float], class_: str) -> Html:
    """A line that stays until the next value."""
    return line(plot, np.repeat(xs, 2)[1:], np.repeat(ys, 2)[:-1], class_)


def dot(x: float, y: float, class_: str, *, told: str = "", size: float = 3.2) -> Html:
    """A point; nothing where it is not a number."""
    if not (np.isfinite(x) and np.isfinite(y)):
        return Html("")
    inside = tag("title", told) if told else None
    return tag("circle", inside, cx=f"{x:.1f}", cy=f"{y:.1f}", r=f"{size:g}", class_=class_)


def box(
    x: float, y: float, width: float, height: float, *, class_: str, told: str = "",
    **attributes: object,
) -> Html:  # fmt: skip
    """A filled rectangle."""
    return tag(
        "rect",
        tag("title", told) if told else None,
        x=f"{x:.1f}",
        y=f"{y:.1f}",
        width=f"{max(width, 0):.1f}",
        height=f"{max(height, 0):.1f}",
        class_=class_,
        **attributes,
    )


def whisker(start: tuple[float, float], end: tuple[float, float], class_: str) -> Html:
    """An interval as a line with a bar at either end."""
    is_level = start[1] == end[1]
    dx, dy = (0, 4) if is_level else (4, 0)
    bars = [straight((x - dx, y - dy), (x + dx, y + dy), class_) for x, y in (start, end)]
    return joined([straight(start, end, class_), *bars])


def fitting(draw: Callable[[float], Html]) -> Html:
    """One chart drawn at three widths, of which the style sheet shows the one that fits."""
    return joined(tag("div", draw(width), class_=f"width-{width:g}") for width in WIDTHS)


def legend(entries: Sequence[tuple[str, str]]) -> Html:
    """What the lines and dots are, as a list in the page's own text: class and words of each."""
    found = [
        tag(
            "li",
            tag("svg", _sample(class_), viewBox="0 0 22 12", width="22", height="12",
                aria_hidden="true"),
            text,
        )
        for class_, text in entries
    ]  # fmt: skip
    return tag("ul", *found, class_="legend")


def _sample(class_: str) -> Html:
    if class_.startswith("dot"):
        return dot(11, 6, class_, size=4)
    if class_.startswith("fill"):
        return box(3, 1, 16, 10, class_=class_)
    return straight((1, 6), (21, 6), class_)


def cut(text: str, most: int) -> str:
    """Text with an ellipsis in its middle where it is longer than `most` letters."""
    if len(text) <= most:
        return text
    keep = most - 1
    return text[: keep - keep // 2] + "…" + text[len(text) - keep // 2 :]
