"""What the events say of trials, and the names they are tracked under."""

import math
import posixpath
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnsearch.events import Asked, Epoch, Failed, Finished, Pruned, Started
from nnsearch.tracking.trials import (
    Trial,
    closing_metrics,
    closing_tags,
    note,
    params,
    renamed,
    slug,
)

ASKED = Asked(3, "u3", 7, {"model.mlp.width": 64}, {"model.width": 64, "optimizer.lr": 0.1 + 0.2})


def test_an_event_of_a_trial_nobody_asked_for_is_refused() -> None:
    trials: dict[int, Trial] = {}
    assert not note(trials, Started(3, "u3", 1.0))
    assert trials == {}


def test_the_first_record_of_an_epoch_and_the_first_ending_count() -> None:
    trials: dict[int, Trial] = {}
    for event in (
        ASKED,
        Started(3, "u3", 1.0),
        Epoch(3, 1, 2.0, 1.0, {"valid/accuracy": 0.5}),
        Started(3, "u3", 5.0),
        Epoch(3, 1, 6.0, 1.0, {"valid/accuracy": 0.5}),
        Pruned(3, 7.0, 1, 0.5),
        Failed(3, 8.0, "late"),
    ):
        assert note(trials, event)
    assert trials[3].at == 1.0
    assert [each.at for each in trials[3].epochs.values()] == [2.0]
    assert isinstance(trials[3].ending, Pruned)


def test_a_trial_without_a_start_began_with_its_first_epoch() -> None:
    assert Trial(ASKED, epochs={2: Epoch(3, 2, 9.0, 4.0, {})}).at == 5.0
    assert Trial(ASKED, ending=Failed(3, 8.0, "died")).at == 8.0
    assert not Trial(ASKED).has_begun


def test_params_keep_floats_to_the_last_bit_and_both_names() -> None:
    written = params(ASKED)
    assert written["model.mlp.width"] == written["model.width"] == "64"
    assert float(written["optimizer.lr"]) == 0.1 + 0.2


@pytest.mark.parametrize(
    ("ending", "has_objective", "state"),
    [
        (Finished(3, 9.0, 0.9, 4, 2.5, {"valid/accuracy": 0.9}), True, "complete"),
        (Pruned(3, 9.0, 2, 0.99), False, "pruned"),
        (Failed(3, 9.0, "x" * 9000), False, "failed"),
    ],
)
def test_only_a_complete_trial_has_an_objective(
    ending: Finished | Pruned | Failed, has_objective: bool, state: str
) -> None:
    trial = Trial(ASKED, ending=ending)
    assert ("objective" in closing_metrics(trial)) is has_objective
    assert closing_tags(trial)["nnsearch.state"] == state
    assert all(len(each) <= 8000 for each in closing_tags(trial).values())


@pytest.mark.parametrize("name", ["valid/accuracy", "lr", "recall/class 1", "f1_macro", "a.b:c-d"])
def test_a_name_that_mlflow_takes_is_left_alone(name: str) -> None:
    assert slug(name) == name
    assert renamed({name: 1}) == {}


def test_names_that_mlflow_refuses_stay_readable_and_apart() -> None:
    assert slug("valid/recall/C++").startswith("valid/recall/Cplusplus-")
    assert slug("recall/a,b") != slug("recall/a%b") != slug("recall/a&b")
    assert renamed({"C++": 1}) == {slug("C++"): "C++"}


@given(st.text(min_size=1, max_size=300))
def test_every_slug_is_a_name_that_mlflow_takes(name: str) -> None:
    # mlflow.utils.validation: the characters, and a name that is no other name as a path
    written = slug(name)
    assert re.fullmatch(r"[/\w.\- :]+", written)
    assert posixpath.normpath(written) == written
    assert not written.startswith(("/", ".."))
    assert written != "."
    assert len(written) <= 250


def test_infinite_values_are_not_numbers_in_mlflow() -> None:
    from nnsearch.tracking.values import as_metrics

    infinite, plain = as_metrics({"a": math.inf, "b": 1.5}, at=1.0005, step=2)
    assert math.isnan(infinite.value)
    assert (plain.value, plain.timestamp, plain.step) == (1.5, 1000, 2)


def test_an_epoch_never_lies_across_two_batches() -> None:
    from nnsearch.tracking.values import whole_epochs

    epochs = [Epoch(0, n, 1.0, 1.0, {str(k): 0.0 for k in range(4)}) for n in range(1, 8)]
    chunks = list(whole_epochs(epochs, room=10))
    assert [[each.epoch for each in chunk] for chunk in chunks] == [[1, 2], [3, 4], [5, 6], [7]]
    assert list(whole_epochs([], room=10)) == [[]]
