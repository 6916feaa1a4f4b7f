"""A job that is told to leave: it saves what it has, and goes on from there. Real processes."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from lessons import Classroom, classroom

from nnsearch.events import Epoch, Finished, Started
from nnsearch.study.folder import JobFolder
from nnsearch.training.job import Job, recorded, run_job, write_job
from nnsearch.training.stopping import CODE, in_order

pytestmark = pytest.mark.timeout(300)  # two trainings of a thousand epochs
ATTEMPT = "import sys; from nnsearch.training.job import run_job; run_job(sys.argv[1])"
EPOCHS = 1000


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    """Many short epochs, and no checkpoint of its own accord."""
    room = classroom(tmp_path_factory.mktemp("room"), "iris")
    return room.changed(training__epochs=EPOCHS, training__checkpoint_seconds=3600.0)


def epochs_of(folder: JobFolder) -> list[int]:
    return [each.epoch for each in recorded(folder) if isinstance(each, Epoch)]


def told_to_leave(folder: Path, job: Job, is_due: Callable[[JobFolder], bool]) -> JobFolder:
    """The job's folder, after a process that worked on it had SIGTERM when that was due."""
    place = JobFolder(folder)
    write_job(place, job)
    process = subprocess.Popen(
        [sys.executable, "-c", ATTEMPT, str(folder)], env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    while not is_due(place):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.wait(100) == CODE == 143
    return place


@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "alone"])
def test_a_job_saves_its_last_epoch_and_goes_on_after_it(
    fuse: bool, room: Classroom, tmp_path: Path
) -> None:
    job = room.changed(training__fuse=fuse).job()
    place = told_to_leave(tmp_path / "left", job, lambda each: len(epochs_of(each)) >= 3)
    done = epochs_of(place)
    assert len(done) < EPOCHS, "it was told too late"
    run_job(str(place.root))
    (_, again), (ending,) = (
        [each for each in recorded(place) if isinstance(each, kind)] for kind in (Started, Finished)
    )
    assert isinstance(again, Started)
    assert again.epoch == len(done) + 1
    assert epochs_of(place) == [*range(1, EPOCHS + 1)]
    whole = JobFolder(tmp_path / "whole")
    write_job(whole, job)
    run_job(str(whole.root))
    (wanted,) = [each for each in recorded(whole) if isinstance(each, Finished)]
    assert isinstance(ending, Finished)
    assert ending.files == wanted.files


@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "alone"])
def test_a_signal_between_asking_and_leaving_is_seen_after_the_next_epoch(
    fuse: bool, room: Classroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, True, True])
    asking = f"nnsearch.training.{'together' if fuse else 'alone'}.is_wanted"
    monkeypatch.setattr(asking, lambda: next(answers))
    place = JobFolder(tmp_path)
    write_job(place, room.changed(training__fuse=fuse).job())
    with pytest.raises(SystemExit):
        run_job(str(tmp_path))
    assert epochs_of(place) == [1, 2]
    assert (place if fuse else place.trial(0)).checkpoint.exists()


@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "alone"])
def test_one_that_waits_for_a_verdict_leaves_and_asks_for_it_again(
    fuse: bool, room: Classroom, tmp_path: Path
) -> None:
    every = room.changed(training__fuse=fuse, training__checkpoint_seconds=0.0)
    place = told_to_leave(
        tmp_path / "left", every.job(rungs=(2,)), lambda each: epochs_of(each) == [1, 2]
    )
    place.verdicts.write_text('{"trial": 0, "epoch": 2, "keep": false}\n')
    run_job(str(place.root))
    assert max(epochs_of(place)) == 2, "it was pruned there"


def test_beside_the_main_thread_signals_are_left_alone() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def job() -> None:
        with in_order():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=job)
    thread.start()
    thread.join()
    assert seen == [before]
    with in_order():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
