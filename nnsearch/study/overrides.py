"""Apply `--set optimizer.lr=0.01` to the tables of a study file. Knows no key and no value."""

import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from nnsearch.study.complaints import Complaints, show

MAX_DEPTH = 8


def override(
    tables: Mapping[str, Any], overrides: Sequence[str], complaints: Complaints
) -> dict[str, Any]:
    """A copy of `tables` in which each `path=value` stands, for messages too.

    A value is TOML, or else text. Setting `name` or `one_of` of a table takes the place of the
    other, and drops the tables of the alternatives that are named no more.
    """
    changed: dict[str, Any] = _copy(tables)
    for each in overrides:
        path, sign, text = each.partition("=")
        keys = _keys(path.strip())
        if not sign or not keys:
            hint = "Write --set optimizer.lr=0.01."
            complaints.overrides[(each,)] = path or each
            complaints.add("E009", (each,), f"{show(each)} is no path and value.", hint)
            continue
        complaints.overrides[keys] = path.strip()
        try:
            value = parse_value(text.strip())
        except ValueError as error:
            complaints.add("E009", keys, f"{show(text)} is not TOML: {error}.")
            continue
        _set(changed, keys, value)
    return changed


def parse_value(text: str) -> Any:
    """The TOML value of `text`, or `text` itself; ValueError for a broken array, table or text."""
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError) as error:
        if text[:1] in {"[", "{", '"', "'"}:
            raise ValueError(str(error).partition(" (at")[0]) from error
        return text
    return parsed["value"] if len(parsed) == 1 and "\n" not in text else text


def _keys(path: str) -> tuple[str, ...]:
    """The parts of a dotted TOML key; none where it is not one."""
    try:
        table: Any = tomllib.loads(f"{path} = 0")
    except ValueError:
        return ()
    keys: list[str] = []
    while isinstance(table, dict) and len(table) == 1 and len(keys) <= MAX_DEPTH:
        ((key, table),) = table.items()
        keys.append(key)
    return tuple(keys) if table == 0 else ()


def _copy(tables: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(each) if isinstance(each, dict) else each for key, each in tables.items()}


def _set(table: dict[str, Any], keys: Sequence[str], value: object) -> None:
    for key in keys[:-1]:
        below = table.get(key, {})
        # `task = "classification"` is short for a table with that name
        table[key] = {"name": below} if isinstance(below, str) else below
        if not isinstance(table[key], dict):
            table[key] = {}
        table = table[key]
    if keys[-1] in {"name", "one_of"} and len(keys) > 1:
        _choose(table, keys[-1], value)
    table[keys[-1]] = value


def _choose(table: dict[str, Any], key: str, value: object) -> None:
    old = [table.pop("one_of", []), table.pop("name", [])]
    named = value if isinstance(value, list) else [value]
    for names in old:
        for name in names if isinstance(names, list) else [names]:
            if isinstance(name, str) and name not in named and key != name:
                table.pop(name, None)
