"""The space doctor: what a study's trials show of its search space, and what to do about it.

Reads records only, and loads no component of the user's own.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from textwrap import wrap
from typing import Any

from nnsearch import components
from nnsearch.commands.places import MLRUNS, find_study_folder
from nnsearch.errors import NnsearchError
from nnsearch.reports.space_doctor import Checkup, Sampled, Symptom, examine, summary
from nnsearch.reports.tables import WIDTH, table
from nnsearch.search.ledger import Ledger, read_ledger
from nnsearch.study.fingerprint import KINDS, to_table
from nnsearch.study.folder import read_json
from nnsearch.study.recorded import recorded_objective, recorded_study
from nnsearch.study.spec import Range, Space, Study
from nnsearch.study.toml_text import value_text
from nnsearch.study.widen import widened


@dataclass(frozen=True, slots=True)
class Remedy:
    """A range that a symptom asks to be widened, and the key and value of a study file for it."""

    param: str
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Examined:
    """A study's space examined. `remedies` are of the edges that have anything beyond them."""

    study: str
    num_trials: int
    objective: str
    checkup: Checkup
    remedies: tuple[Remedy, ...]
    where: str = ""


def examine_space(name: str, home: Path = MLRUNS) -> Examined:
    """Examine the space of the study called `name`. Raises UsageError where there is none."""
    folder = find_study_folder(name, home)
    record, ledger = read_json(folder.spec), read_ledger(folder)
    study, objective = recorded_study(record), recorded_objective(record)
    checkup = examine(list(sampled(ledger)), study.ranges(), objective.direction)
    is_default = home.resolve() == MLRUNS.resolve()
    return Examined(
        study=folder.root.name,
        num_trials=len(ledger.specs),
        objective=objective.key,
        checkup=checkup,
        remedies=tuple(remedies(study, checkup)),
        where="" if is_default else f" --mlruns {quote(str(home))}",
    )


def sampled(ledger: Ledger) -> Iterator[Sampled]:
    """Every trial that has ended, as the doctor sees it.

    One that breaks a constraint has no value: an end of a range that only such trials like is none
    to widen.
    """
    feasible = {each.trial: each.value for each in ledger.feasible()}
    for number in sorted(ledger.endings):
        spec, value = ledger.specs[number], feasible.get(number)
        yield Sampled(number, spec.params, value, spec.fingerprint)


def remedies(study: Study, found: Checkup) -> Iterator[Remedy]:
    """For each edge the range widened at that end, where the option allows more."""
    changed: dict[str, Range] = {}
    for symptom in found.symptoms:
        if symptom.kind != "edge" or symptom.end is None:
            continue
        (name,) = symptom.params
        searched = changed.get(name) or study.ranges()[name]
        wider = widened(searched, symptom.end, complaint_of(study, name))
        if wider is not None:
            changed[name] = wider
    for name, wider in changed.items():
        yield Remedy(name, name, value_text(to_table(wider)))


def complaint_of(study: Study, path: str) -> Callable[[object], str]:
    """What is wrong with a value of the option at a dotted path, for every alternative of it."""
    checks = list(_checks(study, path))

    def complaint(value: object) -> str:
        return "; ".join(filter(None, (check(value) for check in checks)))

    return complaint


def _checks(study: Study, path: str) -> Iterator[Callable[[object], str]]:
    option = path.rpartition(".")[2]
    for space in study.spaces():
        for name, options in space.alternatives.items():
            if option in options and space.option_path(name, option) == path:
                known = _options(study, space, name)
                yield known[option].complaint if option in known else _unknown


def _options(study: Study, space: Space, name: str) -> Mapping[str, components.Option]:
    """The options of a component; none where it is the user's own, or no longer there."""
    kind = "transforms" if space.path.startswith("data.") else KINDS[space.path]
    try:
        return components.options(components.load(kind, name, root=study.root))
    except NnsearchError:
        return {}


def _unknown(value: object) -> str:
    """A component of the user's own: below 0 is as far as we dare to guess what it takes."""
    return "" if isinstance(value, int | float) and value >= 0 else "unknown"


def as_document(found: Examined) -> dict[str, Any]:
    """The same as JSON values."""
    return {
        "study": found.study,
        "num_trials": found.num_trials,
        "objective": found.objective,
        "num_complete": found.checkup.importance.num_trials,
        "num_best": found.checkup.importance.num_best,
        "parameters": [
            {**asdict(each), "by_chance": found.checkup.chances[each.name],
             "verdict": found.checkup.verdicts[each.name]}
            for each in found.checkup.importance.weights
        ],
        "symptoms": [asdict(each) for each in found.checkup.symptoms],
        "remedies": [asdict(each) for each in found.remedies],
    }  # fmt: skip


def as_text(found: Examined) -> str:
    """The parameters as a table, what is wrong with them, and what to type."""
    weights = found.checkup.importance
    told = f"{found.study}: the space as {found.num_trials} trials show it ({found.objective})"
    lines = [told, ""]
    if weights.weights:
        lines += [
            table(summary(found.checkup)),
            "",
            *wrap(
                f"Importance: what sets the {weights.num_best} best of {weights.num_trials}"
                " complete trials apart, as shares. By chance: how often trials whose values were"
                " exchanged at random give a parameter as much.",
                WIDTH,
            ),
            "",
        ]
    symptoms = found.checkup.symptoms
    lines += [line for each in symptoms for line in _symptom(found, each)]
    if not symptoms:
        lines.append("Nothing is wrong with the space.")
    if found.remedies:
        command = f"nnsearch extend {quote(found.study)} --widen{found.where}"
        lines += ["", "Widen every range that asks for it, and keep the trials:", f"  {command}"]
    return "\n".join(lines)


def _symptom(found: Examined, each: Symptom) -> Iterator[str]:
    yield from wrap(each.message, WIDTH, subsequent_indent="  ", break_long_words=False)
    advice, own = each.advice, [r for r in found.remedies if r.param in each.params]
    if each.kind == "edge" and not own:
        advice = "It cannot be widened: nothing lies beyond that the option takes."
    yield from wrap(advice, WIDTH, initial_indent="  ", subsequent_indent="  ")
    if each.kind == "edge":
        for remedy in own:
            change = quote(f"{remedy.key}={remedy.value}")
            yield f"  nnsearch extend {quote(found.study)} --set {change}{found.where}"
