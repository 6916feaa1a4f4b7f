"""Cross-validation: a trial's value is the mean over divisions of the rows."""

import shutil
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from lessons import Classroom, classroom

from nnsearch import events
from nnsearch.data.redivided import folds
from nnsearch.events import Ending, Failed, Finished, Pruned, to_line
from nnsearch.study.folder import JobFolder
from nnsearch.study.spec import Component, Split, TrialSpec
from nnsearch.training import folds as cross_validation
from nnsearch.training.job import Job, recorded, run_job, write_job


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom(tmp_path_factory.mktemp("room"), "iris")


def job_of(room: Classroom, *trials: TrialSpec, count: int = 3) -> Job:
    made = folds(room.data, Split(), seed=0, count=count)
    return replace(room.job(), trials=trials or (room.trial,), folds=tuple(made[1:]))


def carried_out(folder: Path, job: Job) -> JobFolder:
    place = JobFolder(folder)
    write_job(place, job)
    run_job(str(folder))
    return place


def endings(place: JobFolder) -> dict[int, Ending]:
    return {each.trial: each for each in recorded(place) if isinstance(each, Ending)}


def finished(place: JobFolder, number: int = 0) -> Finished:
    ending = endings(place)[number]
    assert isinstance(ending, Finished), ending
    return ending


def several(room: Classroom) -> tuple[TrialSpec, ...]:
    rates = (0.01, 0.03, 0.1)
    return tuple(
        replace(room.trial, number=place, optimizer=Component("adam", {"lr": rate}))
        for place, rate in enumerate(rates)
    )


def test_the_value_is_the_mean_of_what_each_division_gives_by_itself(
    room: Classroom, tmp_path: Path
) -> None:
    job = job_of(room)
    ending = finished(carried_out(tmp_path / "folds", job))
    alone = [
        finished(carried_out(tmp_path / data.name, replace(job, data=data, folds=()))).value
        for data in (job.data, *job.folds)
    ]
    assert [ending.metrics[f"folds/{place}"] for place in (1, 2, 3)] == alone
    assert ending.value == statistics.fmean(alone)
    assert ending.metrics["folds/deviation"] == statistics.stdev(alone)
    assert len(set(alone)) > 1, "the divisions differ, so a mean differs from its parts"


def test_the_network_and_its_curves_are_those_of_the_first_division(
    room: Classroom, tmp_path: Path
) -> None:
    job = job_of(room)
    with_folds = carried_out(tmp_path / "folds", job)
    without = carried_out(tmp_path / "plain", replace(job, folds=()))
    assert finished(with_folds).files == finished(without).files
    assert finished(with_folds).epoch == finished(without).epoch
    steps = [each for each in recorded(with_folds) if isinstance(each, events.Epoch)]
    assert [each.epoch for each in steps] == [1, 2, 3, 4, 5, 6]


def test_trials_of_one_shape_train_together_on_each_division(
    room: Classroom, tmp_path: Path
) -> None:
    trials = several(room)
    together = carried_out(tmp_path / "together", job_of(room, *trials))
    for trial in trials:
        alone = carried_out(tmp_path / f"{trial.number}", job_of(room, trial))
        assert finished(together, trial.number).value == pytest.approx(
            finished(alone, trial.number).value, abs=1e-6
        )


class Killed(BaseException):
    """As if the process ended here."""


@pytest.mark.parametrize("survives", [0, 1])
def test_what_was_trained_before_a_kill_is_not_trained_again(
    room: Classroom, tmp_path: Path, survives: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(room, *several(room))
    whole = carried_out(tmp_path / "whole", job)
    place = JobFolder(tmp_path / "killed")
    write_job(place, job)
    write, made = write_job, list[JobFolder]()

    def dying(folder: JobFolder, fold: Job) -> None:
        if len(made) == survives:
            raise Killed
        made.append(folder)
        write(folder, fold)

    with monkeypatch.context() as patched:
        patched.setattr(cross_validation, "write_job", dying)
        with pytest.raises(Killed):
            run_job(str(place.root))
    assert not endings(place), "nobody is told of a value that is no mean yet"
    before = place.events.read_text()
    of_folds = [each.events.read_text() for each in made]
    run_job(str(place.root))
    assert place.events.read_text().startswith(before)
    assert [each.events.read_text() for each in made] == of_folds
    for number in endings(whole):
        assert finished(place, number).value == finished(whole, number).value
        assert finished(place, number).files == finished(whole, number).files


def test_a_finished_job_is_left_alone(room: Classroom, tmp_path: Path) -> None:
    place = carried_out(tmp_path, job_of(room))
    before = place.events.read_text()
    run_job(str(place.root))
    assert place.events.read_text() == before


def test_a_torn_note_of_the_first_division_costs_its_training_and_no_more(
    room: Classroom, tmp_path: Path
) -> None:
    whole = carried_out(tmp_path / "whole", job_of(room))
    torn = JobFolder(shutil.copytree(whole.root, tmp_path / "torn"))
    torn.held.write_text(torn.held.read_text()[:-9])
    kept = [line for line, _ in events.whole_lines(torn.events) if "Finished" not in line]
    torn.events.write_text("".join(kept))
    run_job(str(torn.root))
    assert finished(torn).value == finished(whole).value


def test_a_trial_that_fails_on_one_division_has_failed(room: Classroom, tmp_path: Path) -> None:
    job = job_of(room)
    place = JobFolder(tmp_path)
    write_job(place, job)
    second = place.fold(2)
    write_job(second, replace(job, data=job.folds[1], folds=()))
    second.events.write_text(to_line(Failed(0, 0.0, "out of luck")))
    run_job(str(place.root))
    ending = endings(place)[0]
    assert isinstance(ending, Failed)
    assert ending.error == "on division 3 of the rows: out of luck"


def test_a_trial_that_is_pruned_is_not_trained_on_other_divisions(
    room: Classroom, tmp_path: Path
) -> None:
    job = replace(job_of(room), rungs=(1,))
    place = JobFolder(tmp_path)
    write_job(place, job)
    place.verdicts.write_text('{"trial": 0, "epoch": 1, "keep": false}\n')
    run_job(str(place.root))
    assert isinstance(endings(place)[0], Pruned)
    assert not place.fold(1).root.exists()
