"""What to do next, from what the records show. Pure rules of thumb, each with its reason."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from nnsearch.reports.html_content import Report, Trial
from nnsearch.reports.tables import duration, number
from nnsearch.study.spec import Choice, FloatRange, IntRange, Range

# How near to an end of its range, as a share of it, a value counts as being at the end.
EDGE = 0.05
# Within this last share of the trials a new best says that the search still improves.
LATE = 0.2
# Within this first share of enough trials it says that the search has found what there is.
EARLY, ENOUGH = 0.25, 20
# How many of the best trials are asked where in a range they lie.
NUM_BEST = 5
MANY_FAILED = 0.1
MORE_TRIALS = 2


@dataclass(frozen=True, slots=True)
class Advice:
    """One thing to do: what, why, and the command where there is one."""

    what: str
    why: str
    command: str = ""


def advice(report: Report) -> list[Advice]:
    """What the records suggest, the most useful first; then how to use what there is."""
    found = [*_unfinished(report), *_failures(report)]
    if report.best is not None:
        found += [
            *_against_baseline(report),
            *_late_best(report),
            *_early_best(report),
            *_edges(report),
            *_last_epoch(report),
            *_few_test_rows(report),
        ]
    found += [
        Advice(f"Look at the data: {each.message}", each.hint) for each in report.data.findings
    ]
    return [*found, *_use(report)]


def at_edge(report: Report) -> dict[str, str]:
    """The searched numbers whose best values crowd at one end: name and `low` or `high`."""
    best = report.complete[:NUM_BEST]
    found = {}
    for name, searched in report.ranges.items():
        if isinstance(searched, Choice):
            continue
        places = [
            share_of(searched, value)
            for each in best
            if isinstance(value := each.params.get(name), int | float)
        ]
        is_wide = not isinstance(searched, IntRange) or searched.high - searched.low >= NUM_BEST
        if len(places) < NUM_BEST - 1 or not is_wide:
            continue
        if sum(place <= EDGE for place in places) * 2 > len(places):
            found[name] = "low"
        elif sum(place >= 1 - EDGE for place in places) * 2 > len(places):
            found[name] = "high"
    return found


def share_of(searched: Range, value: float) -> float:
    """Where a value lies in the range of a number, 0 at its low and 1 at its high end."""
    if not isinstance(searched, FloatRange | IntRange) or searched.high <= searched.low:
        return 0.5
    low, high = float(searched.low), float(searched.high)
    if searched.log and low > 0 and value > 0:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low)


def _unfinished(report: Report) -> Iterator[Advice]:
    if report.state == "interrupted":
        why = "The study has not come to its end; nothing that was trained is lost."
        yield Advice("Go on where it stopped", why, f"nnsearch run {quote(report.study)}")


def baseline_of(report: Report) -> str:
    """The name of the model that is the baseline; "trivial" where the record has none."""
    named = (each.name for each in report.rivals if each.name.endswith(" baseline"))
    return next(named, "the trivial baseline").removeprefix("the ").removesuffix(" baseline")


def model_of(report: Report) -> str:
    """The name of the winner's model; empty where the record has none."""
    best = report.best_trial
    if best is not None and "model.name" in best.params:
        return str(best.params["model.name"])
    return str(report.settings.get("model", {}).get("name", ""))


def _failures(report: Report) -> Iterator[Advice]:
    failed = [each for each in report.trials if each.state == "failed"]
    if len(failed) > MANY_FAILED * len(report.trials):
        why = f"{len(failed)} of {len(report.trials)} trials failed, the first with: "
        command = f"nnsearch show {quote(report.study)} --trial {failed[0].number}{report.where}"
        yield Advice("See why trials fail", why + failed[0].error, command)


def _against_baseline(report: Report) -> Iterator[Advice]:
    rival = next((each for each in report.rivals if "baseline" in each.name), None)
    if rival is None or rival.difference is None:
        return
    found, is_more_better = rival.difference, report.objective.direction == "maximize"
    if (found.low > 0) if is_more_better else (found.high < 0):
        return
    is_worse = (found.high < 0) if is_more_better else (found.low > 0)
    if model_of(report) == baseline_of(report):
        return  # it is such a model already, of other settings
    how = "is worse than it" if is_worse else "cannot be told from it"
    why = (
        f"On the validation rows the winner {how}, and the model '{baseline_of(report)}' is"
        " smaller, faster and easier to explain."
    )
    yield Advice(f"Consider the model '{baseline_of(report)}'", why)


def _late_best(report: Report) -> Iterator[Advice]:
    assert report.best is not None  # noqa: S101 - the caller's promise
    total = len(report.trials)
    first = min(
        (each.number for each in report.complete if each.value == report.best.value),
        default=report.best.trial,
    )
    if total >= NUM_BEST and first >= (1 - LATE) * total:
        seconds = duration(report.cost.wall_seconds or report.cost.training_seconds)
        why = (
            f"The best trial, {first}, came among the last of {total}: the search was still"
            f" finding better ones. As many again take about {seconds}."
        )
        if report.tested is not None:
            why += " Another winner may be tested only with --reopen-test, which is recorded."
        more = f"nnsearch run {quote(report.study)} --trials {total * MORE_TRIALS}"
        yield Advice("Search longer", why, more + report.where)


def _early_best(report: Report) -> Iterator[Advice]:
    best, total = report.best, len(report.trials)
    if best is not None and total >= ENOUGH and best.trial < EARLY * total:
        why = (
            f"Trial {best.trial} of {total} won, and {total - best.trial - 1} later ones found"
            " nothing better: more of the same will hardly help."
        )
        yield Advice("Change the space, the model or the data before you search longer", why)


def _edges(report: Report) -> Iterator[Advice]:
    for name, end in at_edge(report).items():
        searched = report.ranges[name]
        assert isinstance(searched, FloatRange | IntRange)  # noqa: S101 - at_edge's promise
        limit = searched.low if end == "low" else searched.high
        why = f"Most of the {NUM_BEST} best trials lie at its {end} end, {number(limit)}."
        command = f"nnsearch extend {quote(report.study)} --widen{report.where}"
        why += " A new version of the study keeps every trial and every number of this one."
        yield Advice(f"Widen the range of {name}", why, command)


def _last_epoch(report: Report) -> Iterator[Advice]:
    best = report.best_trial
    if report.best is None or best is None or not _is_full(best, report):
        return
    if report.best.epoch == best.epochs > 1:
        why = f"The best epoch of the winner is its last one, {best.epochs}: it still improved."
        yield Advice("Train for more epochs", why)


def _is_full(best: Trial, report: Report) -> bool:
    return best.epochs == max(each.epochs for each in report.trials)


def _few_test_rows(report: Report) -> Iterator[Advice]:
    tested, metric = report.tested, report.objective.metric
    if tested is None or metric not in tested.intervals or report.baseline is None:
        return
    low, high = tested.intervals[metric]
    gain = abs(report.best.value - report.baseline) if report.best else 0.0
    if high - low > 2 * gain > 0:
        why = (
            f"The interval on {tested.num_rows} rows is wider than what the search gained over the"
            f" {baseline_of(report)} baseline. Four times the rows halve it."
        )
        yield Advice("Get more test rows before you decide on this number", why)


def _use(report: Report) -> Iterator[Advice]:
    name = quote(report.study)
    if report.export:
        command = f"nnsearch predict {name} NEW-ROWS{report.where}"
        yield Advice(
            "Use the model", "It is exported and gives the answers measured here.", command
        )
    browse = f"nnsearch ui{report.where}"
    yield Advice("Browse every trial", "Curves, pictures and files of each, in MLflow.", browse)
