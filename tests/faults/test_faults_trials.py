"""Trials that diverge, fail, hang or want too much, and checkpoints that are no good any more."""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from rig import (
    NAIVE,
    OURS,
    assert_nothing_lost,
    base,
    complete,
    end,
    events_of,
    home,
    is_alive,
    lost,
    make_home,
    search,
    start,
    table,
    tracked,
    wait_for,
    workers,
)

__all__ = ["base", "home"]  # fixtures
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def of_width(home: Path) -> dict[int, list[str]]:
    """The kinds of endings by the width of their networks."""
    kinds: dict[int, list[str]] = {}
    for row in table(home).values():
        kinds.setdefault(dict(row[0])["model.width"], []).append(row[1])
    return kinds


def test_a_trial_without_a_finite_loss_fails_and_the_others_do_not(
    own_folder: Path, base: Path
) -> None:
    home = make_home(
        own_folder, base, model="faulty.py:broken", search='sampler = "grid"', rate="0.01", trials=4
    )
    complete(OURS, home)
    assert of_width(home) == {4: ["Finished"], 8: ["Failed"], 16: ["Finished"], 32: ["Finished"]}
    (failed,) = events_of(home, "Failed")
    assert failed["error"] == "non-finite loss at step 1"
    assert_nothing_lost(home, budget=4)


@pytest.mark.slow
def test_where_every_loss_is_none_the_study_stops_and_says_so_once(
    own_folder: Path, base: Path
) -> None:
    home = make_home(own_folder, base, model="faulty.py:broken", trials=20)
    code, errors = search(OURS, home, env={"FAULT_ALL": "1"})
    assert code == 5
    assert errors.splitlines()[-1].count("non-finite loss at step 1") == 1
    assert len(table(home)) < 10


@pytest.mark.slow
def test_without_protection_infinity_is_the_best(home: Path) -> None:
    import optuna

    code, _ = search(NAIVE, home, env={"NAIVE_FAULT": "inf"})
    assert code == 0
    study = optuna.load_study(study_name="small", storage=NAIVE.storage(home))
    assert max(each.value or 0.0 for each in study.trials) == float("inf")
    assert lost(NAIVE, home) != []  # MLflow holds another number


@pytest.mark.parametrize("model", ["greedy", pytest.param("simulated", marks=pytest.mark.slow)])
def test_a_trial_that_needs_too_much_memory_fails_and_is_not_tried_again(
    model: str, own_folder: Path, base: Path
) -> None:
    home = make_home(
        own_folder,
        base,
        model=f"faulty.py:{model}",
        search='sampler = "grid"',
        rate="0.01",
        trials=4,
    )
    complete(OURS, home)
    assert of_width(home) == {4: ["Finished"], 8: ["Failed"], 16: ["Finished"], 32: ["Finished"]}
    (failed,) = events_of(home, "Failed")
    assert "memory" in failed["error"]
    assert_nothing_lost(home, budget=4)


@pytest.mark.slow
def test_a_limit_on_memory_is_a_trials_error_and_no_crash(own_folder: Path, base: Path) -> None:
    home = make_home(own_folder, base)
    path = own_folder / "small.toml"
    wide = path.read_text().replace("[4, 8, 16, 32]", "[4, 8, 16, 40000000]")
    path.write_text(wide)
    driver = start(OURS, home, "--workers", "1")
    wait_for(lambda: workers(driver.pid))
    for worker in workers(driver.pid):
        resource.prlimit(worker, resource.RLIMIT_AS, (8 << 30, 8 << 30))
    code, errors = end(driver)
    assert code == 0, errors
    kinds = of_width(home)
    assert set(kinds.pop(40_000_000, ["Failed"])) == {"Failed"}
    assert {kind for each in kinds.values() for kind in each} == {"Finished"}
    assert_nothing_lost(home)


@pytest.mark.slow
def test_a_trial_that_hangs_is_killed_with_its_stacks_and_begun_again(
    own_folder: Path, base: Path
) -> None:
    home = make_home(own_folder, base, model="faulty.py:hanging", search="stall_timeout = 15")
    code, errors = search(OURS, home, env={"FAULT_MARK": str(own_folder / "mark")})
    assert code == 0, errors
    assert 'faulty.py", line' in (home / "studies/small/workers.log").read_text()
    assert_nothing_lost(home)


def test_a_study_of_which_every_trial_fails_alike_stops_after_three(
    own_folder: Path, base: Path
) -> None:
    home = make_home(own_folder, base, model="faulty.py:failing", trials=20)
    code, errors = search(OURS, home)
    assert code == 5
    assert errors.splitlines()[-1].count("ValueError: the same") == 1
    assert 3 <= len(table(home)) <= 8
    assert {run["status"] for run in tracked(home)} == {"FAILED"}


@pytest.mark.slow
def test_without_protection_the_same_error_is_met_to_the_end(home: Path) -> None:
    code, errors = search(NAIVE, home, env={"NAIVE_FAULT": "error"})
    assert code == 0
    assert errors.count("ValueError: the same") >= 5


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda content: content[: int(len(content) * share)]


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [cut(0), cut(0.1), cut(0.5), lambda content: content[:-1], flipped],
    ids=["empty", "a tenth", "half", "a byte less", "a bit"],
)
@pytest.mark.parametrize("which", ["newest", "both"])
def test_a_damaged_checkpoint_is_not_used(
    damage: Callable[[bytes], bytes], which: str, *, own_folder: Path, base: Path
) -> None:
    home = make_home(own_folder, base, model="faulty.py:slow", epochs=6)
    driver = start(OURS, home, "--workers", "1")
    wait_for(lambda: len(events_of(home, "Epoch")) >= 3)
    left = workers(driver.pid)
    driver.kill()
    driver.communicate()
    wait_for(lambda: not any(map(is_alive, left)), 5)
    names = {"newest": ["checkpoint.pt"], "both": ["checkpoint.pt", "checkpoint.pt.before"]}[which]
    damaged = [path for name in names for path in home.glob(f"studies/small/jobs/0*/**/{name}")]
    assert damaged
    for path in damaged:
        path.write_bytes(damage(path.read_bytes()))
    complete(OURS, home)
    starts = [each["epoch"] for each in events_of(home, "Started") if each["trial"] == 0]
    assert starts[-1] == 1 if which == "both" else starts[-1] > 1
    assert_nothing_lost(home)
