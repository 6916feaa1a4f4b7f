"""The top of the page: what won, how sure that is, what it costs, what to do next. Pure."""

from collections.abc import Iterator

import numpy as np

from nnsearch.reports import html_svg as svg
from nnsearch.reports.html_advice import Advice, advice
from nnsearch.reports.html_content import Cost, Report, Rival
from nnsearch.reports.html_markup import Content, Html, figure, joined, pairs, section, table, tag
from nnsearch.reports.panels import scale
from nnsearch.reports.tables import duration, number, with_interval

_KIB = 1024.0
_ROW, _TOP = 34.0, 8.0


def answer(report: Report) -> Html:
    """The section that a reader who has a minute reads."""
    if report.best is None:
        nothing = tag("p", "No trial has completed, so there is nothing to report yet.", class_="lead")
        return section("answer", "The answer", nothing, _next(report))
    told = tag(
        "div",
        tag("h3", "How sure"),
        tag("ul", *(tag("li", each) for each in _sure(report))),
        class_="card",
    )
    measured = tag("div", tag("h3", "What was measured"), _measured(report), class_="card")
    cost = tag("div", tag("h3", "What it cost"), pairs(_cost(report)), class_="card")
    won = tag("div", tag("h3", "What won"), pairs(_winner(report)), class_="card")
    grid = tag("div", measured, told, won, cost, class_="grid")
    return section("answer", "The answer", _lead(report), grid, _next(report))


def _lead(report: Report) -> Html:
    best, tested, metric = report.best, report.tested, report.objective.metric
    assert best is not None  # noqa: S101 - the caller's promise
    model = f" ({name})" if (name := _model(report)) else ""
    if tested is None or metric not in tested.metrics:
        value, where = number(best.value), "on the validation rows; test has not been looked at"
    else:
        value = with_interval(tested.metrics[metric], tested.intervals.get(metric))
        where = f"on {tested.num_rows} test rows"
    said = tag("strong", f"{metric} {value}")
    return tag("p", f"Trial {best.trial}{model} won: ", said, f" {where}.", class_="lead")


def _model(report: Report) -> str:
    best = report.best_trial
    if best is not None and "model.name" in best.params:
        return str(best.params["model.name"])
    return str(report.settings.get("model", {}).get("name", ""))


def _sure(report: Report) -> Iterator[Content]:
    tested, metric = report.tested, report.objective.metric
    wish = "higher" if report.objective.direction == "maximize" else "lower"
    if tested is not None:
        ends = tested.intervals.get(metric)
        if ends is not None:
            yield (
                f"Another {tested.num_rows} rows of the same kind would give a {metric} between"
                f" {number(ends[0])} and {number(ends[1])} (95 % interval); {wish} is better."
            )
        yield from tested.notes
        if report.num_looks == 1:
            yield "The test rows were looked at once, after this trial had been chosen."
        else:
            yield (
                f"The test rows were looked at {report.num_looks} times; if a look made somebody"
                " go on, this value flatters, and new data should be trusted more."
            )
    num_complete = len(report.complete)
    assert report.best is not None  # noqa: S101 - the caller's promise
    if num_complete > 1:
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
    """The three numbers of the objective's metric on one axis."""
    rows = _values(report)
    ends = [end for _, value, interval in rows for end in (value, *(interval or ()))]
    height = _TOP + _ROW * len(rows) + 44
    plot = svg.Plot(
        scale(ends, most=4), scale([0, 1]), height=height, left=112, top=_TOP, bottom=44
    )
    parts = [_row(plot, place, *each) for place, each in enumerate(rows)]
    floor = height - plot.bottom
    for at, text in zip(plot.across(svg.ticks_of(plot.x)).tolist(), plot.x.labels, strict=True):
        parts.insert(0, svg.straight((at, plot.top), (at, floor), "grid"))
        parts.append(svg.words(text, at, floor + 16))
    middle = (plot.left + plot.width - plot.right) / 2
    parts.append(svg.words(report.objective.metric, middle, height - 8, class_="name"))
    label = "; ".join(f"{name}: {with_interval(value, ends)}" for name, value, ends in rows)
    numbers = [
        {"measured on": name, report.objective.metric: value,
         "95 % interval": "" if ends is None else f"{number(ends[0])} to {number(ends[1])}"}
        for name, value, ends in rows
    ]  # fmt: skip
    return figure(
        f"{report.objective.metric} of the winner and of a linear model",
        svg.svg(label, plot.width, height, *parts),
        note="The line is the 95 % interval; the test value is the one to quote.",
        numbers=table(numbers, caption="What was measured"),
    )


def _values(report: Report) -> list[tuple[str, float, tuple[float, float] | None]]:
    metric, tested = report.objective.metric, report.tested
    rows: list[tuple[str, float, tuple[float, float] | None]] = []
    if tested is not None and metric in tested.metrics:
        rows.append(("test", tested.metrics[metric], tested.intervals.get(metric)))
    assert report.best is not None  # noqa: S101 - the caller's promise
    rows.append(("validation", report.best.value, None))
    if report.baseline is not None:
        rows.append(("linear, valid.", report.baseline, None))
    return rows


def _row(
    plot: svg.Plot, place: int, name: str, value: float, interval: tuple[float, float] | None
) -> Html:
    middle = _TOP + _ROW * (place + 0.5)
    x = float(plot.across(value))
    parts = [svg.words(name, plot.left - 8, middle + 4, anchor="end", class_="name")]
    if interval is not None:
        low, high = plot.across(interval).tolist()
        parts.append(svg.whisker((low, middle), (high, middle), "line-a"))
    look = ("dot-a", "dot-b", "dot-c")[place if place < 3 else 2]  # noqa: PLR2004 - three looks
    parts.append(svg.dot(x, middle, look, size=5, told=f"{name} {number(value)}"))
    return joined([*parts, svg.words(number(value), x, middle - 9)])


def _winner(report: Report) -> dict[str, Content]:
    best, trial = report.best, report.best_trial
    assert best is not None  # noqa: S101 - the caller's promise
    assert trial is not None  # noqa: S101 - a best trial is one of the trials
    told: dict[str, Content] = {"trial": str(best.trial)}
    if name := _model(report):
        told["model"] = name
    shown = {key: each for key, each in trial.params.items() if key != "model.name"}
    for key, value in shown.items():
        told[key] = f"{value:.4g}" if isinstance(value, float) else str(value)
    told["kept epoch"] = f"{best.epoch} of {trial.epochs}"
    return told


def _cost(report: Report) -> dict[str, Content]:
    cost, counts = report.cost, dict.fromkeys(("complete", "pruned", "failed", "open"), 0)
    for each in report.trials:
        counts[each.state] += 1
    states = ", ".join(f"{each} {state}" for state, each in counts.items() if each)
    told: dict[str, Content] = {
        "trials": f"{len(report.trials)} ({states})",
        "epochs": f"{cost.num_epochs:,}",
        "training": duration(cost.training_seconds),
    }
    if cost.wall_seconds is not None:
        told["first to last"] = duration(cost.wall_seconds)
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
    command = tag("pre", tag("code", each.command)) if each.command else None
    return tag("li", tag("strong", f"{each.what.rstrip('.')}. "), each.why, command)
