"""Which targets a task wants."""

from nnsearch.tasks.classification import classification
from nnsearch.tasks.regression import regression
from nnsearch.tasks.task import Classes, Task, target_kind


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
