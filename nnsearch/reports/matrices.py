"""Draw confusion matrices, one or several beside each other. Knows no trial and no metric."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nnsearch.reports.canvas import (
    QUIET,
    SMALL,
    TEXT,
    TITLE,
    Figure,
    Floats,
    Words,
    boxes,
    figure,
    readable,
    size_of,
    width_of,
    write,
)

_RIGHT = np.array((0x08, 0x45, 0x94)) / 255
_WRONG = np.array((0xA6, 0x3F, 0x03)) / 255
_WHITE = np.ones(3)
_BRIGHTNESS = np.array((0.299, 0.587, 0.114))
_DARK = 0.6
_MAX_WRITTEN = 40
_HEAD, _FOOT, _AXIS = 52.0, 20.0, 22.0
_PER_ROW = 3


def confusion_matrix(
    counts: NDArray[np.integer], labels: Sequence[str], *, title: str = "Confusion matrix"
) -> Figure:
    """Counts [true, predicted] with the share of each row; right cells blue, wrong ones orange.

    Up to 40 classes the numbers stand in the cells; above, only the colours.
    """
    return confusion_matrices({title: counts}, labels)


def confusion_matrices(
    matrices: Mapping[str, NDArray[np.integer]], labels: Sequence[str]
) -> Figure:
    """Several matrices over the same classes, three to a row, each under its name."""
    shown = readable(labels)
    cell = _cell(len(labels))
    margin = max(width_of(label, SMALL) for label in shown) + 8
    sideways = any(width_of(label, SMALL) > cell - 3 for label in shown)
    head = _HEAD + (margin if sideways else 14)
    side = cell * len(labels)
    titles = [width_of(title, TITLE, bold=True) for title in matrices]
    width = max(_AXIS + margin + side + 16, *titles, 0) + 16
    height = head + side + _FOOT
    columns = min(_PER_ROW, len(matrices))
    rows = -(-len(matrices) // columns)
    drawn = figure(width * columns, height * rows)
    for number, (title, counts) in enumerate(matrices.items()):
        left = width * (number % columns) + 8 + _AXIS + margin
        top = height * (rows - number // columns) - head
        _headline(drawn, title, counts, left=left - margin - _AXIS, top=top + head)
        _cells(drawn, counts, left=left, top=top, cell=cell)
        _names(drawn, shown, left=left, top=top, cell=cell, sideways=sideways)
        middle = Words("true class", left - margin - 6, top - side / 2, turned=True)
        write(drawn, [middle, Words("predicted class", left + side / 2, top + head - 50)])
    return drawn


def _cell(num_classes: int) -> float:
    for most, points in ((3, 76.0), (5, 60.0), (12, 40.0), (20, 32.0), (_MAX_WRITTEN, 28.0)):
        if num_classes <= most:
            return points
    return max(4.0, 900.0 / num_classes)


def _headline(
    drawn: Figure, title: str, counts: NDArray[np.integer], *, left: float, top: float
) -> None:
    total, right = int(counts.sum()), int(np.trace(counts))
    share = (
        f" ({right / total if right == total else min(right / total, 0.999):.1%})" if total else ""
    )
    write(drawn, [Words(title, left, top - 18, "left")], size=TITLE, bold=True)
    below = f"{right} of {total} right{share}; the shares of a row add up to 100 %"
    room = size_of(drawn)[0] - left
    fits = width_of(below, SMALL) < room
    text = below if fits else f"{right} of {total} right{share}"
    write(drawn, [Words(text, left, top - 32, "left")], size=SMALL, color=QUIET)


def _cells(
    drawn: Figure, counts: NDArray[np.integer], *, left: float, top: float, cell: float
) -> None:
    num_classes = len(counts)
    totals = counts.sum(axis=1, keepdims=True)
    shares = counts / np.maximum(totals, 1)
    rows, columns = np.divmod(np.arange(num_classes**2), num_classes)
    xs, ys = left + columns * cell, top - (rows + 1) * cell
    corners = np.column_stack((xs, ys, np.full_like(xs, cell), np.full_like(xs, cell)))
    edge = "white" if num_classes <= _MAX_WRITTEN else "none"
    boxes(drawn, corners, _colors(shares).reshape(-1, 3), edge=edge)
    outline = np.array([[left, top - cell * num_classes, cell * num_classes, cell * num_classes]])
    boxes(drawn, outline, [(0, 0, 0, 0)], edge="#999999")
    if num_classes <= _MAX_WRITTEN:
        centres = np.column_stack((xs + cell / 2, ys + cell / 2))
        _numbers(drawn, counts.ravel(), shares.ravel(), centres=centres, cell=cell)


def _colors(shares: Floats) -> Floats:
    # A share of a few per cent is what one looks for among the faults: the root lifts it.
    is_right = np.eye(len(shares), dtype=bool)[..., None]
    depth = np.where(is_right[..., 0], shares, np.sqrt(shares))[..., None]
    full = np.where(is_right, _RIGHT, _WRONG)
    colors: Floats = _WHITE + (full - _WHITE) * depth
    return colors


def _numbers(
    drawn: Figure,
    counts: NDArray[np.integer],
    shares: Floats,
    *,
    centres: Floats,
    cell: float,
) -> None:
    num_classes = int(np.sqrt(len(counts)))
    dark = _colors(shares.reshape(num_classes, -1)).reshape(-1, 3) @ _BRIGHTNESS < _DARK
    widest = max(width_of(str(counts.max()), 1.0), 1.0)
    large = min(cell * 0.3, (cell - 4) / widest, 14.0)
    small = min(cell * 0.22, (cell - 4) / width_of("100%", 1.0), 10.0)
    for mask, ink in ((dark, "white"), (~dark, "#222222")):
        filled = np.flatnonzero(mask & (counts > 0))
        spots = [
            (int(at), float(x), float(y))
            for at, (x, y) in zip(filled, centres[filled], strict=True)
        ]
        write(
            drawn,
            [Words(str(counts[at]), x, y + large * 0.1) for at, x, y in spots],
            size=large,
            color=ink,
        )
        write(
            drawn,
            [Words(_percent(shares[at]), x, y - small * 1.15) for at, x, y in spots],
            size=small,
            color=ink,
        )


def _percent(share: float) -> str:
    # A fault must not be hidden by rounding: 99.6 % is not 100, and 0.4 % is not 0.
    if share == 1:
        return "100%"
    return "<1%" if share < 1 / 100 else f"{min(share * 100, 99):.0f}%"


def _names(
    drawn: Figure, labels: Sequence[str], *, left: float, top: float, cell: float, sideways: bool
) -> None:
    every = max(1, int(np.ceil(10 / cell)))
    words = []
    for number, label in list(enumerate(labels))[::every]:
        along = (number + 0.5) * cell
        words.append(Words(label, left - 5, top - along - 3, "right"))
        if sideways:
            words.append(Words(label, left + along + 3, top + 5, "left", turned=True))
        else:
            words.append(Words(label, left + along, top + 5))
    write(drawn, words, size=min(SMALL, TEXT))
