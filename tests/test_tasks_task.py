"""Which targets a task wants, and metrics that are added to a task."""

import numpy as np

from nnsearch.tasks.classification import classification
from nnsearch.tasks.regression import regression
from nnsearch.tasks.task import Classes, Task, target_kind, with_metric


def test_the_annotation_of_the_targets_says_what_they_are() -> None:
    assert target_kind(classification) == "class"
    assert target_kind(regression) == "number"


def test_a_task_without_the_annotation_gets_targets_as_they_are() -> None:
    def plain(targets: list[str]) -> Task:
        raise NotImplementedError(targets)

    def only_an_option(*, targets: Classes) -> Task:
        raise NotImplementedError(targets)

    assert target_kind(plain) == "raw"
    assert target_kind(only_an_option) == "raw"


def test_an_added_metric_comes_first_and_the_others_stay() -> None:
    task = classification(np.array([0, 1, 0, 1]))
    more = with_metric(task, "first", lambda made, _: made[:, 0].mean(), "minimize")
    made, known = np.array([[0.75, 0.25], [0.25, 0.75]]), np.array([0, 1])
    assert more.metrics(made, known) == {"first": 0.5, **task.metrics(made, known)}
    assert next(iter(more.directions.items())) == ("first", "minimize")
    assert list(more.directions)[1:] == list(task.directions)
    assert task.metrics_many is not None
    assert more.metrics_many is None
