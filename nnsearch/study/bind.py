"""Turn the tables of a study file into a frozen Study, every fault at once. Reads no file."""

from collections.abc import Mapping
from typing import Any

from nnsearch.study.branches import Setting, bind_fixed, bind_space
from nnsearch.study.frame import (
    TABLES,
    bind_confirmation,
    bind_search,
    check_folds,
    check_grid,
    check_keys,
    check_name,
    study_keys,
)
from nnsearch.study.sources import bind_data
from nnsearch.study.spec import Space, Study

# table -> kind of component, and the component where none is named
COMPONENTS = {
    "task": ("tasks", ""),
    "model": ("models", ""),
    "optimizer": ("optimizers", "adam"),
    "schedule": ("schedules", "constant"),
}


def bind(tables: Mapping[str, Any], stem: str, setting: Setting) -> Study:
    """The study of `tables`, named `stem` unless they name it.

    Raises StudyError with every problem, in the order of the file.
    """
    complaints = setting.complaints
    keys = check_keys(study_keys, tables, at=(), setting=setting, tables=TABLES)
    name = keys["name"] if "name" in tables else stem
    if isinstance(tables.get("name", stem), str):
        check_name(name, ("name",), setting)
    data = bind_data(tables.get("data", {}), setting)
    spaces = {table: _space(table, tables, setting) for table in COMPONENTS}
    training = _training(tables.get("training", {}), setting)
    search = bind_search(tables.get("search", {}), setting)
    confirmation = bind_confirmation(tables.get("confirmation", {}), data.split, setting)
    check_folds(search, data.split, setting)
    if search.sampler.name == "grid":
        check_grid([*data.transforms, *spaces.values(), training], setting)
    complaints.raise_any()
    return Study(
        name=name,
        seed=keys["seed"],
        root=setting.root,
        source=data.source,
        split=data.split,
        training=training,
        transforms=data.transforms,
        search=search,
        confirmation=confirmation,
        allow_code=setting.allow_code,
        allow_leaky=data.allow_leaky,
        description=keys["description"],
        **spaces,
    )


def _training(table: object, setting: Setting) -> Space:
    at = ("training",)
    return bind_fixed("training", "recipe", table, at=at, named=at, setting=setting)


def _space(table: str, tables: Mapping[str, Any], setting: Setting) -> Space:
    kind, default = COMPONENTS[table]
    if table not in tables and not default:
        hint = f"Add [{table}] with its name."
        setting.complaints.add("E103", (), f"there is no table [{table}].", hint)
        return Space(table, {})
    given = tables.get(table, {})
    return bind_space(kind, given, at=(table,), setting=setting, default=default)
