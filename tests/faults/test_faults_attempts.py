"""Two attempts at one job: the new one does not begin while the old one can still write."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from adapters import LIMIT_SECONDS, is_alive, wait_for
from lessons import Classroom, classroom
from rig import FAULTS

from nnsearch.events import Epoch, Finished, Started
from nnsearch.study.folder import JobFolder
from nnsearch.study.spec import Component
from nnsearch.training.jobfile import recorded, write_job

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
EPOCHS = 25
# What a worker does; the last word is how long it waits for whoever holds the job.
ATTEMPT = """
import sys
from nnsearch.training import account
from nnsearch.training.job import run_job
account.LEAVE_SECONDS = float(sys.argv[2])
run_job(sys.argv[1])
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    folder = tmp_path_factory.mktemp("room")
    (folder / "faults.py").write_text(FAULTS)
    return classroom(folder, "iris")


@pytest.fixture
def job(room: Classroom, tmp_path: Path) -> JobFolder:
    """A job of one trial, of which each epoch takes a fifth of a second."""
    slow = room.changed(
        model=Component("faults.py:hanging", {"seconds": 0.1}),
        training__epochs=EPOCHS,
        training__checkpoint_seconds=0.0,
    )
    folder = JobFolder(tmp_path / "job")
    write_job(folder, slow.job())
    return folder


def attempt(job: JobFolder, patience_seconds: float) -> "subprocess.Popen[str]":
    """A process that works on the job."""
    return subprocess.Popen(
        [sys.executable, "-c", ATTEMPT, str(job.root), str(patience_seconds)],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def stopped(job: JobFolder) -> Iterator["subprocess.Popen[str]"]:
    """An attempt that was stopped in the middle, as when its machine was taken for dead."""
    process = attempt(job, 30)
    wait_for(lambda: sum(isinstance(each, Epoch) for each in recorded(job)) >= 2)
    process.send_signal(signal.SIGSTOP)
    try:
        wait_for(lambda: Path(f"/proc/{process.pid}/stat").read_text().split(") ")[-1][0] == "T")
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_new_attempt_writes_nothing_beside_a_stopped_one(
    job: JobFolder, stopped: "subprocess.Popen[str]"
) -> None:
    before = job.events.read_bytes()
    second = attempt(job, 1)
    _, errors = second.communicate(timeout=LIMIT_SECONDS)
    assert second.returncode == 1
    assert f"an earlier attempt still works on {job.root}" in errors
    assert f"process {stopped.pid} holds it" in errors
    assert job.events.read_bytes() == before
    stopped.send_signal(signal.SIGCONT)
    stopped.communicate(timeout=LIMIT_SECONDS)
    told = list(recorded(job))
    assert [each.epoch for each in told if isinstance(each, Epoch)] == [*range(1, EPOCHS + 1)]
    assert sum(isinstance(each, Finished) for each in told) == 1


@pytest.mark.slow
def test_a_new_attempt_waits_for_the_death_of_the_old_one_and_goes_on(
    job: JobFolder, stopped: "subprocess.Popen[str]"
) -> None:
    second = attempt(job, 60)
    time.sleep(1)
    stopped.kill()
    wait_for(lambda: not is_alive(stopped.pid))
    _, errors = second.communicate(timeout=LIMIT_SECONDS)
    assert second.returncode == 0, errors
    told = list(recorded(job))
    starts = [each.epoch for each in told if isinstance(each, Started)]
    assert len(starts) == 2
    assert starts[1] > 1
    assert sum(isinstance(each, Finished) for each in told) == 1
