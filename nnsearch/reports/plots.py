"""Pictures of trials and studies as figures. Knows numbers and names only, no files, no stores."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nnsearch.events import Epoch
from nnsearch.reports.canvas import (
    MINUS,
    PALETTE,
    QUIET,
    SMALL,
    TITLE,
    Drawn,
    Figure,
    Legend,
    Words,
    boxes,
    dots,
    figure,
    legend,
    lines,
    readable,
    stroke,
    svg,
    width_of,
    write,
)
from nnsearch.reports.curves import Curve, macro, precision_recall, roc
from nnsearch.reports.matrices import confusion_matrices, confusion_matrix
from nnsearch.reports.panels import Frame, Panel, panel, scale, shares
from nnsearch.study.spec import Direction

__all__ = [
    "best_so_far",
    "confusion_matrices",
    "confusion_matrix",
    "learning_curves",
    "precision_recall_curves",
    "predicted_against_true",
    "residuals",
    "roc_curves",
    "svg",
]

_BINARY, _MAX_CLASSES = 2, 10
_MAX_LEGEND, _MAX_DOTS = 14, 3000
_SIDE = 250.0
_LEFT, _BOTTOM = 58.0, 44.0
_ERROR = f"predicted {MINUS} true"


def learning_curves(
    epochs: Sequence[Epoch], *, objective_key: str, kept_epoch: int, title: str = "Learning curves"
) -> Figure:
    """Loss and objective by epoch, on train and valid, with the epoch whose weights were kept.

    An epoch that was recorded twice, as after a restart, counts as it was last.
    """
    by_epoch = {each.epoch: each.metrics for each in sorted(epochs, key=lambda one: one.epoch)}
    metric = objective_key.partition("/")[2]
    metrics = list(dict.fromkeys(("loss", metric)))
    numbers = list(by_epoch)
    wide, high = 250.0, 190.0
    top = high + 106
    drawn = figure(len(metrics) * (wide + 78) + 4, top)
    write(drawn, [Words(title, 14, top - 20, "left")], size=TITLE, bold=True)
    entries = [Legend("train", PALETTE[0]), Legend("valid", PALETTE[1])]
    kept = Legend(f"kept: epoch {kept_epoch}", "#222222", dashed=True)
    legend(drawn, [*entries, kept], 14, top - 40, across=True)
    for place, name in enumerate(metrics):
        frame = Frame(_LEFT + 4 + place * (wide + 78), _BOTTOM, wide, high)
        parts = {
            part: [by_epoch[number].get(f"{part}/{name}", np.nan) for number in numbers]
            for part in ("train", "valid")
        }
        _history(drawn, frame, name, numbers=numbers, parts=parts, kept_epoch=kept_epoch)
    return drawn


def roc_curves(
    predictions: NDArray[np.floating], targets: NDArray[np.integer], labels: Sequence[str]
) -> Figure:
    """True against false positive rate; one line a class up to 10 classes, else their mean.

    `predictions` [N, P] are probabilities, `targets` [N] class indices. Of two classes the second
    is the positive one.
    """
    drawn, made = _shares_figure(
        "ROC curves", "area under each curve", ("false positive rate", "true positive rate")
    )
    stroke(drawn, *made.place([0, 1], [0, 1]), color="#9a9a9a", width=1, dashed=True)
    _curves(drawn, made, _by_class(roc, predictions, targets, labels))
    return drawn


def precision_recall_curves(
    predictions: NDArray[np.floating], targets: NDArray[np.integer], labels: Sequence[str]
) -> Figure:
    """Precision against recall, as `roc_curves`; the area is the average precision."""
    drawn, made = _shares_figure(
        "Precision-recall curves", "average precision of each", ("recall", "precision")
    )
    _curves(drawn, made, _by_class(precision_recall, predictions, targets, labels))
    return drawn


def residuals(predictions: NDArray[np.floating], targets: NDArray[np.floating]) -> Figure:
    """Predicted minus true, of [N, 1] and [N], against what was predicted and as a histogram."""
    predicted, true, note = _finite(predictions, targets)
    errors = predicted - true
    high = 190.0
    drawn = figure(590, high + 100)
    write(drawn, [Words("Residuals", 14, high + 80, "left")], size=TITLE, bold=True)
    spread = f", mean {errors.mean():.4g}, deviation {errors.std():.4g}" if len(errors) else ""
    told = f"{len(errors)} rows{spread}{note}".replace("-", MINUS)
    write(drawn, [Words(told, 14, high + 66, "left")], size=SMALL, color=QUIET)
    ups = scale([*errors.tolist(), 0.0])
    left = panel(
        drawn,
        Frame(_LEFT + 4, _BOTTOM, 290, high),
        scale(predicted.tolist()),
        ups,
        x_label="predicted",
        y_label=_ERROR,
    )
    stroke(drawn, *left.place([left.x.low, left.x.high], [0, 0]), width=1, dashed=True)
    dots(drawn, *left.place(predicted[_some(predicted)], errors[_some(errors)]), color=PALETTE[0])
    _histogram(drawn, Frame(_LEFT + 364, _BOTTOM, 160, high), errors)
    return drawn


def predicted_against_true(
    predictions: NDArray[np.floating], targets: NDArray[np.floating], name: str = "target"
) -> Figure:
    """Predicted against true numbers; on the dashed line they are equal."""
    predicted, true, note = _finite(predictions, targets)
    drawn = figure(_SIDE + 78, _SIDE + 100)
    write(drawn, [Words("Predicted against true", 14, _SIDE + 80, "left")], size=TITLE, bold=True)
    told = f"{len(true)} rows; equal on the dashed line{note}"
    write(drawn, [Words(told, 14, _SIDE + 66, "left")], size=SMALL, color=QUIET)
    both = scale([*predicted.tolist(), *true.tolist()])
    (shown,) = readable([name])
    labels = {"x_label": f"true {shown}", "y_label": f"predicted {shown}"}
    made = panel(drawn, Frame(_LEFT + 4, _BOTTOM, _SIDE, _SIDE), both, both, **labels)
    ends = [both.low, both.high]
    stroke(drawn, *made.place(ends, ends), width=1, dashed=True)
    dots(drawn, *made.place(true[_some(true)], predicted[_some(predicted)]), color=PALETTE[0])
    return drawn


def best_so_far(
    curves: Mapping[str, Sequence[float]], *, metric: str, direction: Direction
) -> Figure:
    """The best value after each trial, one line a study, from `statistics.best_so_far`."""
    names = readable(list(curves), 30)
    wide, high = 380.0, 230.0
    ends = [
        f"{curve[-1]:.4g}" if len(curve) and np.isfinite(curve[-1]) else "none yet"
        for curve in curves.values()
    ]
    labels = [f"{name} ({end})" for name, end in zip(names, ends, strict=True)]
    room = max((width_of(label) for label in labels), default=0.0) + 40
    drawn = figure(wide + 80 + room, high + 94)
    write(drawn, [Words("Best so far", 14, high + 74, "left")], size=TITLE, bold=True)
    wish = "higher is better" if direction == "maximize" else "lower is better"
    write(drawn, [Words(f"best {metric} after each trial; {wish}", 14, high + 60, "left")],
          size=SMALL, color=QUIET)  # fmt: skip
    longest = max((len(curve) for curve in curves.values()), default=1)
    made = panel(
        drawn,
        Frame(_LEFT + 4, _BOTTOM, wide, high),
        scale([1, longest], whole=True),
        scale((value for curve in curves.values() for value in curve), may_log=True),
        x_label="trials",
        y_label=metric,
    )
    entries = [Legend(label, *_look(number)) for number, label in enumerate(labels)]
    for entry, curve in zip(entries, curves.values(), strict=True):
        xs, ys = made.place(np.arange(1, len(curve) + 1), curve)
        steps = (np.repeat(xs, 2)[1:], np.repeat(ys, 2)[:-1]) if len(xs) > 1 else (xs, ys)
        stroke(drawn, *steps, color=entry.color, width=1.8, dashed=entry.dashed)
        stroke(drawn, xs[-1:], ys[-1:], color=entry.color, width=0, marker="o")
    legend(drawn, entries, _LEFT + wide + 18, _BOTTOM + high - 8)
    return drawn


def _history(
    drawn: Figure,
    frame: Frame,
    name: str,
    *,
    numbers: list[int],
    parts: dict[str, list[float]],
    kept_epoch: int,
) -> None:
    values = [value for line in parts.values() for value in line]
    made = panel(
        drawn,
        frame,
        scale(numbers, whole=True),
        scale(values, may_log=True),
        x_label="epoch",
        y_label=name,
    )
    for (part, line), color in zip(parts.items(), PALETTE, strict=False):
        marker = "o" if np.isfinite(line).sum() == 1 else ""
        stroke(drawn, *made.place(numbers, line), color=color, width=1.8, marker=marker)
        if part == "valid" and kept_epoch in numbers:
            at = line[numbers.index(kept_epoch)]
            bar = ([kept_epoch] * 2, [frame.bottom, frame.bottom + frame.height])
            stroke(drawn, made.place(bar[0], [np.nan] * 2)[0], bar[1], width=1, dashed=True)
            stroke(drawn, *made.place([kept_epoch], [at]), color=color, width=0, marker="o")


def _shares_figure(title: str, told: str, names: tuple[str, str]) -> tuple[Figure, Panel]:
    drawn = figure(_SIDE + 256, _SIDE + 96)
    write(drawn, [Words(title, 14, _SIDE + 76, "left")], size=TITLE, bold=True)
    write(drawn, [Words(f"in brackets the {told}", 14, _SIDE + 62, "left")],
          size=SMALL, color=QUIET)  # fmt: skip
    frame = Frame(_LEFT, _BOTTOM, _SIDE, _SIDE)
    made = panel(drawn, frame, shares(), shares(), x_label=names[0], y_label=names[1])
    return drawn, made


def _by_class(
    points: Callable[[NDArray[np.floating], NDArray[np.bool_], str], Curve],
    predictions: NDArray[np.floating],
    targets: NDArray[np.integer],
    labels: Sequence[str],
) -> list[Curve]:
    shown = readable(labels, _MAX_LEGEND)
    if len(labels) == _BINARY:
        return [points(predictions[:, -1], targets == 1, shown[1])]
    curves = [
        points(predictions[:, number], targets == number, label)
        for number, label in enumerate(shown)
    ]
    mean = macro(curves, label=f"mean of {len(labels)} classes")
    return [mean] if len(labels) > _MAX_CLASSES else [*curves, mean]


def _curves(drawn: Figure, made: Panel, curves: list[Curve]) -> None:
    entries, drawings = [], []
    for number, curve in enumerate(curves):
        is_mean = len(curves) > 1 and number == len(curves) - 1
        color, dashed = ("#222222", False) if is_mean else _look(number)
        area = f"{curve.area:.3f}" if np.isfinite(curve.area) else "no rows"
        entries.append(Legend(f"{curve.label} ({area})", color, dashed))
        width = 2.4 if is_mean else 1.4
        drawings.append(Drawn(*made.place(curve.xs, curve.ys), color, width, dashed))
    lines(drawn, drawings)
    legend(drawn, entries, _LEFT + _SIDE + 16, _BOTTOM + _SIDE - 8)


def _look(number: int) -> tuple[str, bool]:
    # The last colour, black, is kept for means and marks.
    colors = PALETTE[:-1]
    return colors[number % len(colors)], number // len(colors) % 2 == 1


def _histogram(drawn: Figure, frame: Frame, errors: NDArray[np.float64]) -> None:
    low, high = (float(errors.min()), float(errors.max())) if len(errors) else (0.0, 1.0)
    # NumPy wants bins that floats can tell apart.
    room = max(1e-9, 1e-9 * max(abs(low), abs(high)))
    ends = (low, high) if high - low > room else (low - room, high + room)
    num_bins = min(40, max(5, int(len(errors) ** 0.5)))
    counts, edges = np.histogram(errors, bins=num_bins, range=ends)
    ups = scale([0, int(counts.max(initial=1))], whole=True)
    made = panel(
        drawn, frame, scale(edges.tolist(), most=4), ups, x_label=_ERROR,
        y_label="rows",
    )  # fmt: skip
    lefts, tops = made.place(edges[:-1], counts)
    rights, floor = made.place(edges[1:], np.zeros(len(counts)))
    bars = np.column_stack((lefts, floor, rights - lefts, tops - floor))
    boxes(drawn, bars, PALETTE[0], edge="white")


def _finite(
    predictions: NDArray[np.floating], targets: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64], str]:
    predicted = np.asarray(predictions, np.float64).reshape(-1)
    true = np.asarray(targets, np.float64)
    is_finite = np.isfinite(predicted) & np.isfinite(true)
    num_lost = int((~is_finite).sum())
    note = f"; {num_lost} not finite, left out" if num_lost else ""
    return predicted[is_finite], true[is_finite], note


def _some(values: NDArray[np.float64]) -> slice:
    """Every so many of the rows, where there are more than can be told apart."""
    return slice(None, None, -(-len(values) // _MAX_DOTS) or 1)
