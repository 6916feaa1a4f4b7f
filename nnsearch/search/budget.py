"""When a study stops. Pure: results in, a reason or nothing out."""

from collections.abc import Sequence

from nnsearch.events import Ending, Failed, Finished
from nnsearch.study.spec import Objective, Search

SAME_ERRORS = 3
FAILED_IN_A_ROW = 25


def stop_reason(search: Search, objective: Objective, endings: Sequence[Ending]) -> str:
    """Why no further trial should be trained, as a phrase; empty where the search goes on.

    `endings` are in the order of the trials' numbers. A trial that breaks a constraint improves
    nothing.
    """
    values = [
        each.value if isinstance(each, Finished) and each.is_feasible else None for each in endings
    ]
    best, best_at = None, -1
    for index, value in enumerate(values):
        if value is not None and objective.better(value, best):
            best, best_at = value, index
    if objective.reaches(best, search.target):
        return f"the target {search.target:g} is reached"
    if search.patience is not None and best is not None:
        without = len(values) - 1 - best_at
        if without >= search.patience:
            return f"{without} trials brought no improvement"
    return ""


def too_many_failed(endings: Sequence[Ending]) -> str:
    """Why failures should stop the study, as a phrase; empty where they should not.

    Three of three with the same error are a mistake in the study, not in a configuration. One that
    diverged is no failure of this kind: another configuration may not.
    """
    errors = [
        each.error if isinstance(each, Failed) and not each.has_diverged else "" for each in endings
    ]
    if len(errors) >= SAME_ERRORS and len(set(errors)) == 1 and errors[0]:
        return f"all {len(errors)} trials so far failed alike: {errors[0]}"
    if len(errors) >= FAILED_IN_A_ROW and all(errors[-FAILED_IN_A_ROW:]):
        return f"the last {FAILED_IN_A_ROW} trials failed, the last one with: {errors[-1]}"
    return ""
