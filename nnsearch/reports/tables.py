"""Plain text tables of rows, and studies side by side. Pure; prints nothing, knows no store."""

import math
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nnsearch.events import Scalar
from nnsearch.study.spec import Direction

WIDTH = 100

_GAP = "  "
_MAX_SHARED = 28
_TENTH, _LARGE = 0.1, 1e6
_MINUTE, _HOUR = 60, 3600


@dataclass(frozen=True, slots=True)
class BestTrial:
    """The best trial of a study, as a comparison shows it.

    `interval` holds the ends of the objective's 95 % interval; `metrics` the trial's others;
    `params` the searched values under their dotted names; `p_value` that of its difference from
    the first study compared, on the same rows, where there is one.
    """

    study: str
    trial: int
    metric: str
    direction: Direction
    value: float
    interval: tuple[float, float] | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    params: Mapping[str, Scalar] = field(default_factory=dict)
    num_trials: int | None = None
    num_parameters: int | None = None
    seconds: float | None = None
    p_value: float | None = None


def table(
    rows: Sequence[Mapping[str, object]],
    columns: Sequence[str] | Mapping[str, str] | None = None,
    *,
    width: int = WIDTH,
) -> str:
    """Rows as aligned text, at most `width` columns wide, without a newline at the end.

    `columns` names the cells to show, or maps each to its heading; by default all, in the order
    they first appear. Numbers are aligned right. What is too wide is cut with an ellipsis; where
    even that does not fit, further columns follow below under the first one.
    """
    if columns is None:
        columns = list(dict.fromkeys(key for row in rows for key in row))
    heads = dict(columns) if isinstance(columns, Mapping) else {name: name for name in columns}
    if not heads:
        return ""
    cells = {
        key: [_one_line(head), *(number(row.get(key)) for row in rows)]
        for key, head in heads.items()
    }
    to_right = {key: all(_is_number(row.get(key)) for row in rows) for key in heads}
    blocks = _blocks({key: max(map(_width, column)) for key, column in cells.items()}, width)
    return "\n\n".join(
        _block({key: cells[key] for key in keys}, to_right, width) for keys in blocks
    )


def number(value: object) -> str:
    """A cell as text: four digits of a real number, whole ones whole, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "yes" if value is True else "no" if value is False else _one_line(str(value))
    if isinstance(value, int):
        return str(value)
    if not math.isfinite(value):
        return str(value)
    if value and not _TENTH <= abs(value) < _LARGE:
        return f"{value:.3g}"
    return f"{value:.{_decimals(value)}f}"


def with_interval(value: float, interval: tuple[float, float] | None) -> str:
    """A number with the ends of its interval, such as `0.975 [0.953, 0.988]`.

    All three have the decimals of the largest. Without an interval, or with one of NaN, the
    number alone.
    """
    if interval is None or not all(map(math.isfinite, (value, *interval))):
        return number(float(value))
    largest = max(map(abs, (value, *interval)))
    if largest and not _TENTH <= largest < _LARGE:
        texts = [f"{each:.3g}" for each in (value, *interval)]
    else:
        texts = [f"{each:.{_decimals(largest)}f}" for each in (value, *interval)]
    return f"{texts[0]} [{texts[1]}, {texts[2]}]"


def duration(seconds: float) -> str:
    """Seconds as `4.2 s`, `3 min 20 s` or `2 h 05 min`."""
    if round(seconds, 1) < _MINUTE:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def comparison_rows(
    trials: Sequence[BestTrial], *, is_comparable: bool = True
) -> list[dict[str, str]]:
    """What `comparison` shows, as rows: cell `""` names the row, `"0"`, `"1"` ... the studies."""
    rows = [_row("best trial", [str(each.trial) for each in trials])]
    objectives = dict.fromkeys(each.metric for each in trials)
    rows += [
        _row(metric, _objective(trials, metric, marks_best=is_comparable)) for metric in objectives
    ]
    others = dict.fromkeys(key for each in trials for key in each.metrics if key not in objectives)
    rows += [_row(key, [number(each.metrics.get(key)) for each in trials]) for key in others]
    rows += [
        _row("p (against the first)", [number(each.p_value) for each in trials]),
        _row("trials", [number(each.num_trials) for each in trials]),
        _row("parameters", [number(each.num_parameters) for each in trials]),
        _row("time", ["" if t.seconds is None else duration(t.seconds) for t in trials]),
    ]
    searched = dict.fromkeys(key for each in trials for key in each.params)
    rows += [_row(key, [_setting(each.params.get(key)) for each in trials]) for key in searched]
    return [row for row in rows if any(cell for key, cell in row.items() if key)]


def comparison(
    trials: Sequence[BestTrial], *, is_comparable: bool = True, width: int = WIDTH
) -> str:
    """The best trials of several studies side by side; the best value of a metric has a `*`.

    Only values of the same metric and direction are compared, and none without `is_comparable`:
    that of other rows is another quantity.
    """
    heads = {"": ""} | {str(place): each.study for place, each in enumerate(trials)}
    rows = comparison_rows(trials, is_comparable=is_comparable)
    return table(rows, heads, width=width)


def _row(name: str, cells: Sequence[str]) -> dict[str, str]:
    return {"": name} | {str(place): cell for place, cell in enumerate(cells)}


def _setting(value: Scalar | None) -> str:
    # 0.1 was set, not 0.100: a setting has no uncertainty to show.
    return f"{value:.4g}" if isinstance(value, float) else number(value)


def _objective(trials: Sequence[BestTrial], metric: str, *, marks_best: bool) -> list[str]:
    mine = [each for each in trials if each.metric == metric and math.isfinite(each.value)]
    best = None
    if marks_best and len(mine) > 1 and len({each.direction for each in mine}) == 1:
        pick = max if mine[0].direction == "maximize" else min
        best = pick(each.value for each in mine)
    cells = []
    for each in trials:
        if each.metric == metric:
            mark = " *" if each.value == best else ""
            cells.append(with_interval(each.value, each.interval) + mark)
        else:
            cells.append(number(each.metrics.get(metric)))
    return cells


def _decimals(largest: float) -> int:
    return max(0, 3 - max(0, math.floor(math.log10(abs(largest))))) if largest else 3


def _blocks(widths: Mapping[str, int], width: int) -> list[list[str]]:
    """The columns of each block: as many as have room, each at most so wide, the first in all."""
    (first, *rest) = widths
    blocks = [[first]]
    for key in rest:
        shared = [min(widths[each], _MAX_SHARED) for each in (*blocks[-1], key)]
        if sum(shared) + len(_GAP) * (len(shared) - 1) > width and len(blocks[-1]) > 1:
            blocks.append([first])
        blocks[-1].append(key)
    return blocks


def _block(cells: Mapping[str, list[str]], to_right: Mapping[str, bool], width: int) -> str:
    widths = {key: max(map(_width, column)) for key, column in cells.items()}
    while sum(widths.values()) + len(_GAP) * (len(widths) - 1) > width:
        widest = max(widths, key=lambda key: widths[key])
        if widths[widest] == 1:
            break
        widths[widest] -= 1
    lines = [
        _line(row, list(widths.values()), [to_right[key] for key in cells])
        for row in zip(*cells.values(), strict=True)
    ]
    return "\n".join([lines[0], _GAP.join("-" * each for each in widths.values()), *lines[1:]])


def _line(cells: Sequence[str], widths: Sequence[int], to_right: Sequence[bool]) -> str:
    parts = []
    for cell, width, is_right in zip(cells, widths, to_right, strict=True):
        text = _cut(cell, width)
        space = " " * (width - _width(text))
        parts.append(space + text if is_right else text + space)
    return _GAP.join(parts).rstrip()


def _is_number(value: object) -> bool:
    if isinstance(value, str):
        return value == "" or value[0] in "-0123456789" or value in {"nan", "inf"}
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while text and _width(text) > width - 1:
        text = text[:-1]
    return text + "…"


def _width(text: str) -> int:
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)


def _one_line(text: str) -> str:
    # A label from a data file must not move the cursor of the terminal that shows it.
    return "".join(letter if letter.isprintable() else "�" for letter in " ".join(text.split()))
