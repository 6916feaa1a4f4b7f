"""What a person reads at the end of a run, and the JSON document that says the same.

Reads the export's manifest to say what `predict` takes, looks whether there is a report, and
nothing else.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nnsearch.commands.places import MLRUNS
from nnsearch.commands.result import RunResult
from nnsearch.reports.tables import duration, number, with_interval
from nnsearch.study.folder import StudyFolder, read_json
from nnsearch.study.spec import FOLDS
from nnsearch.tracking.store import shown

_DETAIL = " " * 15


def as_document(result: RunResult) -> dict[str, Any]:
    """The result as JSON values."""
    return asdict(result) | {"tracking_uri": shown(result.tracking_uri)}


def as_text(result: RunResult) -> str:
    """The answer first, then how it was found and where it lies, then what to type next."""
    ending = result.reason if result.has_trained else "finished before; nothing was trained"
    lines = [
        f"{result.study}: {ending}",
        "",
        *_tested(result),
        *_chosen(result),
        f"trials         {_counts(result)}",
        _exported(result),
        f"records        {_path(result.folder)}",
        "",
        *_next(result),
    ]
    return "\n".join(lines)


def _tested(result: RunResult) -> Iterator[str]:
    """The objective's metric on the test split, and the accuracy, which everybody can read."""
    tested, metric = result.conclusion.tested, result.objective.metric
    first = metric if metric in tested.metrics else next(iter(tested.metrics))
    names = [first, *({"accuracy"} & tested.metrics.keys() - {first})]
    for label, name in zip(["test split", ""], names, strict=False):
        ends = tested.intervals.get(name)
        note = "" if ends is None else "  (95 % interval)"
        yield f"{label:<15}{name} {with_interval(tested.metrics[name], ends)}{note}"
    # Why there is no interval, where it is one of these that has none.
    missing = [name for name in names if name not in tested.intervals]
    for each in tested.notes:
        if any(re.search(rf"\b{re.escape(name)}\b", each) for name in missing):
            yield f"{_DETAIL}{each}"
    looks = result.conclusion.num_looks
    if looks == 1:
        yield f"{_DETAIL}{tested.num_rows} rows, looked at once, after the best trial was chosen"
    else:
        again = f"looked at {looks} times, for going on found another best trial"
        yield f"{_DETAIL}{tested.num_rows} rows, {again};"
        yield f"{_DETAIL}if a look made you go on, trust new data more than this value"


def _chosen(result: RunResult) -> Iterator[str]:
    """The best trial, how it stands against the baseline, and what was searched."""
    best, objective = result.conclusion.best, result.objective
    num_folds = sum(key.startswith(FOLDS) for key in best.metrics) - 1
    mean = f" (mean of {num_folds} divisions)" if num_folds > 0 else ""
    value = f"{objective.key} {number(best.value)}{mean}"
    yield f"best trial     {best.trial}: {value}{_against(result)}"
    params = {name: _setting(value) for name, value in result.params.items()}
    width = max(map(len, params), default=0)
    for name, value in params.items():
        yield f"{_DETAIL}{name:<{width}} = {value}"
    yield from _confirmed(result)


def _confirmed(result: RunResult) -> Iterator[str]:
    """What trainings on fresh seeds say of the best trial, and of a better one in the search."""
    found = result.conclusion.confirmed
    if found is None:
        return
    first = found.candidates[0]
    value = with_interval(first.estimate, (first.low, first.high))
    yield f"expected       {value} of it on new rows, by {len(first.values)} fresh seeds"
    if len(found.candidates) > 1:
        yield (
            f"{_DETAIL}the best of {len(found.candidates)} trained again, with probability"
            f" {first.chance:.0%}"
        )
    objective = result.objective
    pick = max if objective.direction == "maximize" else min
    luckiest = pick(found.candidates, key=lambda each: each.searched)
    if objective.better(luckiest.searched, first.searched):
        yield (
            f"{_DETAIL}trial {luckiest.trial} had {number(luckiest.searched)} in the search;"
            f" {number(luckiest.estimate)} is expected of it"
        )


def _against(result: RunResult) -> str:
    # No word of better or worse: that takes more than two numbers, and the report has it.
    baseline = result.conclusion.baseline
    name = f"the {result.conclusion.rival} baseline"
    return "" if baseline is None else f", {name} {number(baseline)}"


def _counts(result: RunResult) -> str:
    counts = ", ".join(f"{each} {state}" for state, each in result.counts.items() if each)
    if result.num_infeasible:
        counts += f" ({result.num_infeasible} of them break a constraint)"
    return f"{counts}; this run took {duration(result.seconds)}" if result.has_trained else counts


def _exported(result: RunResult) -> str:
    conclusion = result.conclusion
    if conclusion.export:
        return f"exported       {_path(conclusion.export)}"
    return f"not exported   {conclusion.export_problem}"


def _next(result: RunResult) -> Iterator[str]:
    home = Path(result.folder).parents[1]
    where = "" if home == MLRUNS.resolve() else f" --mlruns {shlex.quote(_path(str(home)))}"
    place = shown(result.tracking_uri)
    # A server of the person's own is where the runs are; `nnsearch ui` would point there too.
    browse = place if place.startswith(("http://", "https://")) else f"nnsearch ui{where}"
    yield "Next"
    page = StudyFolder(Path(result.folder)).report
    if page.exists():
        yield f"  read         {_path(str(page))}"
        yield f"{_DETAIL}one page about the study: open it in a browser, print it, send it"
    yield f"  browse       {browse}"
    yield f"{_DETAIL}every trial in MLflow, the best first: curves, pictures, files"
    yield f"  list         nnsearch show {result.study}{where}"
    if result.num_front:
        yield f"  choose       nnsearch show {result.study} --front{where}"
        yield f"{_DETAIL}{result.num_front} trials that no other beats in every objective at once"
    if result.conclusion.export:
        sample = Path(_sample(Path(result.conclusion.export)))
        rows = f"NEW-ROWS{sample.suffix}"
        yield f"  predict      nnsearch predict {result.study} {rows}{where}"
        if sample.suffix:
            yield f"{_DETAIL}{rows} is written like {sample}, beside the exported model"


def _sample(export: Path) -> str:
    """The name of the rows that an export holds as an example of what it reads, if any."""
    files = (read_json(export / "manifest.json") or {}).get("files", {})
    return next((name for name in files if name.startswith("sample.")), "")


def _path(name: str) -> str:
    """A path from here, where it lies below."""
    path = Path(name)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else name


def _setting(value: object) -> str:
    # 0.1 was set, not 0.100: a setting has no uncertainty to show.
    return f"{value:.4g}" if isinstance(value, float) else str(value)
