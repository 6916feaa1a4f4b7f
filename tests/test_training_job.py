"""A job in its folder: the events it writes, what it leaves, and how it goes on after a kill."""

import json
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lessons import Classroom, classroom

from nnsearch import events
from nnsearch.data.sealed import reads
from nnsearch.errors import IntegrityError
from nnsearch.events import Ending, Epoch, Event, Failed, Finished, Pruned, Started
from nnsearch.study.folder import JobFolder, sha256_of
from nnsearch.study.spec import Component
from nnsearch.training import account, checkpoint
from nnsearch.training.account import Account
from nnsearch.training.examine import look_at_test, rebuild
from nnsearch.training.job import Job, read_job, recorded, run_job, write_job


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom(tmp_path_factory.mktemp("room"), "iris")


def carried_out(folder: Path, job: Job) -> JobFolder:
    place = JobFolder(folder)
    write_job(place, job)
    run_job(str(folder))
    return place


def test_a_job_reads_back_as_it_was_written(room: Classroom, tmp_path: Path) -> None:
    job = room.job(rungs=(1, 3))
    write_job(JobFolder(tmp_path), job)
    assert read_job(JobFolder(tmp_path)) == job


def test_events_tell_the_whole_story(room: Classroom, tmp_path: Path) -> None:
    place = carried_out(tmp_path, room.job())
    told = list(recorded(place))
    assert [type(each) for each in told] == [Started, *[Epoch] * 6, Finished]
    started, ending = told[0], told[-1]
    assert isinstance(started, Started)
    assert isinstance(ending, Finished)
    assert started.num_parameters == 4 * 16 + 16 + 16 * 16 + 16 + 16 * 3 + 3
    files = place.trial(0)
    assert ending.files == {
        "weights.pt": sha256_of(files.weights),
        "predictions.npz": sha256_of(files.predictions),
    }
    best = max(each.metrics["valid/accuracy"] for each in told if isinstance(each, Epoch))
    assert ending.value == best


@pytest.mark.parametrize("is_fused", [True, False])
def test_a_trial_ends_with_the_epoch_that_is_enough(
    room: Classroom, tmp_path: Path, is_fused: bool
) -> None:
    asked = room.changed(training__fuse=is_fused, optimizer__lr=0.003)
    whole = curve(carried_out(tmp_path / "whole", asked.job()))
    enough = max(whole[:4])
    assert whole.index(enough) > 0, "the first epoch tells nothing"
    cut = carried_out(tmp_path / "cut", asked.job(enough=enough))
    assert curve(cut) == whole[: whole.index(enough) + 1]
    ending = list(recorded(cut))[-1]
    assert isinstance(ending, Finished)
    assert ending.value == enough


def test_a_trial_that_was_killed_with_enough_trains_no_more(
    room: Classroom, tmp_path: Path
) -> None:
    asked = room.changed(training__fuse=False, training__checkpoint_seconds=0.0)
    whole = carried_out(tmp_path / "whole", asked.job(enough=0.0))
    place = JobFolder(tmp_path / "killed")
    write_job(place, asked.job(enough=0.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnsearch.training.alone.finish", killed)
        with pytest.raises(KeyboardInterrupt):
            run_job(str(place.root))
    run_job(str(place.root))
    assert curve(place) == curve(whole)
    assert len(curve(whole)) == 1


def killed(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


def curve(place: JobFolder) -> list[float]:
    told = [each for each in recorded(place) if isinstance(each, Epoch)]
    return [each.metrics["valid/accuracy"] for each in told]


def test_a_trial_goes_on_in_the_company_that_it_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A convolution's last bits depend on how many trials it is computed for at once."""
    seen = classroom(tmp_path, "digits").changed(model=Component("cnn", {"channels": 4}))
    short = replace(seen.changed(training__epochs=3).trial, number=1, seed=5, uid="def")
    job = replace(seen.job(), trials=(seen.trial, short))
    whole = carried_out(tmp_path / "whole", job)
    place = JobFolder(tmp_path / "killed")
    write_job(place, job)
    real = account.record

    def record_until_killed(of: Account, *told: Event) -> None:
        real(of, *told)
        if any(isinstance(each, Epoch) and each.epoch == 5 for each in told):
            raise KeyboardInterrupt

    monkeypatch.setattr("nnsearch.training.together.record", record_until_killed)
    with pytest.raises(KeyboardInterrupt):
        run_job(str(place.root))
    monkeypatch.setattr("nnsearch.training.together.record", real)
    assert [each.trial for each in recorded(place) if isinstance(each, Ending)] == [1]
    before = sha256_of(place.trial(1).weights)
    run_job(str(place.root))
    endings = [each for each in recorded(place) if isinstance(each, Finished)]
    assert [each.trial for each in endings] == [1, 0], "the companion is not recorded again"
    assert sha256_of(place.trial(1).weights) == before
    assert sha256_of(place.trial(0).weights) == sha256_of(whole.trial(0).weights)


def test_equal_trials_leave_equal_files(room: Classroom, tmp_path: Path) -> None:
    first = carried_out(tmp_path / "a", room.job())
    second = carried_out(tmp_path / "b", room.job())
    for name in ("weights", "predictions"):
        assert sha256_of(getattr(first.trial(0), name)) == sha256_of(getattr(second.trial(0), name))


def test_an_ended_trial_is_not_trained_again(room: Classroom, tmp_path: Path) -> None:
    place = carried_out(tmp_path, room.job())
    before = place.events.read_bytes()
    run_job(str(tmp_path))
    assert place.events.read_bytes() == before


def test_a_failing_trial_is_a_result_with_its_traceback(room: Classroom, tmp_path: Path) -> None:
    bad = room.changed(model=Component("cnn"))
    ending = list(recorded(carried_out(tmp_path, bad.job())))[-1]
    assert isinstance(ending, Failed)
    assert "image" in ending.error
    assert "Traceback" in ending.details


def test_a_diverging_trial_fails_with_its_step(room: Classroom, tmp_path: Path) -> None:
    wild = room.changed(optimizer=Component("sgd", {"lr": 1e38}))
    ending = list(recorded(carried_out(tmp_path, wild.job())))[-1]
    assert isinstance(ending, Failed)
    assert ending.error.startswith("non-finite loss at step")


def test_the_pruners_verdict_stops_a_trial_at_its_rung(room: Classroom, tmp_path: Path) -> None:
    place = JobFolder(tmp_path)
    write_job(place, room.job(rungs=(2, 4)))
    thread = threading.Thread(target=run_job, args=(str(tmp_path),))
    thread.start()
    for epoch, keep in ((2, True), (4, False)):
        while not any(isinstance(each, Epoch) and each.epoch == epoch for each in recorded(place)):
            time.sleep(0.01)
        line = json.dumps({"trial": 0, "epoch": epoch, "keep": keep}) + "\n"
        events.append_lines(place.verdicts, [line], sync=False)
    thread.join(30)
    ending = list(recorded(place))[-1]
    assert isinstance(ending, Pruned)
    assert ending.epoch == 4
    assert not list(place.trial(0).root.glob("checkpoint*"))


@pytest.mark.faults
@pytest.mark.parametrize("is_fused", [True, False])
@pytest.mark.parametrize("damage", ["none", "newest", "both", "torn event"])
def test_a_killed_trial_goes_on_from_its_newest_whole_checkpoint(
    room: Classroom, tmp_path: Path, damage: str, is_fused: bool
) -> None:
    careful = room.changed(
        training__checkpoint_seconds=0.0, model__dropout=0.2, training__fuse=is_fused
    )
    whole = carried_out(tmp_path / "whole", careful.job())
    place = JobFolder(tmp_path / "killed")
    write_job(place, careful.job())

    class Killed(BaseException):
        pass

    real, saved = checkpoint.save, []

    def save_then_die(path: Path, state: dict[str, object]) -> str:
        saved.append(real(path, state))
        if len(saved) == 3:
            raise Killed
        return saved[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", save_then_die)
        with pytest.raises(Killed):
            run_job(str(place.root))
    newest = (place if is_fused else place.trial(0)).checkpoint
    if damage in {"newest", "both"}:
        flip_a_bit(newest)
    if damage == "both":
        flip_a_bit(newest.with_name("checkpoint.pt.before"))
    if damage == "torn event":
        with place.events.open("a") as file:
            file.write('{"event": "Epo')
    run_job(str(place.root))
    first_again = [each.epoch for each in recorded(place) if isinstance(each, Started)][-1]
    assert first_again == {"none": 4, "newest": 3, "both": 1, "torn event": 4}[damage]
    assert sha256_of(place.trial(0).weights) == sha256_of(whole.trial(0).weights)


def three(room: Classroom, **options: Any) -> Job:
    """A job of three trials of one shape, of which the second stops early by itself."""
    careful = room.changed(training__checkpoint_seconds=0.0, model__dropout=0.2)
    changes: list[dict[str, Any]] = [
        {"optimizer__lr": 0.01},
        {"training__epochs": 2},
        {"optimizer": Component("sgd", {"lr": 0.1, "momentum": 0.9})},
    ]
    trials = [
        replace(careful.changed(**change).trial, number=number, seed=number)
        for number, change in enumerate(changes)
    ]
    return replace(careful.job(**options), trials=tuple(trials))


def test_trials_of_one_shape_are_told_epoch_by_epoch(room: Classroom, tmp_path: Path) -> None:
    told = list(recorded(carried_out(tmp_path, three(room))))
    epochs = [(each.epoch, each.trial) for each in told if isinstance(each, Epoch)]
    assert epochs == sorted(epochs), "they went side by side"
    assert [each.trial for each in told if isinstance(each, Finished)] == [1, 0, 2]
    seconds = {each.trial: each.seconds for each in told if isinstance(each, Finished)}
    assert 0 < seconds[1] < seconds[0]


@pytest.mark.faults
@pytest.mark.parametrize("saves", [1, 3])
def test_killed_trials_of_one_shape_go_on_bit_for_bit(
    room: Classroom, tmp_path: Path, saves: int
) -> None:
    whole = carried_out(tmp_path / "whole", three(room))
    place = JobFolder(tmp_path / "killed")
    write_job(place, three(room))
    real, saved = checkpoint.save, []

    def save_then_die(path: Path, state: dict[str, object]) -> str:
        saved.append(real(path, state))
        if len(saved) == saves:
            raise KeyboardInterrupt
        return saved[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", save_then_die)
        with pytest.raises(KeyboardInterrupt):
            run_job(str(place.root))
    ended = {each.trial for each in recorded(place) if isinstance(each, Finished)}
    assert ended == ({1} if saves == 3 else set())
    run_job(str(place.root))
    for number in range(3):
        assert sha256_of(place.trial(number).weights) == sha256_of(whole.trial(number).weights)
    endings = [each.trial for each in recorded(place) if isinstance(each, Finished)]
    assert sorted(endings) == [0, 1, 2], "none ended twice"
    begun = [each.epoch for each in recorded(place) if isinstance(each, Started)]
    assert begun == [1, 1, 1, *([2] * 3 if saves == 1 else [4] * 2)]


def test_one_bad_trial_does_not_spoil_the_others(room: Classroom, tmp_path: Path) -> None:
    job = three(room)
    bad = replace(job.trials[1], schedule=Component("step", {"factor": "small"}))
    place = carried_out(tmp_path, replace(job, trials=(job.trials[0], bad, job.trials[2])))
    endings = {each.trial: type(each) for each in recorded(place) if isinstance(each, Ending)}
    assert endings == {0: Finished, 1: Failed, 2: Finished}


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def test_a_checkpoint_of_nothing_is_none(tmp_path: Path) -> None:
    assert checkpoint.load(tmp_path / "checkpoint.pt") is None
    checkpoint.save(tmp_path / "checkpoint.pt", {"x": torch.ones(2)})
    loaded = checkpoint.load(tmp_path / "checkpoint.pt")
    assert loaded is not None
    assert torch.equal(loaded["x"], torch.ones(2))
    checkpoint.remove(tmp_path / "checkpoint.pt")
    assert not list(tmp_path.iterdir())


def test_the_test_split_is_judged_by_the_stored_weights(room: Classroom, tmp_path: Path) -> None:
    place = carried_out(tmp_path / "job", room.job())
    record = tmp_path / "reads.jsonl"
    metrics = look_at_test(str(place.root), 0, str(tmp_path / "test.npz"), str(record))
    assert 0.5 < metrics["accuracy"] <= 1
    assert [each.trial for each in reads(record)] == [0]
    assert (tmp_path / "test.npz").exists()


def test_tampered_weights_are_refused(room: Classroom, tmp_path: Path) -> None:
    place = carried_out(tmp_path, room.job())
    flip_a_bit(place.trial(0).weights)
    with pytest.raises(IntegrityError, match="not the file"):
        rebuild(str(place.root), 0)
