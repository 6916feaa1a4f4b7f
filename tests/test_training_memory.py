"""What a group will take against what it took, and what becomes of one that is too large."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from company import MODELS, Materials, trials_of
from lessons import ACCURACY, Classroom, classroom

from nnsearch.events import Ending, Epoch, Failed, Finished
from nnsearch.study.folder import JobFolder, read_json, sha256_of
from nnsearch.study.spec import Component, TrialSpec
from nnsearch.training import account, checkpoint, memory
from nnsearch.training.account import Account
from nnsearch.training.fit_many import fit_many
from nnsearch.training.group import make_group
from nnsearch.training.job import Job, recorded, run_job, write_job

MEGABYTE = 2**20
Narrow = Callable[[Callable[[object], float]], None]
OPTIMIZERS = ("adam", "sgd", "rmsprop", "nadam")
DOUBTFUL = 2.5  # how many times as much as was taken may have been foretold, one constant apart


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom(tmp_path_factory.mktemp("digits"))


@pytest.mark.timeout(300)
def test_what_is_foretold_is_what_is_taken(repository: Path) -> None:
    """In a process of its own, by the most pages that it has had at a time."""
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("peaks.py")],
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "PYTHONPATH": str(repository)},
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {(each["model"], each["trials"]) for each in found} == {
        (model, count) for model in ("mlp", "cnn") for count in (1, 4, 16)
    }
    for each in found:
        assert each["taken"] > 10 * MEGABYTE, "too little to tell"
        assert each["taken"] < each["needed"] < each["most"], each
        assert each["needed"] - memory.ASIDE < DOUBTFUL * each["taken"], each


@pytest.mark.parametrize("model", MODELS)
def test_the_quick_bound_is_never_too_low(digits: Classroom, model: str) -> None:
    materials = Materials(digits, torch.float32)
    for name in OPTIMIZERS:
        common = {"model": MODELS[model], "optimizer": Component(name), "training__average": "ema"}
        for trials in (trials_of(digits, [{}], **common), trials_of(digits, [{}] * 9, **common)):
            material = materials(trials[0])
            bound = memory.most(trials, material, digits.code) - memory.ASIDE
            assert bound > memory.needed(trials, materials, digits.code) - memory.ASIDE


def test_counting_changes_nothing_of_a_trial(digits: Classroom) -> None:
    """Not even of what torch's generator draws, for each epoch seeds it anew."""
    materials = Materials(digits, torch.float32)
    trials = trials_of(digits, [{"model__dropout": 0.3}] * 2, training__epochs=1)
    found = []
    for is_counted in (False, True):
        if is_counted:
            memory.needed(trials, materials, digits.code)
        run = fit_many(make_group(trials, materials, digits.code), ACCURACY)
        found.append({number: each.weights for number, each in next(run).finished.items()})
    for name, value in found[0][1].items():
        assert torch.equal(found[1][1][name], value)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_the_errors_that_say_so(error: Exception, expected: bool) -> None:
    assert memory.is_of_memory(error) is expected


def test_what_torch_says_on_a_cpu_is_known() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert memory.is_of_memory(caught.value)


def job_of(digits: Classroom, count: int, **options: Any) -> Job:
    changes: list[dict[str, Any]] = [
        {"optimizer__lr": 0.002 * (number + 1), "training__epochs": 3 + number % 2}
        for number in range(count)
    ]
    trials = trials_of(digits, changes, training__checkpoint_seconds=0.0, **options)
    return replace(digits.job(), trials=tuple(trials))


def carried_out(folder: Path, job: Job) -> JobFolder:
    place = JobFolder(folder)
    write_job(place, job)
    run_job(str(folder))
    return place


def room_for(digits: Classroom, trials: tuple[TrialSpec, ...]) -> Callable[[object], float]:
    """A machine with the memory that these trials take together, and no more."""
    need = memory.needed(trials, Materials(digits, torch.float32, 10**6), digits.code)
    return lambda _: 1.01 * need / memory.FILLED


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> Narrow:
    """Gives the machine so much memory, and no constant is set aside."""

    def narrowed(free: Callable[[object], float]) -> None:
        monkeypatch.setattr(memory, "free", free)

    monkeypatch.setattr(memory, "ASIDE", 0)
    return narrowed


def assert_same(whole: JobFolder, divided: JobFolder, job: Job) -> None:
    for trial in job.trials:
        files = whole.trial(trial.number), divided.trial(trial.number)
        assert sha256_of(files[0].weights) == sha256_of(files[1].weights)
        assert sha256_of(files[0].predictions) == sha256_of(files[1].predictions)
        assert curve(whole, trial.number) == curve(divided, trial.number)


def curve(place: JobFolder, number: int) -> list[tuple[int, dict[str, float]]]:
    told = [each for each in recorded(place) if isinstance(each, Epoch)]
    return [(each.epoch, each.metrics) for each in told if each.trial == number]


@pytest.mark.parametrize("fit", [3, 2, 1])
def test_what_does_not_fit_trains_in_halves_with_the_same_results(
    digits: Classroom, tmp_path: Path, narrow: Narrow, fit: int
) -> None:
    job = job_of(digits, 5)
    whole = carried_out(tmp_path / "whole", job)
    assert not whole.groups.exists()
    narrow(room_for(digits, job.trials[:fit]))
    divided = carried_out(tmp_path / "divided", job)
    assert_same(whole, divided, job)
    assert read_json(divided.groups)[-1] == ([3, 4] if fit > 1 else [4])


def test_a_trial_that_does_not_fit_fails_and_says_why(
    digits: Classroom, tmp_path: Path, narrow: Narrow
) -> None:
    narrow(lambda _: 1000.0)
    place = carried_out(tmp_path, job_of(digits, 2))
    endings = [each for each in recorded(place) if isinstance(each, Ending)]
    assert [each.trial for each in endings] == [0, 1]
    for each in endings:
        assert isinstance(each, Failed)
        assert each.error.startswith("MemoryError: the trial will take about 0.00 GiB of memory")


@pytest.mark.parametrize(("epoch", "fit", "groups"), [(2, 2, [[0, 1], [2, 3]]), (4, 1, [[1], [3]])])
def test_a_group_that_runs_out_of_memory_midway_goes_on_in_halves(
    digits: Classroom, tmp_path: Path, *, epoch: int, fit: int, groups: list[list[int]]
) -> None:
    """As it happens on a GPU that others fill meanwhile; in the fourth epoch two have ended."""
    job = job_of(digits, 4)
    whole = carried_out(tmp_path / "whole", job)
    real = account.record

    def record_until_full(of: Account, *told: Any) -> None:
        if len([each for each in told if is_epoch(each, epoch)]) > fit:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        real(of, *told)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nnsearch.training.together.record", record_until_full)
        divided = carried_out(tmp_path / "divided", job)
    assert read_json(divided.groups) == groups
    endings = [each for each in recorded(divided) if isinstance(each, Ending)]
    assert sorted(each.trial for each in endings) == [0, 1, 2, 3]
    assert all(isinstance(each, Finished) for each in endings)
    for trial in job.trials:
        files = whole.trial(trial.number), divided.trial(trial.number)
        assert sha256_of(files[0].weights) == sha256_of(files[1].weights)


def is_epoch(event: object, epoch: int) -> bool:
    return isinstance(event, Epoch) and event.epoch == epoch


@pytest.mark.faults
@pytest.mark.parametrize("saves", [1, 4, 6])
def test_a_divided_job_that_was_killed_goes_on_divided_alike(
    digits: Classroom, tmp_path: Path, narrow: Narrow, saves: int
) -> None:
    """CNNs, whose last bits depend on their company; by then there is memory for all of them."""
    job = job_of(digits, 4, model=Component("cnn", {"channels": 4}))
    narrow(room_for(digits, job.trials[:2]))
    whole = carried_out(tmp_path / "whole", job)
    place = JobFolder(tmp_path / "killed")
    write_job(place, job)
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
    narrow(lambda _: float("inf"))
    run_job(str(place.root))
    for trial in job.trials:
        files = whole.trial(trial.number), place.trial(trial.number)
        assert sha256_of(files[0].weights) == sha256_of(files[1].weights)
    endings = [each.trial for each in recorded(place) if isinstance(each, Finished)]
    assert sorted(endings) == [0, 1, 2, 3], "none ended twice"


STUDY = """
name = "cramped"
data.source = "parts.py:numbers"
task.name = "classification"
[model]
name = "mlp"
width = { choice = [8, 16] }
dropout = { float = [0.0, 0.5] }
[optimizer]
name = "adam"
lr = { float = [1e-3, 1e-1], log = true }
[training]
epochs = 2
[search]
sampler = "random"
trials = 8
batch = 8
"""
# The one worker reads the data, and trains.
PARTS = """
import os
from nnsearch.data.bundled import iris as numbers
from nnsearch.training import memory

if room := os.environ.get("TEST_ROOM"):
    memory.ASIDE = 0
    memory.free = lambda _: float(room)
"""


@pytest.mark.slow
def test_a_study_finds_the_same_where_memory_is_short(tmp_path: Path) -> None:
    found = []
    for place, bytes_free in (("wide", ""), ("short", "100000")):
        folder = tmp_path / place
        folder.mkdir()
        (folder / "cramped.toml").write_text(STUDY)
        (folder / "parts.py").write_text(PARTS)
        command = ["run", "cramped.toml", "--allow-code", "--workers", "1"]
        done = subprocess.run(
            [sys.executable, "-m", "nnsearch", *command],
            env={**os.environ, "TEST_ROOM": bytes_free},
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=115,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        jobs = sorted((folder / "mlruns/studies/cramped/jobs").iterdir())
        divided = [job.name for job in jobs if JobFolder(job).groups.exists()]
        assert bool(divided) == bool(bytes_free)
        weights = sorted(folder.glob("mlruns/studies/cramped/jobs/*/trial-*/weights.pt"))
        found.append({path.parent.name: sha256_of(path) for path in weights})
        shutil.rmtree(folder)
    assert len(found[0]) >= 8
    assert found[0] == found[1]
