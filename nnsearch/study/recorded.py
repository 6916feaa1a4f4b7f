"""A study as its records hold it: the way back from `fingerprint.to_json`. Loads no component.

What was checked when the study first ran is not checked again, and no code of the user's is run.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nnsearch.study.limits import Limit, limit_of
from nnsearch.study.ranges import KINDS
from nnsearch.study.spec import (
    Choice,
    Component,
    Confirmation,
    FloatRange,
    IntRange,
    Objective,
    Search,
    Space,
    Split,
    Study,
)


def recorded_study(record: Mapping[str, Any]) -> Study:
    """The study of a `study.json`. Raises KeyError or TypeError where it is damaged."""
    resolved = record["study"]
    data, search = resolved["data"], dict(resolved["search"])
    for key in ("sampler", "pruner"):
        search[key] = Component(search[key], _options(search.pop(search[key])))
    search = {key: tuple(each) if isinstance(each, list) else each for key, each in search.items()}
    return Study(
        name=resolved["name"],
        seed=resolved["seed"],
        root=Path(record["root"]),
        source=Component(data["source"], _options(data.get(data["source"], {}))),
        split=Split(**data["split"]),
        task=_space("task", resolved["task"]),
        model=_space("model", resolved["model"]),
        optimizer=_space("optimizer", resolved["optimizer"]),
        schedule=_space("schedule", resolved["schedule"]),
        training=Space("training", {"recipe": _options(resolved["training"])}),
        transforms=tuple(
            Space(f"data.{name}", {name: _options(data.get(name, {}))})
            for name in data["transforms"]
        ),
        search=Search(**search),
        confirmation=Confirmation(**resolved.get("confirmation", {"trials": 0})),
        allow_code=resolved["allow_code"],
        allow_leaky=data["allow_leaky"],
        description=resolved["description"],
    )


def recorded_objective(record: Mapping[str, Any]) -> Objective:
    """The objective of a `study.json`; of several the main one."""
    return Objective(**record["objective"])


def recorded_objectives(record: Mapping[str, Any]) -> tuple[Objective, ...]:
    """All objectives of a `study.json`, the main one first."""
    others = (Objective(**each) for each in record.get("other_objectives", ()))
    return (recorded_objective(record), *others)


def recorded_limits(record: Mapping[str, Any]) -> tuple[Limit, ...]:
    """The constraints of a `study.json`."""
    return tuple(map(limit_of, record["study"]["search"].get("constraints", ())))


def _space(path: str, table: Mapping[str, Any]) -> Space:
    """The inverse of how a space is written: `name` and options, or `one_of` with tables."""
    if "one_of" not in table:
        return Space(path, {table["name"]: _options(table, "name")})
    names = list(table["one_of"])
    shared = _options(table, "one_of", *names)
    alternatives = {name: shared | _options(table[name]) for name in names}
    return Space(path, alternatives, frozenset(shared))


def _options(table: Mapping[str, Any], *less: str) -> dict[str, Any]:
    return {key: _value(each) for key, each in table.items() if key not in less}


def _value(value: Any) -> Any:
    if isinstance(value, dict) and any(isinstance(value.get(kind), list) for kind in KINDS):
        rest = {key: each for key, each in value.items() if key not in KINDS}
        if "choice" in value:
            return Choice(tuple(value["choice"]))
        if "int" in value:
            return IntRange(*value["int"], **rest)
        return FloatRange(*value["float"], **rest)
    return tuple(value) if isinstance(value, list) else value
