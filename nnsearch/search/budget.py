"""When a study stops. Pure: results in, a reason or nothing out."""

from collections.abc import Sequence

from nnsearch.events import Ending, Failed, Finished
from nnsearch.study.spec import Objective, Search

SAME_ERRORS = 3


def stop_reason(search: Search, objective: Objective, endings: Sequence[Ending]) -> str:
    """Why no further trial should be trained, as a phrase; empty where the search goes on.

    `endings` are in the order of the trials' numbers.
    """
    values = [each.value if isinstance(each, Finished) else None for each in endings]
    best, best_at = None, -1
    for index, value in enumerate(values):
        if value is not None and objective.better(value, best):
            best, best_at = value, index
    if search.target is not None and best is not None:
        reached = best == search.target or objective.better(best, search.target)
        if reached:
            return f"the target {search.target:g} is reached"
    if search.patience is not None and best is not None:
        without = len(values) - 1 - best_at
        if without >= search.patience:
            return f"{without} trials brought no improvement"
    return ""


def same_error(endings: Sequence[Ending]) -> str:
    """The error that every trial so far ended with, once there are three; else empty."""
    errors = {each.error if isinstance(each, Failed) else "" for each in endings}
    return errors.pop() if len(endings) >= SAME_ERRORS and len(errors) == 1 else ""
