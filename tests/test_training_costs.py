"""What a trial costs is measured on the network that would be exported, and changes nothing."""

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from lessons import ACCURACY, Classroom, classroom
from torch import Tensor, nn

from nnsearch.events import Failed, Finished, Pruned, Started
from nnsearch.study.folder import JobFolder
from nnsearch.study.spec import Component, Objective
from nnsearch.training import costs
from nnsearch.training.account import Account, finish
from nnsearch.training.costs import latency
from nnsearch.training.fit import Kept
from nnsearch.training.job import Job, recorded, run_job, write_job

LATENCY = Objective("cost/latency", "minimize")
ALL = ("parameters <= 1000000", "size <= 1000000", "seconds <= 1000000")
NUM_PARAMETERS = 4 * 16 + 16 + 16 * 16 + 16 + 16 * 3 + 3


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom(tmp_path_factory.mktemp("room"), "iris")


def carried_out(folder: Path, job: Job) -> list[Any]:
    place = JobFolder(folder)
    write_job(place, job)
    run_job(str(folder))
    return list(recorded(place))


def three(room: Classroom, **fields: Any) -> Job:
    """Three trials of one shape, with dropout, of 6, 3 and 5 epochs."""
    trials = []
    for number, epochs in enumerate((6, 3, 5)):
        each = room.changed(model__dropout=0.2 + number / 10, training__epochs=epochs).trial
        trials.append(replace(each, number=number, seed=number, uid=f"t{number}"))
    return replace(room.job(**fields), trials=tuple(trials))


def test_costs_stand_beside_the_metrics(room: Classroom, tmp_path: Path) -> None:
    ending = carried_out(tmp_path, room.job(others=(LATENCY,), constraints=ALL))[-1]
    assert isinstance(ending, Finished)
    assert ending.metrics["cost/parameters"] == NUM_PARAMETERS
    # the network's numbers, and a mean and a scale for each of four columns
    assert ending.metrics["cost/size"] == pytest.approx(4 * NUM_PARAMETERS, rel=0.1)
    assert ending.metrics["cost/size"] > 4 * NUM_PARAMETERS
    assert ending.metrics["cost/seconds"] == ending.seconds > 0
    assert 0 < ending.metrics["cost/latency"] < 1000
    assert tuple(ending.excess) == ALL
    assert ending.excess[ALL[0]] == NUM_PARAMETERS - 1_000_000
    assert ending.is_feasible


def test_nothing_is_measured_unasked(room: Classroom, tmp_path: Path) -> None:
    ending = carried_out(tmp_path, room.job())[-1]
    assert not [key for key in ending.metrics if key.startswith("cost/")]
    assert ending.excess == {}


def test_measuring_one_trial_leaves_the_others_of_its_program_as_they_are(
    room: Classroom, tmp_path: Path
) -> None:
    plain = carried_out(tmp_path / "plain", three(room))
    measured = carried_out(tmp_path / "measured", three(room, others=(LATENCY,)))
    found = {each.trial: each for each in measured if isinstance(each, Finished)}
    wanted = {each.trial: each for each in plain if isinstance(each, Finished)}
    assert len(found) == 3
    for number, each in wanted.items():
        assert found[number].files == each.files
        others = {key: v for key, v in found[number].metrics.items() if key != "cost/latency"}
        assert others == each.metrics
    # One structure has one latency, whatever the noise: dropout does nothing in a prediction.
    assert len({each.metrics["cost/latency"] for each in found.values()}) == 1


def test_another_structure_is_measured_anew(
    room: Classroom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(costs, "_LATENCIES", {})
    for width in (16, 17, 16):
        job = room.changed(model__width=width).job(others=(LATENCY,))
        carried_out(tmp_path / f"{width}-{time.monotonic_ns()}", job)
    assert len(costs._LATENCIES) == 2


@pytest.mark.parametrize("fuse", [True, False])
def test_what_is_known_to_break_a_constraint_is_not_trained(
    room: Classroom, tmp_path: Path, fuse: bool
) -> None:
    job = three(room, constraints=(f"parameters <= {NUM_PARAMETERS - 1}", "latency <= 5"))
    training = [each.training.options | {"fuse": fuse} for each in job.trials]
    trials = tuple(
        replace(each, training=Component("recipe", options))
        for each, options in zip(job.trials, training, strict=True)
    )
    told = carried_out(tmp_path, replace(job, trials=trials))
    assert {type(each) for each in told} == {Started, Pruned}
    endings = [each for each in told if isinstance(each, Pruned)]
    assert sorted(each.trial for each in endings) == [0, 1, 2]
    for each in endings:
        assert (each.epoch, each.value, each.is_feasible) == (0, None, False)
        assert each.excess == {f"parameters <= {NUM_PARAMETERS - 1}": 1.0}
    assert not list(tmp_path.rglob("weights.pt"))
    exact = three(room, constraints=(f"parameters <= {NUM_PARAMETERS}",))
    assert sum(isinstance(each, Finished) for each in carried_out(tmp_path / "b", exact)) == 3


def test_a_metric_that_is_no_number_cannot_be_an_objective(room: Classroom, tmp_path: Path) -> None:
    account = Account(JobFolder(tmp_path), ACCURACY, (), room.code, (Objective("mcc", "maximize"),))
    metrics = {"valid/accuracy": 0.5, "valid/mcc": float("nan")}
    material: Any = None  # looked at for trials that are complete only
    ending = finish(account, 0, Kept(1, metrics, None, {}, (1, 0.0)), material, seconds=1.0)  # type: ignore[arg-type]
    assert isinstance(ending, Failed)
    assert ending.error == "non-finite valid/mcc: nan"


class Slow(nn.Module):
    """Takes two milliseconds, and for every twentieth pass a hundred."""

    def __init__(self) -> None:
        super().__init__()
        self.threads: list[int] = []

    def forward(self, row: Tensor) -> Tensor:
        """The row, after a while."""
        self.threads.append(torch.get_num_threads())
        time.sleep(0.1 if len(self.threads) % 20 == 0 else 0.002)
        return row


def test_the_median_of_passes_on_one_thread() -> None:
    network, before = Slow(), torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert 2.0 <= latency(network, torch.zeros(1, 3)) < 80.0
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert set(network.threads) == {1}
    assert len(network.threads) >= costs.FEWEST
