"""The Pareto front: what a study of several objectives leaves to choose from. Reads records."""

from dataclasses import asdict, dataclass
from pathlib import Path
from shlex import quote
from textwrap import wrap
from typing import Any

from nnsearch.commands.places import MLRUNS, find_study_folder
from nnsearch.errors import UsageError
from nnsearch.events import Scalar
from nnsearch.exporting.standalone import MANIFEST
from nnsearch.reports.tables import WIDTH, table
from nnsearch.search.ledger import read_ledger, values_of
from nnsearch.study.folder import read_json
from nnsearch.study.limits import countable, heading
from nnsearch.study.recorded import recorded_limits, recorded_objectives
from nnsearch.study.spec import Objective


@dataclass(frozen=True, slots=True)
class Point:
    """A trial of the front. `values` are those of the objectives under their names in events.

    `export` is the folder that it was exported to, or empty.
    """

    trial: int
    values: dict[str, float]
    params: dict[str, Scalar]
    export: str = ""


@dataclass(frozen=True, slots=True)
class Front:
    """The points that no other beats in everything, the best by the first objective first.

    `num_feasible` trials were looked at; `num_infeasible` break one of the `constraints`. `winner`
    is the trial that the study ended with, if it did.
    """

    study: str
    objectives: tuple[Objective, ...]
    constraints: tuple[str, ...]
    points: tuple[Point, ...]
    num_feasible: int
    num_infeasible: int
    winner: int | None = None
    where: str = ""


def pareto_front(name: str, home: Path = MLRUNS) -> Front:
    """The front of the study called `name`. Raises UsageError for a study of one objective."""
    folder = find_study_folder(name, home)
    record, ledger = read_json(folder.spec), read_ledger(folder)
    objectives = recorded_objectives(record)
    if len(objectives) == 1:
        raise UsageError(
            f"study '{folder.root.name}' has one objective, {objectives[0].key}, and no front.",
            f"`nnsearch show {folder.root.name}` lists its trials, the best first.",
        )
    keys = [each.key for each in objectives]
    points = []
    for each in ledger.front(objectives):
        export = folder.export(each.trial)
        points.append(
            Point(
                trial=each.trial,
                values=dict(zip(keys, values_of(each, objectives), strict=True)),
                params=dict(ledger.specs[each.trial].params),
                export=str(export) if (export / MANIFEST).exists() else "",
            )
        )
    result = read_json(folder.result)
    is_default = home.resolve() == MLRUNS.resolve()
    return Front(
        study=folder.root.name,
        objectives=objectives,
        constraints=tuple(map(str, recorded_limits(record))),
        points=tuple(points),
        num_feasible=len(ledger.feasible()),
        num_infeasible=len(ledger.infeasible()),
        winner=None if result is None else result["conclusion"]["best"]["trial"],
        where="" if is_default else f" --mlruns {quote(str(home))}",
    )


def as_document(found: Front) -> dict[str, Any]:
    """The same as JSON values."""
    return {key: each for key, each in asdict(found).items() if key != "where"}


def as_text(found: Front) -> str:
    """The points as a table, and what to type to have one of them."""
    wanted = " and ".join(
        f"{'high' if each.direction == 'maximize' else 'low'} {heading(each.key)}"
        for each in found.objectives
    )
    told = f"{found.study}: {len(found.points)} of {found.num_feasible} trials are on the front"
    lines = [f"{told}, for {wanted}"]
    if found.num_infeasible:
        limits = ", ".join(found.constraints)
        lines.append(f"{found.num_infeasible} more break a constraint ({limits})")
    if not found.points:
        return "\n".join(lines)
    rows = [
        {
            "trial": each.trial,
            **{heading(key): countable(key, value) for key, value in each.values.items()},
            "exported": "yes" if each.export else "",
            **each.params,
        }
        for each in found.points
    ]
    first, where = found.objectives[0].label, found.where
    lines += ["", table(rows), ""]
    if found.winner is not None:
        is_there = any(each.trial == found.winner for each in found.points)
        lines += wrap(
            f"Trial {found.winner} won{'' if is_there else ', though not of the front'}: {first},"
            " the first objective, chose it. It alone is looked at on the test split.",
            WIDTH,
        )
    lines.append(f"export one   nnsearch export {quote(found.study)} --trial N{where}")
    return "\n".join(lines)
