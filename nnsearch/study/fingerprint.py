"""A study as JSON, what makes its trials comparable, and how two differ. Reads no file."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from nnsearch import components
from nnsearch.study.spec import Choice, Component, IntRange, Range, Space, Study, digest

# None of these changes what a trial is: what it is called, how long and in what order trials are
# looked for, and where they are trained.
NOT_COMPARED = ("name", "description", "data.allow_leaky", "allow_code")
SEARCH_COMPARED = ("search.objective", "search.direction")
# These came later: where there are none, they are as if they were not there.
SEARCH_COMPARED_IF_ANY = ("search.objectives", "search.constraints", "search.folds")
TRAINING_NOT_COMPARED = ("training.device", "training.checkpoint_seconds", "training.fuse")

# The tables of components, and the kind that each holds.
KINDS = {
    "task": "tasks",
    "model": "models",
    "optimizer": "optimizers",
    "schedule": "schedules",
    "training": "training",
}


def to_json(study: Study) -> dict[str, Any]:
    """The resolved study as JSON values, laid out as its file is, defaults included."""
    search = {key: _listed(each) for key, each in asdict(study.search).items()}
    sampler, pruner = study.search.sampler, study.search.pruner
    search.update({"sampler": sampler.name, sampler.name: _plain(sampler.options)})
    search.update({"pruner": pruner.name, pruner.name: _plain(pruner.options)})
    data: dict[str, Any] = {
        "source": study.source.name,
        **_options(study.source),
        "split": asdict(study.split),
        "transforms": [name for space in study.transforms for name in space.alternatives],
        "allow_leaky": study.allow_leaky,
    }
    for space in study.transforms:
        data.update({name: _plain(each) for name, each in space.alternatives.items()})
    spaces = (study.task, study.model, study.optimizer, study.schedule)
    return {
        "name": study.name,
        "description": study.description,
        "seed": study.seed,
        "allow_code": study.allow_code,
        "data": data,
        **{space.path: _space(space) for space in spaces},
        "training": _plain(study.training.alternatives["recipe"]),
        "search": search,
        "confirmation": asdict(study.confirmation),
    }


def fingerprint(study: Study) -> str:
    """The hash of what makes trials comparable: space, data, split, task, objective and seed."""
    return digest(comparable(to_json(study)))


def comparable(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """What the fingerprint is taken of, flat: dotted path -> value, of a study of `to_json`."""
    return {path: value for path, value in _flat(resolved, "") if _is_compared(path, value)}


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What keeps the trials of two resolved studies from being compared, one line each.

    A line is such as `model.mlp.width: choice [32, 64] -> choice [32, 128]`; both arguments are
    what `to_json` returns, or what was read back from a file of it. An option that the older study
    does not know is no difference at its default: it came with a later version.
    """
    before, after = comparable(old), comparable(new)
    return [
        f"{path}: {_show(before, path)} -> {_show(after, path)}"
        for path in dict.fromkeys([*before, *after])
        if _show(before, path) != _show(after, path)
        and not (path not in before and _is_default(path, new))
    ]


def _is_compared(path: str, value: object) -> bool:
    if path in SEARCH_COMPARED_IF_ANY:
        return bool(value)
    if path.startswith("confirmation."):
        return False
    if path.startswith("search."):
        return path in SEARCH_COMPARED
    return path not in NOT_COMPARED and path not in TRAINING_NOT_COMPARED


def _is_default(path: str, resolved: Mapping[str, Any]) -> bool:
    """Whether a built-in component has at `path` what it has where the study file is silent."""
    *tables, option = path.split(".")
    kind = KINDS.get(tables[0] if tables else "")
    if kind is None:
        return False
    table = resolved[tables[0]]
    shared = table.get("one_of", [table.get("name", "recipe")])
    names = tables[1:] or [name for name in shared if isinstance(name, str)]
    value = comparable(resolved)[path]
    return all(
        name in components.BUILTINS[kind]
        and (found := components.options(components.load(kind, name)).get(option)) is not None
        and _listed(found.default) == value
        for name in names
    )


def _options(component: Component) -> dict[str, Any]:
    return {component.name: _plain(component.options)} if component.options else {}


def _space(space: Space) -> dict[str, Any]:
    """As a table: `name` and options, or `one_of`, shared options and a table an alternative."""
    names = list(space.alternatives)
    if len(names) == 1:
        return {"name": names[0], **_plain(space.alternatives[names[0]])}
    table: dict[str, Any] = {"one_of": names}
    for name, options in space.alternatives.items():
        table.update(_plain({key: options[key] for key in options if key in space.shared}))
        table[name] = _plain({key: options[key] for key in options if key not in space.shared})
    return table


def _plain(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: to_table(each) if isinstance(each, Range) else _listed(each)
        for key, each in options.items()
    }


def _listed(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def to_table(each: Range) -> dict[str, Any]:
    """A range as a study file writes it, such as `{"int": [1, 3]}`."""
    if isinstance(each, Choice):
        return {"choice": list(each.choices)}
    kind, step = ("int", 1) if isinstance(each, IntRange) else ("float", None)
    table: dict[str, Any] = {kind: [each.low, each.high]}
    if each.log:
        table["log"] = True
    if each.step != step:
        table["step"] = each.step
    return table


def _is_range(value: object) -> bool:
    return isinstance(value, dict) and any(
        isinstance(value.get(kind), list) for kind in ("int", "float", "choice")
    )


def _flat(table: Mapping[str, Any], prefix: str) -> list[tuple[str, Any]]:
    flat: list[tuple[str, Any]] = []
    for key, value in table.items():
        path = f"{prefix}{key}"
        if isinstance(value, dict) and not _is_range(value):
            flat.extend(_flat(value, f"{path}."))
        else:
            flat.append((path, value))
    return flat


def _show(flat: Mapping[str, Any], path: str) -> str:
    if path not in flat:
        return "nothing"
    value = flat[path]
    if not _is_range(value):
        return json.dumps(value)
    return ", ".join(f"{key} {json.dumps(each)}" for key, each in value.items())
