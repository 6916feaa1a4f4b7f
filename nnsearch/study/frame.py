"""The keys of a study file that belong to no component, as signatures, and their rules.

Knows no component. Like those of components, the signatures are the schema: they are checked
here and become the JSON schema.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Lt

from nnsearch import components
from nnsearch.components import Count
from nnsearch.study.branches import Setting, as_table, bind_component
from nnsearch.study.complaints import At, Spot, dotted, quote, show, subject
from nnsearch.study.folder import NAME
from nnsearch.study.goals import bind_goals
from nnsearch.study.ranges import check_literal
from nnsearch.study.spec import (
    Choice,
    Confirmation,
    Direction,
    IntRange,
    Range,
    Search,
    Space,
    Split,
)

Portion = Annotated[float, Gt(0), Lt(1)]
Seed = Annotated[int, Ge(0)]

TABLES = ("data", "task", "model", "optimizer", "schedule", "training", "search", "confirmation")
SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0}
MAX_GRID = 100_000
MAX_FOLDS = 50
TOLERANCE = 1e-6
SHARES = ("train", "valid", "test")

# Trials asked for at a time, and how many of those in a row are of one shape: what trains a given
# number of trials fastest, and what comes to a target soonest.
TO_A_NUMBER = (8, 4)
TO_A_TARGET = (4, 2)


def study_keys(*, name: str = "", seed: Seed = 0, description: str = "") -> None:
    """The keys at the top of the file."""


def data_keys(
    *, source: str = "", transforms: tuple[str, ...] = (), allow_leaky: bool = False
) -> None:
    """The keys of [data] but for split."""


def split_keys(
    *,
    train: Portion = 0.64,
    valid: Portion = 0.16,
    test: Portion = 0.2,
    by: Literal["class", "random", "group", "time"] = "class",
    column: str = "",
) -> None:
    """The keys of data.split."""


def search_keys(
    *,
    sampler: str = "tpe",
    pruner: str = "none",
    trials: Count | None = None,
    timeout: float | str | None = None,
    target: float | None = None,
    patience: Count | None = None,
    stall_timeout: float | str = 1800.0,
    batch: Count | None = None,
    alike: Count | None = None,
    objective: str = "",
    direction: Direction | None = None,
    objectives: tuple[str, ...] = (),
    constraints: tuple[str, ...] = (),
    folds: Annotated[int, Ge(0), Le(MAX_FOLDS)] = 0,
) -> None:
    """The keys of [search].

    Trials are asked for `batch` at a time, `alike` of them in a row of one shape: 8 and 4, or where
    a target ends the search 4 and 2.
    """


def confirmation_keys(
    *, trials: Annotated[int, Ge(0)] = 5, seeds: Annotated[int, Ge(0)] = 5, resample: bool = False
) -> None:
    """The keys of [confirmation]."""


def check_keys(
    keys: Callable[..., None],
    given: Mapping[str, Any],
    *,
    at: At,
    setting: Setting,
    tables: Sequence[str] = (),
) -> dict[str, Any]:
    """Every key of a signature, as given or by default; `tables` are keys that others check."""
    options = components.options(keys)
    place = f"[{dotted(at)}]" if at else "the study file"
    for key in given:
        if key not in options and key not in tables:
            hint = components.nearest(key, [*options, *tables])
            setting.complaints.add("E102", (*at, key), f"unknown key {show(key)} in {place}.", hint)
    checked = {name: option.default for name, option in options.items()}
    for name in options.keys() & given.keys():
        spot = Spot((*at, name), options[name].complaint, setting.complaints)
        value = check_literal(given[name], spot)
        if value is not None:
            checked[name] = options[name].parse(value)
    return checked


def check_name(name: str, at: At, setting: Setting) -> None:
    """Complain of a name that is no name of a folder, of an MLflow experiment and of a study."""
    if NAME.fullmatch(name) is None or set(name) == {"."}:
        message = f"the study's name {show(name)} is not 1 to 100 of A-Z a-z 0-9 . _ -"
        hint = "" if at in setting.complaints.lines else " Give name at the top of the file."
        setting.complaints.add("E401", at, message + ".", hint.strip())


def bind_split(table: object, at: At, setting: Setting) -> Split:
    """The split: three shares of the whole, and by what."""
    given, complaints = as_table(table, at, setting), setting.complaints
    if given is None:
        return Split()
    before = len(complaints.found)
    checked = check_keys(split_keys, given, at=at, setting=setting)
    missing = [share for share in SHARES if share not in given]
    if 0 < len(missing) < len(SHARES):
        hint = "Give train, valid and test, or none of them."
        complaints.add("E402", at, f"{subject(at)} lacks the share of {quote(missing)}.", hint)
    total = sum(checked[share] for share in SHARES)
    if len(complaints.found) == before and abs(total - 1) > TOLERANCE:
        message = f"the shares of {subject(at)} sum to {total:.6g}, not to 1."
        complaints.add("E403", at, message)
    # Without a column the source has to know groups or times itself, which shows when it is read.
    if checked["column"] and checked["by"] not in {"group", "time"}:
        message = f"{subject(at)} has a column, which by = '{checked['by']}' does not use."
        complaints.add("E404", (*at, "column"), message, "Give by = 'group' or by = 'time'.")
    return Split(**checked)


def check_folds(search: Search, split: Split, setting: Setting) -> None:
    """Complain of a number of folds that is none, and of folds of rows that time divides."""
    at = ("search", "folds")
    if search.folds == 1:
        hint = "Give 2 or more, or leave it out."
        setting.complaints.add("E417", at, "[search] folds = 1 is no cross-validation.", hint)
    if search.folds and split.by == "time":
        message = "[search] folds: rows that are split by time cannot be divided anew."
        setting.complaints.add("E418", at, message, "Leave it out.")


def bind_search(table: object, setting: Setting) -> Search:
    """How the study searches, and when it stops."""
    at, complaints = ("search",), setting.complaints
    given = dict(as_table(table, at, setting) or {})
    if isinstance(given.get("objective"), list):
        message = f"{subject((*at, 'objective'))} = {show(given.pop('objective'))}"
        hint = "Write objectives = [...] for two or three."
        complaints.add("E407", (*at, "objective"), f"{message}: that is a list.", hint)
    chosen = [given.get("sampler", "tpe"), given.get("pruner", "none")]
    checked = check_keys(
        search_keys, given, at=at, setting=setting, tables=[str(name) for name in chosen]
    )
    if given.get("trials") is None and given.get("timeout") is None:
        message = "[search] has neither trials nor timeout, so that it would never end."
        complaints.add("E405", at, message, "Give trials, timeout or both.")
    checked |= bind_goals(checked, at, setting)
    for kind, key in (("samplers", "sampler"), ("pruners", "pruner")):
        name = checked[key]
        own = given.get(name, {}) if isinstance(name, str) else {}
        checked[key] = bind_component(
            kind, name, own, at=(*at, name), named=(*at, key), setting=setting
        )
    for key in ("timeout", "stall_timeout"):
        checked[key] = _seconds(checked[key], (*at, key), setting)
    batch, alike = TO_A_NUMBER if checked["target"] is None else TO_A_TARGET
    checked["batch"], checked["alike"] = checked["batch"] or batch, checked["alike"] or alike
    return Search(**checked)


def bind_confirmation(table: object, split: Split, setting: Setting) -> Confirmation:
    """How the winner is chosen among the best trials."""
    at = ("confirmation",)
    given = as_table(table, at, setting)
    if given is None:
        return Confirmation()
    confirmation = Confirmation(**check_keys(confirmation_keys, given, at=at, setting=setting))
    if confirmation.seeds == 1:
        message = "[confirmation] seeds = 1: one training says nothing of how seeds differ."
        hint = "Give 2 or more, or 0 for no confirmation."
        setting.complaints.add("E415", (*at, "seeds"), message, hint)
    if confirmation.resample and split.by == "time":
        message = "[confirmation] resample: rows that are split by time cannot be divided anew."
        hint = "Take it out: fresh seeds remain."
        setting.complaints.add("E416", (*at, "resample"), message, hint)
    return confirmation


def _seconds(timeout: float | str | None, at: At, setting: Setting) -> float | None:
    """A timeout in seconds: a number above 0, or text such as '90s', '10m' and '2h'."""
    hint = "Write seconds as a number, or text such as '90s', '10m' or '2h'."
    if isinstance(timeout, str):
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?([smh])", timeout, re.ASCII)
        if match is None:
            message = f"{subject(at)} = {show(timeout)} is no time."
            setting.complaints.add("E406", at, message, hint)
            return None
        timeout = float(match[1]) * SECONDS[match[2]]
    if timeout is not None and timeout <= 0:
        setting.complaints.add("E406", at, f"{subject(at)} must be above 0.", hint)
    return timeout


def check_grid(spaces: Sequence[Space], setting: Setting) -> None:
    """Complain of a grid that has no end, or more points than `MAX_GRID`."""
    points = 1
    for space in spaces:
        for path, each in space.ranges():
            if num_points(each) is None:
                message = f"the grid has no end: {path} is a range of float without step."
                setting.complaints.add("E311", ("search", "sampler"), message, "Give it a step.")
                return
        points *= sum(_num_combinations(options) for options in space.alternatives.values()) or 1
    if points > MAX_GRID:
        message = f"the grid has {points} points, more than {MAX_GRID}."
        hint = "Search fewer values, or take another sampler."
        setting.complaints.add("E312", ("search", "sampler"), message, hint)


def num_points(each: Range) -> int | None:
    """How many values a range has; None where it is continuous."""
    if isinstance(each, Choice):
        return len(each.choices)
    if isinstance(each, IntRange):
        return (each.high - each.low) // each.step + 1
    if each.step is None:
        return None if each.high > each.low else 1
    return round((each.high - each.low) / each.step) + 1


def _num_combinations(options: Mapping[str, Any]) -> int:
    product = 1
    for value in options.values():
        product *= (num_points(value) or 1) if isinstance(value, Range) else 1
    return product
