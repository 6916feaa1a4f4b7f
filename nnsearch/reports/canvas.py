"""Draw text, lines and panels in points on a matplotlib Figure. Knows nothing of trials.

matplotlib's own Axes and Text spend most of a small picture's time on ticks and layout. Every
trial gets several pictures, so here a picture's whole text is a few compound paths made of cached
glyphs, which takes a quarter of the time. No pyplot and no global state: any thread may draw.
"""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.ft2font import LoadFlags
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from matplotlib.transforms import Affine2D
from numpy.typing import ArrayLike, NDArray
from PIL import Image

Floats = NDArray[np.float64]
Align = Literal["left", "center", "right"]

# Okabe and Ito's colours without the yellow, which is too light for a line on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK = "#222222"
QUIET = "#6b6b6b"
GRID = "#e3e3e3"
MINUS = "\N{MINUS SIGN}"
TITLE, TEXT, SMALL = 12.0, 9.0, 8.0

_DPI = 100
_MAX_COLORS, _NUM_BINS = 256, 4096
_WHITE = 0xFFFFFFFF
_EM = 100.0
_FAMILY = "DejaVu Sans"


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
    """An empty white figure of so many points, with an Agg canvas of its own."""
    blank = Figure(figsize=(width / 72, height / 72), dpi=_DPI, facecolor="white")
    FigureCanvasAgg(blank)
    return blank


def size_of(drawn: Figure) -> tuple[float, float]:
    """Width and height in points."""
    width, height = drawn.get_size_inches()
    return float(width) * 72, float(height) * 72


def png(drawn: Figure) -> bytes:
    """The figure as a PNG file of few colours: small, quick to write, the same bytes each time."""
    canvas: Any = FigureCanvasAgg(drawn)
    canvas.draw()
    buffer = io.BytesIO()
    _of_few_colors(np.asarray(canvas.buffer_rgba())).save(buffer, "png", compress_level=3)
    return buffer.getvalue()


def _of_few_colors(rgba: NDArray[np.uint8]) -> Image.Image:
    """The same pixels [H, W, 4] with a palette: a third of the bytes, and half the time.

    Pixels whose upper four bits agree share a colour, that of one of them, and what is rarer than
    the 256 commonest takes the nearest of these: nobody sees it in flat colours and soft edges.
    """
    pixels = rgba.view("<u4").ravel()
    inked = np.flatnonzero(pixels != _WHITE)  # most of a chart is paper, which costs nothing so
    found = pixels[inked]
    bins = (found >> 4 & 0xF) | (found >> 8 & 0xF0) | (found >> 12 & 0xF00)
    counts = np.bincount(bins, minlength=_NUM_BINS)
    counts[-1] = len(pixels)  # white has its place, also where it is rare
    order = np.argsort(-counts, kind="stable")
    kept, rest = np.split(order[: np.count_nonzero(counts)], [_MAX_COLORS])
    colors = np.zeros(_NUM_BINS, "<u4")
    colors[bins] = found
    colors[-1] = _WHITE
    place = np.zeros(_NUM_BINS, np.uint8)
    place[kept] = np.arange(len(kept), dtype=np.uint8)
    shades = colors.view(np.uint8).reshape(-1, 4)[:, :3].astype(np.int64)
    if len(rest):
        gaps = ((shades[rest, None] - shades[None, kept]) ** 2).sum(axis=2)
        place[rest] = gaps.argmin(axis=1).astype(np.uint8)
    indices = np.full(len(pixels), place[-1], np.uint8)
    indices[inked] = place[bins]
    picture = Image.fromarray(indices.reshape(rgba.shape[:2]))
    picture.putpalette(shades[kept].astype(np.uint8).tobytes())
    return picture


def add(drawn: Figure, artist: Artist) -> None:
    """Put an artist whose coordinates are points on the figure, above all that is there."""
    artist.set_transform(Affine2D().scale(1 / 72) + drawn.dpi_scale_trans)
    artist.set_zorder(len(drawn.get_children()))
    drawn.add_artist(artist)


def write(
    drawn: Figure,
    words: Iterable[Words],
    *,
    size: float = TEXT,
    color: str = INK,
    bold: bool = False,
) -> None:
    """Write pieces of text, all in one path; letters without a glyph come out as `?`."""
    corners: list[Floats] = []
    codes: list[NDArray[np.uint8]] = []
    for each in words:
        shape, code, width = _line(each.text, bold)
        if not len(shape):
            continue
        shift = {"left": 0.0, "center": 0.5, "right": 1.0}[each.align]
        placed = (shape - (shift * width, 0.0)) * size
        corners.append((placed[:, ::-1] * (-1, 1) if each.turned else placed) + (each.x, each.y))
        codes.append(code)
    if corners:
        path = Path(np.concatenate(corners), np.concatenate(codes))
        add(drawn, PathPatch(path, linewidth=0, facecolor=color))


def width_of(text: str, size: float = TEXT, *, bold: bool = False) -> float:
    """How many points a piece of text takes."""
    return size * _line(text, bold)[2]


def readable(labels: Sequence[str], limit: int = 18) -> list[str]:
    """Labels as a picture can show them: short, on one line, still told apart.

    A label that the font cannot write becomes its number, such as `#3`; so does one that would be
    cut down to the same text as another.
    """
    short = [_clip(" ".join(label.split()), limit) for label in labels]
    return [
        text if text and short.count(text) == 1 and _can_write(text) else f"#{number}"
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
    line = Line2D(np.asarray(xs), np.asarray(ys), color=color, linewidth=width, marker=marker)
    line.set_linestyle(("--" if dashed else "-") if width else "none")
    line.set_markersize(4.5)
    line.set_markeredgewidth(0)
    add(drawn, line)


def lines(drawn: Figure, drawings: Sequence[Drawn]) -> None:
    """Several lines in one artist, which costs little more than one line."""
    add(
        drawn,
        LineCollection(
            [np.column_stack((each.xs, each.ys)) for each in drawings if len(each.xs)],
            colors=[each.color for each in drawings if len(each.xs)],
            linewidths=[each.width for each in drawings if len(each.xs)],
            linestyles=["--" if each.dashed else "-" for each in drawings if len(each.xs)],
        ),
    )


def dots(drawn: Figure, xs: ArrayLike, ys: ArrayLike, *, color: str) -> None:
    """Small translucent points, so that where many lie together it is darker."""
    marks = Line2D(np.asarray(xs), np.asarray(ys), linestyle="none", marker="o", color=color)
    marks.set_markersize(4)
    marks.set_markeredgewidth(0)
    marks.set_alpha(0.45)
    add(drawn, marks)


def boxes(drawn: Figure, corners: Floats, colors: Any, *, edge: str = "none") -> None:
    """Filled rectangles [N, 4] of left, bottom, width, height, in one draw."""
    left, bottom, width, height = corners.T
    xs = np.stack((left, left + width, left + width, left), axis=1)
    ys = np.stack((bottom, bottom, bottom + height, bottom + height), axis=1)
    squares: Any = np.stack((xs, ys), axis=2)
    shapes = PolyCollection(squares, facecolors=colors, edgecolors=edge, linewidths=0.6)
    add(drawn, shapes)


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
    words, keys = [], []
    for entry in entries:
        ends = np.array([x, x + 18])
        keys.append(Drawn(ends, np.full(2, y), entry.color, 2, entry.dashed))
        words.append(Words(entry.label, x + 23, y - 3, "left"))
        if across:
            x += 23 + width_of(entry.label) + 16
        else:
            y -= 14
    lines(drawn, keys)
    write(drawn, words)


@lru_cache(maxsize=4096)
def _line(text: str, bold: bool) -> tuple[Floats, NDArray[np.uint8], float]:  # noqa: FBT001
    """The outline of a text one point high from 0 on, its path codes, and its width."""
    shapes, codes, at = [np.empty((0, 2))], [np.empty(0, np.uint8)], 0.0
    for letter in text:
        shape, code, advance = _glyph(letter, bold)
        shapes.append(np.add(shape, (at, 0.0)))
        codes.append(code)
        at += advance
    return np.concatenate(shapes), np.concatenate(codes), at


@cache
def _glyph(letter: str, bold: bool) -> tuple[Floats, NDArray[np.uint8], float]:  # noqa: FBT001
    """The outline of a letter one point high, its path codes, and its advance."""
    if not _can_write(letter):
        return _glyph("?", bold)
    weight = "bold" if bold else "normal"
    font = get_font(findfont(FontProperties(family=_FAMILY, weight=weight)))
    font.set_size(_EM, 72)
    loaded = font.load_char(ord(letter), flags=LoadFlags.NO_HINTING)
    corners, codes = font.get_path()
    return (
        np.asarray(corners, np.float64).reshape(-1, 2) / _EM,
        np.asarray(codes, np.uint8),
        loaded.linearHoriAdvance / 65536 / _EM,
    )


def _can_write(text: str) -> bool:
    cmap = _letters()
    return all(ord(letter) in cmap for letter in text)


@cache
def _letters() -> frozenset[int]:
    return frozenset(get_font(findfont(FontProperties(family=_FAMILY))).get_charmap())


def _clip(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
