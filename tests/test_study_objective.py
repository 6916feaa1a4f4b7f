"""The objective that a study and its task agree on."""

from pathlib import Path

import pytest

from nnsearch.errors import StudyError
from nnsearch.study.objective import objective
from nnsearch.study.spec import Component, Direction, Objective, Search, Space, Split, Study

DIRECTIONS: dict[str, Direction] = {"accuracy": "maximize", "log_loss": "minimize"}


def study(metric: str = "", direction: Direction | None = None) -> Study:
    nothing = Space("task", {})
    return Study(
        name="small",
        seed=0,
        root=Path(),
        source=Component("digits"),
        split=Split(),
        task=nothing,
        model=nothing,
        optimizer=nothing,
        schedule=nothing,
        training=nothing,
        transforms=(),
        search=Search(
            Component("tpe"), Component("none"), 3, objective=metric, direction=direction
        ),
    )


@pytest.mark.parametrize(
    ("metric", "direction", "expected"),
    [
        ("", None, Objective("accuracy", "maximize")),
        ("log_loss", None, Objective("log_loss", "minimize")),
        ("valid/log_loss", None, Objective("log_loss", "minimize")),
        ("accuracy", "minimize", Objective("accuracy", "minimize")),
    ],
)
def test_a_metric_of_the_task(
    metric: str, direction: Direction | None, expected: Objective
) -> None:
    assert objective(study(metric, direction), DIRECTIONS) == expected


def test_a_metric_that_is_none_of_the_tasks() -> None:
    with pytest.raises(StudyError) as caught:
        objective(study("acuracy"), DIRECTIONS)
    assert str(caught.value) == (
        "study 'small': error[E408]: unknown metric 'acuracy': the task has accuracy, log_loss. "
        "Did you mean 'accuracy'?"
    )
