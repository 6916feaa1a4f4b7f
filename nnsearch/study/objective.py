"""Choose what a study improves among the metrics of its task. Knows no task."""

from collections.abc import Mapping

from nnsearch.components import nearest
from nnsearch.errors import Problem, StudyError
from nnsearch.study.limits import COSTS, limits_of
from nnsearch.study.spec import COST, Direction, Objective, Search, Study


def objective(study: Study, directions: Mapping[str, Direction]) -> Objective:
    """The study's objective; `directions` are the task's metrics, its default first.

    Of several objectives it is the first. Raises StudyError for a metric that the task does not
    have, in a constraint too.
    """
    _refuse_unknown(study, directions)
    named = study.search.objectives[:1] or (study.search.objective,)
    metric = named[0].removeprefix("valid/") or next(iter(directions))
    return Objective(metric, study.search.direction or directions[metric])


def other_objectives(study: Study, directions: Mapping[str, Direction]) -> tuple[Objective, ...]:
    """The study's objectives beside the first; a cost is to be low."""
    metrics = [name.removeprefix("valid/") for name in study.search.objectives[1:]]
    return tuple(
        Objective(each, "minimize" if each.startswith(COST) else directions[each])
        for each in metrics
    )


def _refuse_unknown(study: Study, directions: Mapping[str, Direction]) -> None:
    search = study.search
    named = [each for each in (search.objective, *search.objectives) if not each.startswith(COST)]
    named += [each.name for each in limits_of(study) if each.name.startswith("valid/")]
    problems = []
    for metric in dict.fromkeys(each.removeprefix("valid/") for each in named if each):
        if metric in directions:
            continue
        costs = COSTS if search.objectives else ()
        more = f"; beside them there is {', '.join(costs)}" if costs else ""
        message = f"unknown metric '{metric}': the task has {', '.join(directions)}{more}."
        known = [*directions, *costs]
        hint = nearest(metric, known)
        hint = hint if hint.startswith("Did") else ""
        at = ("search", _key_of(metric, search))
        problems.append(Problem("E408", message, f"study '{study.name}'", hint, at))
    if problems:
        raise StudyError(problems)


def _key_of(metric: str, search: Search) -> str:
    """The key of [search] that names the metric."""
    if metric in {each.removeprefix("valid/") for each in search.objectives}:
        return "objectives"
    return "objective" if metric == search.objective.removeprefix("valid/") else "constraints"
