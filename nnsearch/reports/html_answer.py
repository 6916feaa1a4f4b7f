"""The top of the page: what won, how sure that is, what it costs, what to do next. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from nnsearch.reports import html_svg as svg
from nnsearch.reports.html_advice import Advice, advice, baseline_of, model_of
from nnsearch.reports.html_content import Cost, Report, Rival
from nnsearch.reports.html_markup import Content, Html, figure, joined, pairs, section, table, tag
from nnsearch.reports.panels import scale
from nnsearch.reports.tables import duration, number, with_interval

_KIB = 1024.0
_ROW, _TOP = 34.0, 8.0
STATES = ("complete", "infeasible", "pruned", "failed", "open")


@dataclass(frozen=True, slots=True)
class Measured:
    """A value of the objective's metric: of which rows, how it looks, and its 95 % interval."""

    name: str
    value: float
    look: str
    interval: tuple[float, float] | None = None


def answer(report: Report) -> Html:
    """The section that a reader who has a minute reads."""
    if report.best is None:
        nothing = tag(
            "p", "No trial has completed, so there is nothing to report yet.", class_="lead"
        )
        return section("answer", "The answer", nothing, _next(report))
    told = tag(
        "div",
        tag("h3", "How sure"),
        tag("ul", *(tag("li", each) for each in _sure(report))),
        class_="card sure",
    )
    measured = tag("div", tag("h3", "What was measured"), _measured(report), class_="card measured")
    cost = tag("div", tag("h3", "What it cost"), pairs(_cost(report)), class_="card cost")
    won = tag("div", tag("h3", "What won"), pairs(_winner(report)), class_="card won")
    grid = tag("div", measured, told, won, cost, _next(report), class_="grid answer")
    return section("answer", "The answer", _lead(report), grid)


def _lead(report: Report) -> Html:
    best, tested, metric = report.best, report.tested, report.objective.metric
    assert best is not None  # noqa: S101 - the caller's promise
    model = f" ({name})" if (name := model_of(report)) else ""
    if tested is None or metric not in tested.metrics:
        value, where = number(best.value), "on the validation rows; test has not been looked at"
    else:
        value = with_interval(tested.metrics[metric], tested.intervals.get(metric))
        where = f"on {tested.num_rows} test rows"
    said = tag("strong", f"{metric} {value}")
    return tag("p", f"Trial {best.trial}{model} won: ", said, f" {where}.", class_="lead")


def _sure(report: Report) -> Iterator[Content]:
    tested, metric = report.tested, report.objective.metric
    wish = "higher" if report.objective.direction == "maximize" else "lower"
    if tested is not None:
        ends = tested.intervals.get(metric)
        if ends is not None:
            yield (
                f"What {tested.num_rows} rows can tell of all rows of their kind: {metric} from"
                f" {number(ends[0])} to {number(ends[1])} (95 % interval); {wish} is better."
            )
        yield from (each for each in tested.notes if re.search(rf"\b{re.escape(metric)}\b", each))
        if report.num_looks == 1:
            yield "The test rows were looked at once, after this trial had been chosen."
        else:
            yield (
                f"The test rows were looked at {report.num_looks} times; if a look made somebody"
                " go on, this value flatters, and new data should be trusted more."
            )
    num_complete = len(report.complete)
    assert report.best is not None  # noqa: S101 - the caller's promise
    if report.confirmed is not None:
        first = report.confirmed.candidates[0]
        yield (
            f"Trained again on {len(first.values)} fresh seeds it is expected to give"
            f" {with_interval(first.estimate, (first.low, first.high))} on new rows; in the search"
            f" it had {number(first.searched)}."
        )
    elif num_complete > 1:
        yield (
            f"Its validation value, {number(report.best.value)}, is the best of {num_complete}"
            " and flatters it for that alone: expect what the test rows gave."
        )
    for rival in report.rivals:
        yield _against(report, rival)


def _against(report: Report, rival: Rival) -> str:
    start = f"Against {rival.name} ({number(rival.value)})"
    found = rival.difference
    if found is None or not np.isfinite([found.low, found.high]).all():
        return f"{start}: no test of the difference, for lack of predictions."
    change = f"{found.value:+.3g} [{found.low:+.3g}, {found.high:+.3g}]"
    start += f" on the same {rival.num_rows} validation rows: {change}"
    if found.low <= 0 <= found.high:
        return f"{start}. The interval holds 0: chance alone may do that."
    is_better = (found.value > 0) == (report.objective.direction == "maximize")
    side = "better" if is_better else "worse"
    return f"{start}: {side}, beyond what chance alone would do for two trials picked beforehand."


def _measured(report: Report) -> Html:
    """The numbers of the objective's metric on one axis."""
    values, metric = _values(report), report.objective.metric
    ends = [end for each in values for end in (each.value, *(each.interval or ()))]
    height = _TOP + _ROW * len(values) + 44
    plot = svg.Plot(
        scale(ends, most=4), scale([0, 1]), height=height, left=112, top=_TOP, bottom=44
    )
    parts = []
    floor = height - plot.bottom
    for at, text in zip(plot.across(svg.ticks_of(plot.x)).tolist(), plot.x.labels, strict=True):
        parts.append(svg.straight((at, plot.top), (at, floor), "grid"))
        parts.append(svg.words(text, at, floor + 16))
    parts += [_row(plot, place, each) for place, each in enumerate(values)]
    middle = (plot.left + plot.width - plot.right) / 2
    parts.append(svg.words(metric, middle, height - 8, class_="name"))
    label = "; ".join(f"{each.name}: {with_interval(each.value, each.interval)}" for each in values)
    numbers = [
        {
            "measured on": each.name,
            metric: each.value,
            "95 % interval": " to ".join(map(number, each.interval or ())),
        }
        for each in values
    ]
    return figure(
        f"{metric} of the winner and of the {baseline_of(report)} baseline",
        svg.svg(label, plot.width, height, *parts),
        note="The line is the 95 % interval; the test value is the one to quote.",
        numbers=table(numbers, caption="What was measured"),
    )


def _values(report: Report) -> list[Measured]:
    metric, tested = report.objective.metric, report.tested
    found: list[Measured] = []
    if tested is not None and metric in tested.metrics:
        ends = tested.intervals.get(metric)
        found.append(Measured("test", tested.metrics[metric], "dot-a", ends))
    assert report.best is not None  # noqa: S101 - the caller's promise
    if report.confirmed is not None:
        first = report.confirmed.candidates[0]
        found.append(Measured("expected", first.estimate, "dot-a", (first.low, first.high)))
    found.append(Measured("validation", report.best.value, "dot-b"))
    if report.baseline is not None:
        found.append(Measured(f"{baseline_of(report)}, valid.", report.baseline, "dot-c"))
    return found


def _row(plot: svg.Plot, place: int, each: Measured) -> Html:
    middle = _TOP + _ROW * (place + 0.5)
    x = float(plot.across(each.value))
    parts = [svg.words(each.name, plot.left - 8, middle + 4, anchor="end", class_="name")]
    if each.interval is not None:
        low, high = plot.across(each.interval).tolist()
        parts.append(svg.whisker((low, middle), (high, middle), "line-a"))
    told = f"{each.name} {number(each.value)}"
    parts.append(svg.dot(x, middle, each.look, size=5, told=told))
    return joined([*parts, svg.words(number(each.value), x, middle - 9)])


def _winner(report: Report) -> dict[str, Content]:
    best, trial = report.best, report.best_trial
    assert best is not None  # noqa: S101 - the caller's promise
    assert trial is not None  # noqa: S101 - a best trial is one of the trials
    told: dict[str, Content] = {"trial": str(best.trial)}
    if name := model_of(report):
        told["model"] = name
    shown = {key: each for key, each in trial.params.items() if key != "model.name"}
    for key, value in shown.items():
        told[key] = f"{value:.4g}" if isinstance(value, float) else str(value)
    told["kept epoch"] = f"{best.epoch} of {trial.epochs}"
    return told


def _cost(report: Report) -> dict[str, Content]:
    cost, counts = report.cost, dict[str, int]()
    for each in report.trials:
        counts[each.state] = counts.get(each.state, 0) + 1
    states = ", ".join(f"{counts[state]} {state}" for state in STATES if state in counts)
    told: dict[str, Content] = {
        "trials": f"{len(report.trials)} ({states})",
        "epochs": f"{cost.num_epochs:,}",
        "training": duration(cost.training_seconds),
    }
    if cost.wall_seconds is not None:
        told["wall clock"] = duration(cost.wall_seconds)
    return told | _size(cost) | {"machine": _machine(report)}


def _size(cost: Cost) -> dict[str, Content]:
    told: dict[str, Content] = {}
    if cost.num_parameters:
        told["weights"] = f"{cost.num_parameters:,} numbers"
    if cost.export_bytes:
        told["exported"] = f"{cost.export_bytes / _KIB:,.0f} KiB"
    return told


def _machine(report: Report) -> str:
    cpus = report.facts.get("cpus", "")
    return f"{cpus} CPU cores" if cpus else "unknown"


def _next(report: Report) -> Html:
    found = [_step(each) for each in advice(report)]
    return tag("div", tag("h3", "What to do next"), tag("ol", *found), class_="card next")


def _step(each: Advice) -> Html:
    command = tag("pre", tag("code", each.command), tabindex="0") if each.command else None
    return tag("li", tag("strong", f"{each.what.rstrip('.')}. "), each.why, command)
