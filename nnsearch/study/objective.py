"""Choose what a study improves among the metrics of its task. Knows no task."""

from collections.abc import Mapping

from nnsearch.components import nearest
from nnsearch.errors import Problem, StudyError
from nnsearch.study.spec import Direction, Objective, Study


def objective(study: Study, directions: Mapping[str, Direction]) -> Objective:
    """The study's objective; `directions` are the task's metrics, its default first.

    Raises StudyError for a metric that the task does not have.
    """
    metric = study.search.objective.removeprefix("valid/") or next(iter(directions))
    if metric not in directions:
        message = f"unknown metric '{metric}': the task has {', '.join(directions)}."
        hint = nearest(metric, list(directions))
        hint = hint if hint.startswith("Did") else ""
        raise StudyError([Problem("E408", message, f"study '{study.name}'", hint)])
    return Objective(metric, study.search.direction or directions[metric])
