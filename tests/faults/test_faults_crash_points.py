"""SIGKILL at each step of the commit order, then the same command: the same table as without."""

import signal
from pathlib import Path

import pytest
from adapters import NAIVE, OURS, complete, search
from rig import FORMS, assert_nothing_lost, base, home, lost, make_home, table

from nnsearch.crashes import AT, ONCE

__all__ = ["base", "home"]  # fixtures

# The steps of the commit order, and the place in the code where each is over. Worker places kill
# the worker, and the driver goes on; the others kill the driver, and the command is typed again.
DRIVER = {
    "A1": "A1",  # asked
    "A2": "trials.jsonl synced",  # recorded
    "A3": "A3:2",  # the trial's MLflow run is made (the first is the study's)
    "A4": "job.json renamed:2",  # handed to the workers (the first is the baseline's)
    "C2": "C2:2",  # in the middle of the artifacts
    "C3": "C3:2",  # the last values
    "C4": "C4:2",  # FINISHED
    "C5": "C5:2",  # in Optuna's store
    "told": "result.json renamed",  # concluded, but MLflow is still being told
    "C6": "result.json renamed:2",  # done
    "study": "study.json fsynced",
    "test": "test.json renamed",
}
WORKER = {
    "T1": "checkpoint.pt written:2",
    "T2": "checkpoint.pt fsynced:2",
    "T3": "checkpoint.pt renamed:2",
    "T4": "checkpoint.pt.sha256 renamed:2",
    "C1": "events.jsonl synced:2",
    "weights": "weights.pt renamed:2",
    "export": "model.onnx renamed",
    "manifest": "manifest.json fsynced",
}
ONE_FORM = ("export", "manifest")
QUICK = ("A2", "C3")
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def points(names: dict[str, str], quick: tuple[str, ...] = ()) -> list[object]:
    slow = pytest.mark.slow
    return [
        pytest.param(place, id=name, marks=[] if name in quick else slow)
        for name, place in names.items()
    ]


def in_both_forms(names: dict[str, str], quick: tuple[str, ...]) -> list[object]:
    """Each point with trials that share a program and, where that may matter, with others."""
    return [
        pytest.param(
            place,
            form,
            id=f"{name}-{form}",
            marks=[] if name in quick and form == "fused" else pytest.mark.slow,
        )
        for name, place in names.items()
        for form in (["fused"] if name in ONE_FORM else FORMS)
    ]


# The driver knows no form.
@pytest.mark.parametrize("place", points(DRIVER, QUICK))
def test_a_driver_killed_there_goes_on_to_the_same_table(
    place: str, home: Path, base: Path
) -> None:
    marker = home.parent / "crashed"
    code, errors = search(OURS, home, env={AT: place, ONCE: str(marker)})
    assert code == -signal.SIGKILL, errors
    assert marker.exists()
    before = table(home)
    complete(OURS, home)
    after = table(home)
    assert {number: after[number] for number in before} == before  # N3
    assert_nothing_lost(home, base)


@pytest.mark.parametrize(("place", "form"), in_both_forms(WORKER, ("C1",)))
def test_a_worker_killed_there_is_begun_again_and_the_table_is_the_same(
    place: str, form: str, own_folder: Path, base: Path
) -> None:
    home = make_home(own_folder, base, training=FORMS[form])
    marker = home.parent / "crashed"
    code, errors = search(OURS, home, env={AT: place, ONCE: str(marker)})
    assert marker.exists()
    assert code == 0, errors
    assert_nothing_lost(home, base, form=form)


@pytest.mark.parametrize(
    "place",
    points(
        {name: name for name in (*("A1", "A2", "A3", "A4", "T1", "T2", "T3", "T4"), *("C1", "C2"))}
        | {name: name for name in ("C3", "C4", "C5", "C6")},
        ("C1",),
    ),
)
def test_without_protection_something_is_lost_there(place: str, home: Path) -> None:
    marker = home.parent / "crashed"
    code, errors = search(NAIVE, home, env={AT: place, ONCE: str(marker)})
    assert code == -signal.SIGKILL, errors
    complete(NAIVE, home)
    assert lost(NAIVE, home) != []


def test_without_a_fault_nothing_is_lost_to_the_naive_one(home: Path, base: Path) -> None:
    complete(NAIVE, home)
    assert lost(NAIVE, home) == []
