"""Trials that diverge, fail, hang or want too much, and checkpoints that are no good any more."""

import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from adapters import NAIVE, OURS, complete, end, is_alive, search, start, wait_for, workers
from rig import (
    NUM_TRIALS,
    assert_nothing_lost,
    base,
    events_of,
    home,
    lost,
    make_home,
    make_slow,
    table,
    tracked,
)

__all__ = ["base", "home"]  # fixtures
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
slow = pytest.mark.slow


def make_grid(folder: Path, base: Path, fault: str, options: str = "") -> Path:
    """A study of four trials of which the one that is 8 wide has a fault."""
    return make_home(
        folder,
        base,
        model=f"faults.py:{fault}",
        fault=f"only_width = 8\n{options}",
        search='sampler = "grid"',
        rate="0.01",
        trials=4,
    )


def of_width(home: Path) -> dict[int, list[str]]:
    """The kinds of endings by the width of their networks."""
    kinds: dict[int, list[str]] = {}
    for row in table(home).values():
        kinds.setdefault(dict(row[0])["model.width"], []).append(row[1])
    return kinds


@pytest.mark.parametrize("value", ["nan", pytest.param("inf", marks=slow)])
def test_a_trial_without_a_finite_loss_fails_and_the_others_do_not(
    value: str, own_folder: Path, base: Path
) -> None:
    home = make_grid(own_folder, base, "failing", f'how = "{value}"')
    complete(OURS, home)
    assert of_width(home) == {4: ["Finished"], 8: ["Failed"], 16: ["Finished"], 32: ["Finished"]}
    (failed,) = events_of(home, "Failed")
    assert failed["error"] == "non-finite loss at step 1"
    assert_nothing_lost(home, budget=4)


@pytest.mark.slow
def test_where_every_trial_diverges_the_budget_is_spent_and_nothing_completed(
    own_folder: Path, base: Path
) -> None:
    home = make_home(own_folder, base, model="faults.py:failing", fault='how = "nan"')
    for _ in range(2):  # the same command says the same, and trains nothing
        code, errors = search(OURS, home)
        assert code == 7, errors
        assert "all 5 trials are done, and no trial of 'small' completed" in errors
        assert errors.splitlines()[-1].count("non-finite loss at step 1") == 1
        assert len(events_of(home, "Started")) == NUM_TRIALS
    assert [row[1] for row in table(home).values()] == ["Failed"] * NUM_TRIALS
    assert_nothing_lost(home)


@pytest.mark.slow
def test_without_protection_infinity_is_the_best(home: Path) -> None:
    import optuna

    code, _ = search(NAIVE, home, env={"NAIVE_FAULT": "inf"})
    assert code == 0
    study = optuna.load_study(study_name="small", storage=NAIVE.storage(home))
    assert max(each.value or 0.0 for each in study.trials) == float("inf")
    assert lost(NAIVE, home) != []  # MLflow holds another number


@pytest.mark.parametrize(
    ("model", "options"),
    [("hungry", ""), pytest.param("failing", 'how = "out_of_gpu"', marks=slow)],
    ids=["CPU", "GPU"],
)
def test_a_trial_that_needs_too_much_memory_fails_and_is_not_tried_again(
    model: str, options: str, *, own_folder: Path, base: Path
) -> None:
    home = make_grid(own_folder, base, model, options)
    complete(OURS, home)
    assert of_width(home) == {4: ["Finished"], 8: ["Failed"], 16: ["Finished"], 32: ["Finished"]}
    (failed,) = events_of(home, "Failed")
    assert "memory" in failed["error"]
    assert_nothing_lost(home, budget=4)


@pytest.mark.slow
def test_a_limit_on_memory_is_a_trials_error_and_no_crash(own_folder: Path, base: Path) -> None:
    home = make_grid(own_folder, base, "hungry", "gigabytes = 20.0")
    driver = start(OURS, home, "--workers", "1")
    resource.prlimit(driver.pid, resource.RLIMIT_AS, (12 << 30, 12 << 30))  # its workers inherit it
    code, errors = end(driver)
    assert code == 0, errors
    assert of_width(home) == {4: ["Finished"], 8: ["Failed"], 16: ["Finished"], 32: ["Finished"]}
    (failed,) = events_of(home, "Failed")
    assert "memory" in failed["error"]
    assert_nothing_lost(home, budget=4)


@pytest.mark.slow
def test_a_trial_that_hangs_is_killed_with_its_stacks_and_begun_again(
    own_folder: Path, base: Path
) -> None:
    fault, search_keys = f'mark = "{own_folder / "mark"}"', "stall_timeout = 15"
    home = make_home(own_folder, base, model="faults.py:hanging", fault=fault, search=search_keys)
    code, errors = search(OURS, home)
    assert code == 0, errors
    assert 'faults.py", line' in (home / "studies/small/workers.log").read_text()
    assert_nothing_lost(home)


def test_a_study_of_which_every_trial_fails_alike_stops_after_three(
    own_folder: Path, base: Path
) -> None:
    home = make_home(own_folder, base, model="faults.py:failing", trials=20)
    code, errors = search(OURS, home)
    assert code == 5
    assert errors.splitlines()[-1].count("ValueError: epoch 1 fails") == 1
    ended = table(home)  # a trial that was at work when the study stopped has not: it would go on
    assert 3 <= len(ended) <= 8
    for run in tracked(home):
        at_work = run["trial"] is not None and run["trial"] not in ended
        assert run["status"] == ("KILLED" if at_work else "FAILED")


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


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": cut(0),
    "a tenth": cut(0.1),
    "half": cut(0.5),
    "a byte less": lambda content: content[:-1],
    "a bit": flipped,
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "damage"),
    [*(("newest", each) for each in DAMAGES), ("both", "empty"), ("both", "a bit")],
)
def test_a_damaged_checkpoint_is_not_used(
    which: str, damage: str, *, own_folder: Path, base: Path
) -> None:
    home = make_slow(own_folder, base, epochs=6)
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
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    complete(OURS, home)
    starts = [each["epoch"] for each in events_of(home, "Started") if each["trial"] == 0]
    assert starts[-1] == 1 if which == "both" else starts[-1] > 1
    assert_nothing_lost(home)
