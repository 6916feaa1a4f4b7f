"""Draw text, lines and boxes in points on a figure that becomes an SVG file. Knows no trial.

Every trial gets several pictures, and SVG is written as fast as text is put together: a tenth of
what a plotting library takes for the same picture as pixels. It is sharp at any size, and MLflow
and every browser show it. No global state: any thread may draw.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Align = Literal["left", "center", "right"]

# Okabe and Ito's colours without the yellow, which is too light for a line on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK = "#222222"
QUIET = "#6b6b6b"
GRID = "#e3e3e3"
MINUS = "\N{MINUS SIGN}"
TITLE, TEXT, SMALL = 12.0, 9.0, 8.0

_PIXELS = 96 / 72  # of CSS, to a point
# DejaVu Sans and Verdana are as wide; the browser's own font, where neither is there, is narrower.
_FONTS = "DejaVu Sans, Verdana, Geneva, sans-serif"
# How wide DejaVu Sans writes the letters from the space to the tilde, in hundredths of its size.
_ADVANCES = (
    32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 34, 34, 84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79,
    60, 79, 69, 63, 61, 73, 68, 99, 69, 61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63, 62, 35, 63,
    63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84,
)  # fmt: skip
_ADVANCE = {chr(32 + at): advance / 100 for at, advance in enumerate(_ADVANCES)}
_LATIN_ENDS, _NARROW, _WIDE, _BOLDER = 0x500, 0.65, 1.0, 1.12
_ANCHORS = {"left": "start", "center": "middle", "right": "end"}


@dataclass(frozen=True, slots=True)
class Figure:
    """A white page of `width` by `height` points and what is drawn on it, the latest on top."""

    width: float
    height: float
    parts: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Words:
    """A piece of text at a point, in points from the lower left; `turned` runs upwards."""

    text: str
    x: float
    y: float
    align: Align = "center"
    turned: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """A line for `lines`: its points, and how it looks."""

    xs: Floats
    ys: Floats
    color: str
    width: float = 1.4
    dashed: bool = False


def figure(width: float, height: float) -> Figure:
    """An empty white figure of so many points."""
    return Figure(width, height)


def size_of(drawn: Figure) -> tuple[float, float]:
    """Width and height in points."""
    return drawn.width, drawn.height


def svg(drawn: Figure) -> bytes:
    """The figure as an SVG file that needs nothing else: the same bytes each time."""
    width, height = drawn.width, drawn.height
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width * _PIXELS:.0f}" '
        f'height="{height * _PIXELS:.0f}" viewBox="0 0 {width:.1f} {height:.1f}" '
        f'font-family="{_FONTS}">\n<rect width="100%" height="100%" fill="white"/>\n'
    )
    return "".join((head, *drawn.parts, "</svg>\n")).encode()


def write(
    drawn: Figure,
    words: Iterable[Words],
    *,
    size: float = TEXT,
    color: str = INK,
    bold: bool = False,
) -> None:
    """Write pieces of text of one look."""
    texts = []
    for each in words:
        x, y = f"{each.x:.1f}", f"{drawn.height - each.y:.1f}"
        turn = f' transform="rotate(-90 {x} {y})"' if each.turned else ""
        anchor = _ANCHORS[each.align]
        text = escape(_printable(each.text), quote=False)
        texts.append(f'<text x="{x}" y="{y}" text-anchor="{anchor}"{turn}>{text}</text>\n')
    if texts:
        weight = ' font-weight="bold"' if bold else ""
        look = f'<g font-size="{size:.3g}" fill="{color}"{weight}>\n'
        drawn.parts.append("".join((look, *texts, "</g>\n")))


def width_of(text: str, size: float = TEXT, *, bold: bool = False) -> float:
    """How many points a piece of text takes, as DejaVu Sans writes it."""
    advances = (
        _ADVANCE.get(letter, _NARROW if ord(letter) < _LATIN_ENDS else _WIDE) for letter in text
    )
    return size * sum(advances) * (_BOLDER if bold else 1)


def readable(labels: Sequence[str], limit: int = 18) -> list[str]:
    """Labels as a picture can show them: short, on one line, still told apart.

    A label that is empty, or that would be cut down to the same text as another, becomes its
    number, such as `#3`.
    """
    short = [_clip(_printable(" ".join(label.split())), limit) for label in labels]
    return [
        text if text and short.count(text) == 1 else f"#{number}"
        for number, text in enumerate(short)
    ]


def stroke(
    drawn: Figure,
    xs: ArrayLike,
    ys: ArrayLike,
    *,
    color: str = INK,
    width: float = 1.0,
    dashed: bool = False,
    marker: str = "",
) -> None:
    """A line through points, broken at NaN; with a marker and width 0 only its points."""
    points = _points(drawn, xs, ys)
    if width:
        _line(drawn, points, color=color, width=width, dashed=dashed)
    if marker:
        found = points[np.isfinite(points).all(axis=1)].tolist()
        rounds = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.25"/>' for x, y in found]
        drawn.parts.append(f'<g fill="{color}">{"".join(rounds)}</g>\n')


def lines(drawn: Figure, drawings: Sequence[Drawn]) -> None:
    """Several lines."""
    for each in drawings:
        points = _points(drawn, each.xs, each.ys)
        _line(drawn, points, color=each.color, width=each.width, dashed=each.dashed)


def dots(drawn: Figure, xs: ArrayLike, ys: ArrayLike, *, color: str) -> None:
    """Small translucent points, so that where many lie together it is darker."""
    points = _points(drawn, xs, ys)
    places = " ".join(f"{x:.1f},{y:.1f}" for x, y in points[np.isfinite(points).all(1)].tolist())
    name = f"dot{len(drawn.parts)}"
    ends = " ".join(f'marker-{place}="url(#{name})"' for place in ("start", "mid", "end"))
    drawn.parts.append(
        f'<marker id="{name}" viewBox="-2 -2 4 4" markerWidth="4" markerHeight="4" '
        f'markerUnits="userSpaceOnUse"><circle r="2" fill="{color}" fill-opacity="0.45"/></marker>'
        f'<polyline points="{places}" fill="none" stroke="none" {ends}/>\n'
    )


def boxes(drawn: Figure, corners: Floats, colors: Any, *, edge: str = "none") -> None:
    """Filled rectangles [N, 4] of left, bottom, width, height, in one colour or one each.

    A colour is a name, or three or four shares of red, green, blue and opacity.
    """
    by_color: dict[str, list[str]] = {}
    fills = [colors] * len(corners) if isinstance(colors, str) else _names(colors)
    for (left, bottom, width, height), fill in zip(corners.tolist(), fills, strict=True):
        top = drawn.height - bottom - height
        way = f"M{left:.1f} {top:.1f}h{width:.1f}v{height:.1f}h{-width:.1f}z"
        by_color.setdefault(fill, []).append(way)
    for fill, ways in by_color.items():
        drawn.parts.append(
            f'<path d="{"".join(ways)}" fill="{fill}" stroke="{edge}" stroke-width="0.6"/>\n'
        )


@dataclass(frozen=True, slots=True)
class Legend:
    """What a line in a picture means."""

    label: str
    color: str
    dashed: bool = False


def legend(
    drawn: Figure, entries: Sequence[Legend], x: float, y: float, *, across: bool = False
) -> None:
    """Entries below each other, or across, from the point (x, y) on; outside of every panel."""
    words = []
    for entry in entries:
        way = f"M{x:.1f} {drawn.height - y:.1f}h18"
        _path(drawn, way, color=entry.color, width=2, dashed=entry.dashed)
        words.append(Words(entry.label, x + 23, y - 3, "left"))
        if across:
            x += 23 + width_of(entry.label) + 16
        else:
            y -= 14
    write(drawn, words)


def _points(drawn: Figure, xs: ArrayLike, ys: ArrayLike) -> Floats:
    """Places [N, 2] as SVG counts them, from the top; what lies far outside is not a number."""
    found = np.column_stack((np.asarray(xs, np.float64), drawn.height - np.asarray(ys, np.float64)))
    found[np.abs(found) > 10 * (drawn.width + drawn.height)] = np.nan
    return found


def _line(drawn: Figure, points: Floats, *, color: str, width: float, dashed: bool) -> None:
    way = "".join(_way(points))
    if way:
        _path(drawn, way, color=color, width=width, dashed=dashed)


def _path(drawn: Figure, way: str, *, color: str, width: float, dashed: bool) -> None:
    dash = f' stroke-dasharray="{3.7 * width:.1f} {1.6 * width:.1f}"' if dashed else ""
    drawn.parts.append(
        f'<path d="{way}" fill="none" stroke="{color}" stroke-width="{width:g}" '
        f'stroke-linejoin="round"{dash}/>\n'
    )


def _way(points: Floats) -> Iterable[str]:
    letter = "M"
    for x, y in _turns(np.round(points, 1)).tolist():
        if x == x and y == y:  # noqa: PLR0124 - neither is NaN
            yield f"{letter}{x:g} {y:g}"
            letter = "L"
        else:
            letter = "M"


def _turns(points: Floats) -> Floats:
    """The points without those between two others on a level or upright line.

    Curves of thousands of rows are stairs, of which no more can be seen than has pixels.
    """
    if len(points) < 3:  # noqa: PLR2004 - ends only
        return points
    steps = np.diff(points, axis=0)
    is_level = (steps[:-1] == 0) & (steps[1:] == 0)
    goes_on = steps[:-1] * steps[1:] >= 0  # and NaN never does
    keeps = np.concatenate(([True], ~(is_level.any(axis=1) & goes_on.all(axis=1)), [True]))
    return points[keeps]


def _names(colors: Any) -> list[str]:
    shades = np.round(np.asarray(colors, np.float64) * 255).astype(int).tolist()
    return ["#" + "".join(f"{part:02x}" for part in shade) for shade in shades]


def _printable(text: str) -> str:
    """Without what XML cannot hold: control characters and halves of pairs."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _clip(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
