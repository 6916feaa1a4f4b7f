"""Several objectives and the constraints of [search], checked. Knows no task and no file.

Whether a task has the metrics that they name is seen when the task is known.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nnsearch.components import nearest
from nnsearch.study.branches import Setting
from nnsearch.study.complaints import At, show, subject
from nnsearch.study.limits import COSTS, Limit, LimitError, limit_of
from nnsearch.study.spec import COST

FEWEST, MOST = 2, 3
_WANTED = "Name two or three, the main one first: objectives = ['accuracy', 'latency']."


def bind_goals(checked: Mapping[str, Any], at: At, setting: Setting) -> dict[str, Any]:
    """The objectives and constraints of the table at `at`, each in the one form it is kept in."""
    objectives = tuple(map(_canonical, checked["objectives"]))
    if objectives:
        _check_objectives(objectives, checked, at, setting)
    return {
        "objectives": objectives,
        "constraints": tuple(map(str, _limits(checked["constraints"], at, setting))),
    }


def _canonical(name: str) -> str:
    """`cost/latency` for `latency`, and `accuracy` for `valid/accuracy`."""
    if name in COSTS:
        return f"{COST}{name}"
    plain = name.removeprefix("valid/")
    return name if plain in COSTS else plain


def _check_objectives(
    names: Sequence[str], checked: Mapping[str, Any], at: At, setting: Setting
) -> None:
    complaints, place = setting.complaints, (*at, "objectives")
    told = f"{subject(place)} = {show([name.removeprefix(COST) for name in names])}"
    if not FEWEST <= len(names) <= MOST:
        complaints.add("E407", place, f"{told}: that is {len(names)}, not two or three.", _WANTED)
    elif len(set(names)) < len(names):
        complaints.add("E407", place, f"{told}: one is named twice.", _WANTED)
    if names[0].startswith(COST):
        message = f"{told}: the first one is a cost, which no training improves."
        complaints.add("E407", place, message, _WANTED)
    for name in names:
        if name.startswith(COST) and name.removeprefix(COST) not in COSTS:
            hint = nearest(name.removeprefix(COST), list(COSTS))
            complaints.add("E412", place, f"{told}: '{name}' is no cost.", hint)
    for key in ("objective", "direction"):
        if checked[key]:
            message = f"both {key} and objectives are given in [{at[-1]}]."
            complaints.add("E407", (*at, key), message, f"Leave {key} out.")
    if checked["pruner"] != "none":
        message = f"several objectives and pruner = {show(checked['pruner'])} in [{at[-1]}]: a"
        message += " running trial can be judged by one value only."
        complaints.add("E414", (*at, "pruner"), message, "Leave pruner out.")


def _limits(texts: Sequence[str], at: At, setting: Setting) -> list[Limit]:
    complaints, place = setting.complaints, (*at, "constraints")
    found: list[Limit] = []
    for text in texts:
        try:
            limit = limit_of(text)
        except LimitError as error:
            code = "E412" if error.is_name else "E411"
            complaints.add(code, place, f"the constraint {show(text)} {error}.", error.hint)
            continue
        for other in found:
            if other.name == limit.name and _clash(other, limit):
                message = f"the constraints '{other}' and '{limit}' do not go together."
                complaints.add("E413", place, message, "Keep one of them.")
        found.append(limit)
    return found


def _clash(first: Limit, second: Limit) -> bool:
    """Whether two bounds on one thing say the same twice, or leave nothing between them."""
    if first.sign == second.sign:
        return True
    low, high = (first, second) if first.sign == ">=" else (second, first)
    return low.bound > high.bound
