"""Objectives and constraints that cannot be: one line each, before anything is read or made."""

from pathlib import Path

import pytest
from cases import SMALL, text_file
from typed import LINE, contents, typed

FORM = "Write a name, <= or >=, and a number: 'parameters <= 100_000'."
WANTED = "Name two or three, the main one first: objectives = ['accuracy', 'latency']."
METRICS = "accuracy, balanced_accuracy"

# What stands behind `trials = 4`, which is line 27, and what is said of it.
CASES = {
    "two objectives with a pruner": (
        ['pruner = "median"', 'objectives = ["accuracy", "latency"]'],
        [
            (
                "small.toml:28: error[E414]: several objectives and pruner = 'median' in [search]:"
                " a running trial can be judged by one value only. Leave pruner out."
            )
        ],
    ),
    "four objectives": (
        ['objectives = ["accuracy", "latency", "size", "seconds"]'],
        [
            (
                "small.toml:28: error[E407]: objectives in [search] = ['accuracy', 'latency',"
                f" 'size', 'seconds']: that is 4, not two or three. {WANTED}"
            )
        ],
    ),
    "objectives as text": (
        ['objectives = "accuracy, latency"'],
        ["small.toml:28: error[E201]: objectives in [search] = 'accuracy, latency':"],
    ),
    "every constraint wrong in its own way": (
        ['constraints = ["parametrs <= 9", "size <= 1 MB", "latency = 3", "seconds <= nan", ""]'],
        [
            (
                "small.toml:28: error[E412]: the constraint 'parametrs <= 9' names 'parametrs',"
                " which is no cost. Did you mean 'parameters'?"
            ),
            f"small.toml:28: error[E411]: the constraint 'size <= 1 MB' is no constraint. {FORM}",
            (
                "small.toml:28: error[E411]: the constraint 'latency = 3' has '=', which is neither"
                f" <= nor >=. {FORM}"
            ),
            (
                "small.toml:28: error[E411]: the constraint 'seconds <= nan' has 'nan', which is no"
                f" number. {FORM}"
            ),
            f"small.toml:28: error[E411]: the constraint '' is no constraint. {FORM}",
        ],
    ),
    "a constraint that moves the cursor": (
        ['constraints = ["\\u001b[2J <= 9"]'],
        ["small.toml:28: error[E412]: the constraint '\\x1b[2J <= 9' names"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_check_refuses_it(name: str, own_folder: Path) -> None:
    lines, wanted = CASES[name]
    text_file(SMALL.replace("trials = 4", "\n".join(["trials = 4", *lines])))(own_folder)
    before = contents(own_folder)
    said = typed("check", "small.toml")
    found = said.err.splitlines()
    assert said.code == 2
    assert len(found) == len(wanted)
    assert all(map(str.startswith, found, wanted)), found
    assert all(LINE.fullmatch(each) and each.isprintable() for each in found)
    assert contents(own_folder) == before


def test_a_constraint_on_a_metric_of_another_task_is_refused(own_folder: Path) -> None:
    text_file(SMALL + 'constraints = ["valid/rmse <= 1", "valid/acuracy >= 0.5"]\n')(own_folder)
    said = typed("check", "small.toml")
    assert said.code == 2
    first, second = said.err.splitlines()
    assert f"error[E408]: unknown metric 'rmse': the task has {METRICS}" in first
    assert second.endswith("Did you mean 'accuracy'?")
    assert list(own_folder.iterdir()) == [own_folder / "small.toml"]
