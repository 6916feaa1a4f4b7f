"""Check [data]: the source, the split and the transforms. Reads no data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nnsearch import components
from nnsearch.study.branches import (
    Setting,
    as_table,
    bind_component,
    bind_fixed,
    check_names,
    load_options,
)
from nnsearch.study.complaints import dotted, quote
from nnsearch.study.frame import bind_split, check_keys, data_keys
from nnsearch.study.spec import Component, Space, Split

AT = ("data",)
NAMED = ("data", "source")
OWN_KEYS = ("source", "split", "transforms", "allow_leaky")


@dataclass(frozen=True, slots=True)
class Data:
    """[data], checked. `transforms` is empty where the kind of data is to choose one."""

    source: Component
    split: Split
    transforms: tuple[Space, ...]
    allow_leaky: bool


def bind_data(table: object, setting: Setting) -> Data:
    """The source with its options, the split, and the transforms with their options or ranges.

    Without `source`, the one table of a known source chooses it. Without `transforms`, a table of
    a known transform chooses that one.
    """
    given = dict(as_table(table, AT, setting) or {})
    listed = given.pop("transforms", None)
    source = _source(given, setting)
    transforms = _transforms(given, listed, setting)
    split = bind_split(given["split"], (*AT, "split"), setting) if "split" in given else Split()
    others = [*components.names("sources"), *components.names("transforms")]
    _check_unused(given, [source, *transforms], others, setting)
    bound = _bind_source(source, given, setting)
    tables = ["split", source, *transforms, *others, *_misplaced(source, given, setting)]
    checked = check_keys(data_keys, given, at=AT, setting=setting, tables=tables)
    return Data(
        source=bound,
        split=split,
        transforms=tuple(_bind_transform(name, given, setting) for name in transforms),
        allow_leaky=checked["allow_leaky"],
    )


def _source(given: Mapping[str, Any], setting: Setting) -> str:
    """The chosen source's name; empty where there is none, with a complaint."""
    if given.get("source", "") != "":
        return given["source"] if isinstance(given["source"], str) else ""
    tables = [name for name in components.names("sources") if name in given]
    if len(tables) > 1:
        message = f"[data] has tables of several sources: {quote(tables)}."
        setting.complaints.add("E409", (*AT, tables[1]), message, "Give source.")
    if not tables:
        setting.complaints.add("E103", AT, "[data] has no source.", "Give source.")
    return tables[0] if len(tables) == 1 else ""


def _bind_source(source: str, given: Mapping[str, Any], setting: Setting) -> Component:
    if not source:
        return Component("")
    own = given.get(source, {})
    return bind_component("sources", source, own, at=(*AT, source), named=NAMED, setting=setting)


def _bind_transform(name: str, given: Mapping[str, Any], setting: Setting) -> Space:
    at = (*AT, name)
    named = (*AT, "transforms")
    own = given.get(name, {})
    return bind_fixed("transforms", name, own, at=at, named=named, setting=setting)


def _misplaced(source: str, given: Mapping[str, Any], setting: Setting) -> list[str]:
    """The keys of [data] that belong to the source's own table, complained of."""
    options = load_options("sources", source, NAMED, setting) or {} if source else {}
    misplaced = [key for key in given if key in options and key not in OWN_KEYS]
    for key in misplaced:
        message = f"'{key}' in [data] is an option of the source '{source}'."
        hint = f"Move it to [{dotted((*AT, source))}]."
        setting.complaints.add("E102", (*AT, key), message, hint)
    return misplaced


def _transforms(given: Mapping[str, Any], listed: object, setting: Setting) -> list[str]:
    if listed is not None:
        at = (*AT, "transforms")
        return list(check_names(listed, at, setting.complaints) or []) if listed != [] else []
    tables = [name for name in components.names("transforms") if name in given]
    if len(tables) > 1:
        message = f"[data] has tables of several transforms: {quote(tables)}."
        setting.complaints.add("E409", (*AT, tables[1]), message, "Give transforms.")
    return tables


def _check_unused(
    given: Mapping[str, Any], chosen: list[str], known: list[str], setting: Setting
) -> None:
    for key in given:
        if key in known and key not in chosen and chosen[0]:
            message = f"[{dotted((*AT, key))}] is not used: [data] does not name '{key}'."
            setting.complaints.add("E109", (*AT, key), message, "Name it or drop the table.")
