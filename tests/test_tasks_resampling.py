"""Classes of unequal size made equal: in training alone, the same each time, and fused."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from company import DOUBLE, Materials, assert_equal, trials_of
from lessons import Classroom, classroom_of, learned

from nnsearch.study.spec import Component, Objective
from nnsearch.tasks.classification import classification, resampled
from nnsearch.training.fuse import plan, shape_params

STUDY = """
[data]
source = "csv"
csv = { path = "rare.csv", target = "y" }
[task]
name = "classification"
[model]
name = "mlp"
width = 8
[optimizer]
name = "adam"
lr = 0.02
[training]
epochs = 4
batch_size = 16
[search]
trials = 1
"""
TARGETS = np.array([0] * 90 + [1] * 8 + [2] * 20)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """A table of 300 rows, of which one in ten is of the rare class."""
    folder, draw = tmp_path_factory.mktemp("rare"), np.random.default_rng(0)
    lines = []
    for row in range(300):
        is_rare = row % 10 == 0
        a, b = draw.normal(1.2 * is_rare, 1, 2)
        lines.append(f"{a:.4f},{b:.4f},{'rare' if is_rare else 'usual'}")
    (folder / "rare.csv").write_text("\n".join(["a,b,y", *lines]))
    return classroom_of(folder, "rare", STUDY)


def with_rows(how: str, **options: Any) -> Component:
    return Component("classification", {"resample": how, **options})


def test_every_class_has_the_same_number_of_rows() -> None:
    over, under = resampled(TARGETS, "over"), resampled(TARGETS, "under")
    assert np.bincount(TARGETS[over]).tolist() == [90, 90, 90]
    assert np.bincount(TARGETS[under]).tolist() == [8, 8, 8]
    assert len(np.unique(under)) == len(under)
    assert set(over) == set(range(len(TARGETS))), "no row is left out"
    times = np.bincount(over)
    assert times[:90].tolist() == [1] * 90
    assert set(times[90:98]) == {11, 12}
    np.testing.assert_array_equal(over, resampled(TARGETS, "over"))
    np.testing.assert_array_equal(under, resampled(TARGETS, "under"))


def test_weights_are_those_of_the_rows_that_are_trained_on() -> None:
    outputs, classes = torch.randn(3, 3), torch.tensor([0, 1, 2])
    plain = classification(TARGETS).losses(outputs, classes)
    balanced = classification(TARGETS, class_weights="balanced").losses(outputs, classes)
    both = classification(TARGETS, class_weights="balanced", resample="over")
    assert not torch.allclose(balanced, plain)
    torch.testing.assert_close(both.losses(outputs, classes), plain)


@pytest.mark.parametrize("how", ["over", "under"])
def test_only_the_training_split_changes(room: Classroom, how: Literal["over", "under"]) -> None:
    plain, changed = room.pupil(), room.changed(task=with_rows(how)).pupil()
    before, after = plain.material, changed.material
    counts = torch.bincount(after.train_targets)
    assert counts[0] == counts[1]
    sizes = torch.bincount(before.train_targets)
    assert int(counts[0]) == int(sizes.max() if how == "over" else sizes.min())
    known = {tuple(row) for row in before.train.tolist()}
    assert {tuple(row) for row in after.train.tolist()} <= known
    assert torch.equal(before.valid, after.valid)
    np.testing.assert_array_equal(before.valid_raw, after.valid_raw)
    for name, value in before.transforms.state_dict().items():
        assert torch.equal(value, after.transforms.state_dict()[name]), "fitted to all rows, once"


def test_a_rare_class_is_found_more_often(room: Classroom) -> None:
    objective = Objective("balanced_accuracy", "maximize")
    trained = room.changed(training__epochs=15)
    plain = learned(trained.pupil(), objective).metrics["valid/recall_macro"]
    over = learned(trained.changed(task=with_rows("over")).pupil(), objective)
    assert over.metrics["valid/recall_macro"] > plain + 0.05


def test_trials_of_the_same_rows_train_together_as_alone(room: Classroom) -> None:
    task = with_rows("over")
    smooth = with_rows("over", label_smoothing=0.1)
    trials = trials_of(room, [{}, {"model__dropout": 0.3}, {"task": smooth}], task=task)
    assert len(plan(trials)) == 1
    assert_equal(trials, Materials(room, DOUBLE), Objective("accuracy", "maximize"))


def test_trials_of_other_rows_are_in_other_programs(room: Classroom) -> None:
    tasks = [{"task": with_rows(how)} for how in ("over", "under", "none")]
    trials = trials_of(room, [*tasks, {}])
    assert [len(group) for group in plan(trials)] == [1, 1, 2]
    searched = replace(trials[0], params={"task.resample": "over", "optimizer.lr": 0.1})
    assert shape_params(searched) == {"task.resample": "over"}


def test_it_is_searched_from_a_study_file(tmp_path: Path) -> None:
    study = STUDY.replace(
        'name = "classification"', 'name = "classification"\nresample = "sideways"'
    )
    (tmp_path / "rare.csv").write_text("a,b,y\n" + "1,2,x\n2,1,z\n" * 9)
    with pytest.raises(Exception, match="resample in \\[task\\]"):
        classroom_of(tmp_path, "rare", study)
