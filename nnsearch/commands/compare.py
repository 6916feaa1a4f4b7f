"""Studies side by side: what each came to, and whether one is better than another.

Reads records only, neither Optuna's store nor MLflow's. What cannot be compared is said, and shown
without a verdict. Drawing is `compare_pictures`.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from textwrap import wrap
from typing import Any

from nnsearch.commands import compare_budget, compare_seeds
from nnsearch.commands.compare_pictures import draw
from nnsearch.commands.compare_records import Compared, have_same_test, load
from nnsearch.commands.compare_seeds import judge_families
from nnsearch.commands.compare_verdicts import Refusal, Verdict, as_document, judge, sentence
from nnsearch.commands.listing import count
from nnsearch.commands.places import MLRUNS, find_study_folder
from nnsearch.errors import UsageError
from nnsearch.events import Scalar
from nnsearch.reports.tables import (
    WIDTH,
    BestTrial,
    comparison,
    duration,
    number,
    table,
    with_interval,
)
from nnsearch.study.fingerprint import difference

# Of a test, beside the objective: what is worth a line.
SHOWN = ("accuracy", "balanced_accuracy", "f1_macro", "roc_auc", "log_loss", "rmse", "mae", "r2")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Several studies compared: as text, as JSON values, and the pictures that were drawn."""

    text: str
    document: dict[str, Any]
    pictures: tuple[Path, ...]


def compare(names: Sequence[str], home: Path = MLRUNS) -> Comparison:
    """Compare the studies called `names`; pictures go to `<home>/compare/<names>/`.

    Raises UsageError for a study that there is not, for one named twice, and for fewer than two.
    """
    studies = [load(find_study_folder(name, home)) for name in names]
    known = [each.name for each in studies]
    if len(studies) < 2 or len(set(known)) < len(known):  # noqa: PLR2004 - two sides
        hint = "Such as: nnsearch compare digits digits-wide"
        raise UsageError("name two studies or more, each once.", hint)
    differences = {each.name: _differences(studies[0], each) for each in studies[1:]}
    verdicts = judge(studies, differences)
    drawn = draw(studies, home)
    sections = [
        "\n".join(_warning(studies, differences)),
        "\n".join(_sentences(studies, verdicts)),
        _overview(studies),
        "the best trial of each\n\n" + _side_by_side(studies, differences, verdicts),
        compare_budget.as_text(studies),
        "\n".join(["pictures", *(f"  {path}" for path in drawn)]) if drawn else "",
    ]
    document = {
        "studies": [_described(each) for each in studies],
        "differences": differences,
        "tests": [as_document(each) for each in verdicts if isinstance(each, Verdict)],
        "refusals": [as_document(each) for each in verdicts if isinstance(each, Refusal)],
        "over_seeds": [
            compare_seeds.as_document(each)
            for each in judge_families(compare_budget.families(studies))
        ],
        "budgets": compare_budget.as_document(studies),
        "pictures": [str(path) for path in drawn],
    }
    return Comparison("\n\n".join(filter(None, sections)), _finite(document), drawn)


def _differences(first: Compared, other: Compared) -> list[str]:
    """What keeps the validation values of two studies from being compared; empty: nothing."""
    found = []
    if first.objective != other.objective:
        sides = [f"{each.objective.metric} ({each.objective.direction})" for each in (first, other)]
        found.append(f"objective: {sides[0]} -> {sides[1]}")
    if first.record["data"] == other.record["data"]:
        return found
    found += [
        line
        for line in difference(first.record["study"], other.record["study"])
        if line.startswith(("data.", "seed:"))
    ]
    sizes = [
        ", ".join(f"{part} {size}" for part, size in sorted(each.record["num_rows"].items()))
        for each in (first, other)
    ]
    if sizes[0] != sizes[1]:
        found.append(f"rows: {sizes[0]} -> {sizes[1]}")
    inputs = [each.record["signature"] for each in (first, other)]
    found += [
        f"{key}: {inputs[0][key]} -> {inputs[1][key]}"
        for key in ("target", "shape")
        if inputs[0][key] != inputs[1][key]
    ]
    return [*found, *([] if found else ["the contents of the rows"])]


def _warning(studies: Sequence[Compared], differences: dict[str, list[str]]) -> Iterator[str]:
    first = studies[0]
    apart = [each for each in studies[1:] if differences[each.name]]
    if not apart:
        return
    yield "Their validation values do not compare: they are not of the same thing."
    for each in apart:
        yield f"  {first.name} -> {each.name}"
        yield from (f"    {line}" for line in differences[each.name])
        if have_same_test(first, each):
            yield "    The test rows are the same: on them the chosen trials can be compared."


def _overview(studies: Sequence[Compared]) -> str:
    keys = {each.objective.key for each in studies}
    shared = keys.pop() if len(keys) == 1 else ""
    rows = []
    for each in studies:
        best, metric = each.best, each.objective.metric
        value = None if best is None else best.value
        tested = "not yet"
        if each.tested is not None and metric in each.tested.metrics:
            ends = each.tested.intervals.get(metric)
            tested = with_interval(each.tested.metrics[metric], ends)
        rows.append(
            {
                "study": each.name,
                "trials": _trials(each),
                shared or "validation": number(value)
                if shared
                else f"{each.objective.metric} {number(value)}",
                "baseline": number(each.baseline),
                "test [95 %]": tested,
                "rows": None if each.tested is None else each.tested.num_rows,
                "time": duration(each.seconds),
                "CPU": "" if each.cpu_seconds is None else duration(each.cpu_seconds),
                "parameters": each.num_parameters,
            }
        )
    return table(rows)


def _trials(each: Compared) -> str:
    counts = count(each.ledger)
    others = [f"{counts[kind]} {kind}" for kind in ("pruned", "failed") if counts[kind]]
    return str(sum(counts.values())) + (f" ({', '.join(others)})" if others else "")


def _side_by_side(
    studies: Sequence[Compared],
    differences: dict[str, list[str]],
    verdicts: Sequence[Verdict | Refusal],
) -> str:
    """Metrics and options as rows; the mark of the best only where all values compare."""
    keys = _option_names(studies)
    p_values = {
        each.second: each.found.p_value for each in reversed(verdicts) if isinstance(each, Verdict)
    }
    trials = [
        BestTrial(
            study=each.name,
            trial=each.best.trial,
            metric=each.objective.key,
            direction=each.objective.direction,
            value=each.best.value,
            metrics=_test_metrics(each),
            params={key: value for key in keys if (value := _option(each, key)) is not None},
            p_value=p_values.get(each.name) if each is not studies[0] else None,
        )
        for each in studies
        if each.best is not None
    ]
    return comparison(trials, is_comparable=not any(differences.values()))


def _test_metrics(each: Compared) -> dict[str, float]:
    metrics = {} if each.tested is None else each.tested.metrics
    shown = dict.fromkeys((each.objective.metric, *SHOWN))
    return {f"test/{key}": metrics[key] for key in shown if key in metrics}


def _option_names(studies: Sequence[Compared]) -> list[str]:
    """What any study searched, under its dotted name, then what is set to different values.

    Where one study searches `model.width` and another `model.mlp.width`, the shorter one is shown.
    """
    found = [each for each in studies if each.best is not None]
    searched = list(dict.fromkeys(key for each in found for key in each.spec.params))
    shown = dict.fromkeys(_short(key) if _short(key) in searched else key for key in searched)
    covered = {_short(key) for key in searched}
    configs = [each.spec.config() for each in found]
    fixed = [
        key
        for key in dict.fromkeys(key for config in configs for key in config)
        if key not in covered and len({str(each[key]) for each in configs if key in each}) > 1
    ]
    return sorted([*shown, *fixed], key=lambda key: key.partition(".")[0])


def _option(each: Compared, key: str) -> Scalar | None:
    """A trial's value of an option, drawn or set; None where its branch has no such option."""
    spec = each.spec
    if key in spec.params:
        drawn: Scalar = spec.params[key]
        return drawn
    config, parts = spec.config(), key.split(".")
    if len(parts) > 2 and config.get(f"{parts[0]}.name") != parts[1]:  # noqa: PLR2004 - a branch
        return None
    return config.get(_short(key))


def _short(key: str) -> str:
    """`model.width` for `model.mlp.width`: the name within a trial, where one branch is taken."""
    parts = key.split(".")
    return key if parts[0] == "data" else f"{parts[0]}.{parts[-1]}"


def _sentences(studies: Sequence[Compared], verdicts: Sequence[Verdict | Refusal]) -> Iterator[str]:
    yield "verdict"
    for repeated in judge_families(compare_budget.families(studies)):
        yield from _wrapped(compare_seeds.sentence(repeated))
    for each in verdicts:
        yield from _wrapped(sentence(each))
    if any(isinstance(each, Verdict) for each in verdicts):
        yield from _wrapped(
            "Each study sent one network, trained once: this compares those, not what the studies"
            " could find."
        )
    for study in studies:
        if study.num_looks > 1:
            yield from _wrapped(
                f"For {study.name} the test rows have been looked at {study.num_looks} times:"
                " its value may flatter it."
            )


def _wrapped(text: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)


def _described(each: Compared) -> dict[str, Any]:
    best = each.best
    return {
        "study": each.name,
        "folder": str(each.folder.root),
        "data": each.record["data"],
        "num_rows": each.record["num_rows"],
        "objective": asdict(each.objective),
        "counts": count(each.ledger),
        "best": None if best is None else asdict(replace(best, files={})),
        "params": {} if best is None else each.spec.params,
        "baseline": each.baseline,
        "tested": None if each.tested is None else asdict(each.tested),
        "num_looks": each.num_looks,
        "seconds": each.seconds,
        "cpu_seconds": each.cpu_seconds,
        "gpu_seconds": each.gpu_seconds,
        "num_parameters": each.num_parameters,
    }


def _finite(value: Any) -> Any:
    """JSON values as every reader takes them: not finite becomes null."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
