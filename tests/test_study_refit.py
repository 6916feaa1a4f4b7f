"""Trials of one space that are trials of a wider one, and those that are not."""

from pathlib import Path
from typing import Any

import pytest

from nnsearch.study.load import load_study
from nnsearch.study.refit import OutsideError, refit
from nnsearch.study.space import sample
from nnsearch.study.spec import Choice, Range, Study, TrialSpec

STUDY = """
[data]
source = "iris"
[data.table]
scale = "standard"
[task]
name = "classification"
[model]
name = "mlp"
[model.mlp]
width = { choice = [4, 8] }
depth = 2
[optimizer]
name = "adam"
[optimizer.adam]
lr = { float = [1e-3, 1e-1], log = true }
[search]
trials = 4
"""


def study(*overrides: str) -> Study:
    Path("small.toml").write_text(STUDY)
    return load_study(Path("small.toml"), overrides=overrides)


def trial(of: Study) -> TrialSpec:
    """The first choice and the upper end of everything."""

    def draw(_: str, each: Range) -> Any:
        return each.choices[0] if isinstance(each, Choice) else each.high

    return sample(of, draw, number=3, seed=7)


def test_a_wider_range_and_a_choice_more_change_nothing_of_a_trial() -> None:
    spec = trial(study())
    wider = study(
        "model.mlp.width={ choice = [2, 4, 8] }",
        "optimizer.adam.lr={ float = [1e-4, 1.0], log = true }",
    )
    assert refit(spec, wider) == spec


def test_an_option_that_was_set_can_be_searched_and_an_alternative_be_added() -> None:
    spec = trial(study())
    other = study("model.mlp.depth={ int = [1, 3] }", 'model.one_of=["mlp", "linear"]')
    found = refit(spec, other)
    assert spec.params == {"model.width": 4, "optimizer.lr": 0.1}
    assert found.params == {
        "model.name": "mlp",
        "model.mlp.width": 4,
        "model.mlp.depth": 2,
        "optimizer.lr": 0.1,
    }
    assert found.fingerprint == spec.fingerprint
    assert (found.seed, found.uid, found.number) == (spec.seed, spec.uid, spec.number)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.mlp.width={ choice = [8, 16] }", "model.width = 4 is not in the new range"),
        ("optimizer.adam.lr={ float = [1e-3, 1e-2] }", "optimizer.lr = 0.1 is not in"),
        ("model.mlp.depth=3", "model.depth = 2 is 3 in the new space"),
        ("optimizer.name=sgd", "optimizer = adam is not in the new space"),
        ('data.table.scale="robust"', "data.table.scale = standard is robust"),
        ("training.epochs=5", "training.epochs = 20 is 5"),
        ("model.mlp.width={ int = [3, 9], step = 2 }", "model.width = 4 is not in"),
    ],
)
def test_what_the_new_space_does_not_hold_is_said(override: str, message: str) -> None:
    with pytest.raises(OutsideError, match=message):
        refit(trial(study()), study(override))


def test_a_choice_is_of_its_own_type() -> None:
    spec = trial(study("model.mlp.width={ choice = [1, 2] }"))
    assert refit(spec, study("model.mlp.width={ choice = [2, 1] }")).params["model.width"] == 1
